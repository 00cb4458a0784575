"""The report as a headless Chromium shows it: on a desktop, a tablet and a phone, light and dark.

``make test-browser`` runs it and keeps the pictures in ``build/browser``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cnnsearch.report.report import write_report
from tests.browser.test_ui import PATIENCE, SHOTS, chromium
from tests.report.conftest import write_run

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]

WIDTHS = (1200, 800, 390)
LONG = "a_block_family_with_a_name_that_nobody_would_choose"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra: browser")
    SHOTS.mkdir(parents=True, exist_ok=True)
    with playwright.sync_playwright() as driver:
        binary = chromium() or driver.chromium.executable_path
        if not Path(binary).is_file():
            pytest.skip("needs Chromium: name it in CHROMIUM, or run: playwright install chromium")
        made = driver.chromium.launch(
            executable_path=binary, args=["--no-sandbox", "--disable-gpu"], timeout=PATIENCE
        )
        yield made
        made.close()


@pytest.fixture(scope="module", params=[2, 12, 200])
def report(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a search of mixed networks, of which every eighth has a long name."""
    rename = {number: f"{LONG}_{number}" for number in range(3, request.param, 8)}
    run = write_run(
        tmp_path_factory.mktemp("runs"), f"r{request.param}", request.param, "mixed", names=rename
    )
    (path,) = write_report(run)
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_main_chart_fills_the_screen(
    browser: Any, report: Path, width: int, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto(report.as_uri())
    page.screenshot(path=SHOTS / f"{report.parent.name}-{width}-{scheme}.png", full_page=True)
    seen = page.evaluate(MEASURE)
    assert seen["page"] <= width, "the page scrolls sideways"
    assert seen["svg"] >= 0.97 * seen["figure"], "the chart is narrower than its figure"
    assert seen["plot"] >= 0.75 * seen["figure"], "the plot is a sliver of its figure"
    assert seen["legend"] <= 0.25 * seen["height"], "the legend takes more than a quarter"
    assert seen["right"] <= width and seen["left"] >= 0, "the chart is cut"
    assert min(seen["sizes"]) >= 9, "text is too small"
    assert seen["cut"] == [], "labels are cut"
    assert seen["items"] <= 7
    assert 2 <= seen["ticks"] <= 16, "more than eight ticks an axis"
    assert len(seen["inks"]) == 1, "some labels have a colour of their own"
    page.close()


def test_the_reader_chooses_the_cost(browser: Any, tmp_path: Path) -> None:
    (path,) = write_report(write_run(tmp_path, trials=12, max_ram=10**6))
    page = browser.new_page(viewport={"width": 800, "height": 900})
    page.goto(path.as_uri())
    figures = page.locator(".views figure")
    shown = [figures.nth(n).is_visible() for n in range(figures.count())]
    assert shown == [True, False, False]
    page.get_by_text("RAM", exact=True).first.click()
    assert [figures.nth(n).is_visible() for n in range(3)] == [False, False, True]
    page.keyboard.press("ArrowLeft")
    assert [figures.nth(n).is_visible() for n in range(3)] == [False, True, False]
    page.emulate_media(media="print")
    assert all(figures.nth(n).is_visible() for n in range(3))
    page.close()


MEASURE = """() => {
  const section = [...document.querySelectorAll('section')].find(
    each => each.querySelector('h2').textContent === 'Accuracy against cost');
  const figure = section.querySelector('figure');
  const drawn = [...figure.children].find(each => getComputedStyle(each).display !== 'none');
  const svg = drawn.querySelector('svg[role=img]'), box = svg.getBoundingClientRect();
  const legend = drawn.querySelector('.legend');
  const texts = [...svg.querySelectorAll('text')].filter(each => each.textContent.trim());
  const scale = box.width / svg.viewBox.baseVal.width;
  const lines = [...svg.querySelectorAll('path')].map(each => each.getBoundingClientRect());
  const cut = [...document.querySelectorAll('figure:not(.card) svg[role=img]')].flatMap(all => {
    const edge = all.getBoundingClientRect();
    return [...all.querySelectorAll('text')].filter(each => {
      const at = each.getBoundingClientRect();
      return at.left < edge.left - 1 || at.right > edge.right + 1 || at.bottom > edge.bottom + 1;
    });
  });
  const horizontal = lines.filter(each => each.height < 1.5 && each.width > box.width / 3);
  return {page: document.documentElement.scrollWidth,
    figure: figure.clientWidth, height: figure.clientHeight, svg: box.width,
    plot: Math.max(...horizontal.map(each => each.width)),
    legend: legend.clientHeight, left: box.left, right: box.right,
    items: legend.children.length, cut: cut.map(each => each.textContent),
    sizes: texts.map(each => parseFloat(getComputedStyle(each).fontSize) * scale),
    inks: [...new Set(texts.map(each => getComputedStyle(each).fill))],
    ticks: texts.length - 2};
}"""
