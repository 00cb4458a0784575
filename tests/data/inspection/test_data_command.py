"""`cnnsearch data` as people use it."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from cnnsearch import cli, describe
from cnnsearch.data.inspection.report import Spread
from cnnsearch.data.inspection.table import draw_sparkline, print_report

Capture = pytest.CaptureFixture[str]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["cnnsearch", "data", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def text_of(source: Path, **options: bool) -> str:
    stream = io.StringIO()
    print_report(describe(str(source), **options), Console(file=stream, width=80))  # type: ignore[arg-type]
    return stream.getvalue()


def test_the_report_fits_a_terminal_and_names_what_is_wrong(odd: Path) -> None:
    text = text_of(odd)
    assert all(len(line) <= 80 for line in text.splitlines())
    for part in ("disc [2]", "train/box/letter.jpg: not a JPEG", "CMYK 1", "GIF 1 (1 animated)"):
        assert part in text
    assert "--skip-bad-images" in text and "The test split was read" in text


def test_leaks_are_named_certain_and_likely_apart(copied: Path) -> None:
    text = " ".join(text_of(copied).split())
    certain, likely = text.index("Same pixels in two splits: 2"), text.index("Likely copies")
    assert certain < text.index("test/box/again.jpg (test) = train/box/2.jpg (train)") < likely
    assert text.index("test/box/small.jpg (test) ~ train/box/5.jpg (train)") > likely


def test_files_that_are_left_out_are_printed(photographs: Path) -> None:
    (photographs / "train" / "box" / "notes.txt").write_text("text")
    text = text_of(photographs)
    assert "Left out: 1\n" in text and "train/box/notes.txt (not an image)" in text


def test_many_classes_are_shown_by_the_largest_and_smallest(tmp_path: Path) -> None:
    y = np.repeat(np.arange(30), 3 * np.arange(30) + 4)
    x = np.random.default_rng(0).integers(0, 256, (len(y), 8, 8, 3), np.uint8)
    np.savez(tmp_path / "many.npz", x=x, y=y)
    lines = text_of(tmp_path / "many.npz").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("class "))
    shown = [line.split()[0] for line in lines[start + 1 : start + 22]]
    assert shown[0] == "29" and shown[10] == "…" and shown[-1] == "0"


def test_the_command_prints_json_and_writes_the_sheet(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    sheet = tmp_path / "s.png"
    asked = (str(photographs), "--json", "--sheet", str(sheet), "--image", "32x24")
    assert run(monkeypatch, *asked) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["images"] == 38 and data["plan"]["image"] == [32, 24] and sheet.is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["digist"], "did you mean 'digits'"),
        (["digits", "--image", "0"], "--image"),
        (["digits", "--sheet", "sheet.pdf"], "--sheet"),
        (["digits", "--max-memory", "much"], "--max-memory"),
        (["tfds:"], "tfds:NAME"),
        (["none/here"], "does not exist"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert run(monkeypatch, *arguments) == 2
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1
    assert output.err.startswith("cnnsearch: ") and said in output.err


def test_a_histogram_shows_every_bin_that_is_not_empty() -> None:
    assert draw_sparkline(Spread(0, 1, 2, (1000, 1, 0, 500))) == "█▁ ▄"
    assert draw_sparkline(Spread(2, 2, 2, (5, 0))) == "all the same"
