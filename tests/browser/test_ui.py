"""What a person does in MLflow with a search of 1,000 candidates, done by a headless Chromium.

Needs the ``browser`` extra (Playwright, without its own browsers) and Chromium at ``$CHROMIUM``, in
the path, or where Playwright installs it; is skipped otherwise. ``make test-browser`` runs it and
keeps a picture of every page in ``build/browser``.
"""

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cnnsearch.runs import mlflow
from cnnsearch.runs.directory import RunDirectory
from tests.browser import sample_run

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]

CANDIDATES = int(os.environ.get("BROWSER_CANDIDATES", "1000"))
SHOTS = Path(os.environ.get("BROWSER_SHOTS", "build/browser")).resolve()
PATIENCE = 120_000  # milliseconds, on a busy machine
ROWS = ".ag-center-cols-container .ag-row"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunDirectory]:
    made = sample_run.create(tmp_path_factory.mktemp("browser") / "runs")
    with made.db.transaction():
        sample_run.search(made, CANDIDATES)
    started = time.perf_counter()
    events = mlflow.sync(made)
    took = time.perf_counter() - started
    print(f"\n{CANDIDATES} candidates, {events} events to MLflow: {took:.0f} s")
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(run: RunDirectory) -> Iterator[mlflow.TrackingUI]:
    with mlflow.serve_ui(run.path.parent) as serving:
        yield serving


def chromium() -> str | None:
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    return found


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra: browser")
    SHOTS.mkdir(parents=True, exist_ok=True)
    with playwright.sync_playwright() as driver:
        binary = chromium() or driver.chromium.executable_path
        if not Path(binary).is_file():
            pytest.skip("needs Chromium: name it in CHROMIUM, or run: playwright install chromium")
        made = driver.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=binary,
            headless=True,
            viewport={"width": 1440, "height": 900},
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        made.set_default_timeout(PATIENCE)
        made.add_init_script(  # MLflow opens its assistant on a first visit
            "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');"
            "localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false');"
        )
        yield made
        made.close()


@pytest.fixture
def page(context: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    made = context.new_page()
    yield made
    made.screenshot(path=SHOTS / f"{request.node.name}.png")
    made.close()


def opened(page: Any, address: str) -> None:
    page.goto(address, wait_until="domcontentloaded")
    page.locator(ROWS).first.wait_for()
    banner = page.get_by_role("button", name="Hide banner")
    if banner.count():
        banner.first.click()


def column(page: Any, key: str) -> list[str]:
    """The texts of a column's cells, as far as they are drawn, from the top as people see it."""
    script = """key => [...document.querySelectorAll('.ag-center-cols-container .ag-row')]
        .sort((a, b) => a.getAttribute('row-index') - b.getAttribute('row-index'))
        .map(row => row.querySelector(`[col-id="${CSS.escape(key)}"]`)?.innerText.trim() ?? '')"""
    found: list[str] = page.evaluate(script, key)
    return found


def numbers(page: Any, key: str) -> list[float]:
    return [float(text.replace(",", "")) for text in column(page, key) if text not in ("", "-")]


def settled(page: Any, key: str, descending: bool) -> list[float]:
    """A column's numbers once they are in order; fails if they never are."""
    deadline = time.monotonic() + PATIENCE / 1000
    while True:
        shown = numbers(page, key)
        if len(shown) > 5 and shown == sorted(shown, reverse=descending):
            return shown
        assert time.monotonic() < deadline, f"not in order: {shown}"
        page.wait_for_timeout(500)


def best(run: RunDirectory, count: int) -> list[float]:
    finals = [t.score for t in run.db.get_trials() if t.score is not None]
    return sorted(finals, reverse=True)[:count]


def test_the_parent_unfolds_its_candidates(page: Any, server: Any, run: RunDirectory) -> None:
    opened(page, server.locate_searches(run))
    assert page.locator(ROWS).count() == 1
    parent = page.locator(".ag-row a").first
    assert parent.inner_text().strip() == "first"
    parent.locator("xpath=ancestor::*[@role='gridcell']//button").first.click()
    page.wait_for_function("document.querySelectorAll('.ag-row a').length > 10")
    names = [t.strip() for t in page.locator(".ag-row a").all_inner_texts() if t.strip()]
    assert sum(bool(re.match(r"\d{3,4} \w+ [\d.]+[kM]", name)) for name in names) > 5


def test_sorting_by_val_accuracy_shows_the_best_first(
    page: Any, server: Any, run: RunDirectory
) -> None:
    opened(page, server.locate_search(run))
    header = page.locator('.ag-header-cell[col-id="metrics.`val_accuracy`"]')
    header.get_by_text("val_accuracy", exact=True).click()
    page.wait_for_function("/orderByKey=metrics/.test(decodeURIComponent(location.href))")
    for descending in (True, False):
        asc = "false" if descending else "true"
        if f"orderByAsc={asc}" not in page.url:
            header.get_by_text("val_accuracy", exact=True).click()
            page.wait_for_url(re.compile(f"orderByAsc={asc}"))
        shown = settled(page, "metrics.`val_accuracy`", descending)
        if descending:
            assert shown[:5] == pytest.approx(best(run, 5), abs=1e-5)


def test_a_filter_on_multiply_adds_keeps_what_is_below(
    page: Any, server: Any, run: RunDirectory
) -> None:
    opened(page, server.locate_search(run))
    limit = sorted(t.macs or 0 for t in run.db.get_trials())[len(run.db.get_trials()) // 20]
    box = page.get_by_test_id("search-box").first
    box.fill(f"metrics.macs < {limit} and tags.status = 'completed'")
    box.press("Enter")
    expected = sum((t.macs or 0) < limit and t.status == "completed" for t in run.db.get_trials())
    page.get_by_text(re.compile(rf"^{expected} matching runs?")).wait_for()
    shown = numbers(page, "metrics.`macs`")
    assert shown and max(shown) < limit


def test_three_candidates_are_compared(page: Any, server: Any, run: RunDirectory) -> None:
    opened(page, server.locate_search(run))
    for row in range(3):
        page.locator(f'.ag-row[row-index="{row}"] input[type=checkbox]').first.check(force=True)
    page.get_by_test_id("runs-compare-button").click()
    page.get_by_text("Comparing 3 Runs").first.wait_for()
    text = page.locator("body").inner_text()
    for name in ("val_accuracy", "macs", "stages.0.block"):
        assert name in text


def child(page: Any, server: Any, run: RunDirectory) -> str:
    """Opens the page of the most accurate candidate; returns its address."""
    opened(page, server.locate_search(run))
    page.locator(".ag-row a").first.click()
    page.get_by_role("tab", name="Model metrics").wait_for()
    return str(page.url)


def test_a_candidates_curve_is_drawn(page: Any, server: Any, run: RunDirectory) -> None:
    child(page, server, run)
    page.get_by_role("tab", name="Model metrics").click()
    page.get_by_placeholder("Search metric charts").fill("^val_accuracy$")
    page.get_by_text(re.compile(r"Model metrics \(1\)|val_accuracy")).first.wait_for()
    page.locator(".js-plotly-plot .scatterlayer .trace path.js-line").first.wait_for()


def test_the_parents_pictures_and_description_are_shown(
    page: Any, server: Any, run: RunDirectory
) -> None:
    opened(page, server.locate_searches(run))
    page.locator(".ag-row a").first.click()
    page.get_by_text("Best so far").first.wait_for()
    assert "cnnsearch register first --run first" in page.locator("body").inner_text()
    page.screenshot(path=SHOTS / "description.png")
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_text("pareto.png").first.click()
    page.wait_for_function(
        "[...document.images].some(i => i.naturalWidth > 800 && i.naturalHeight > 500)"
    )
