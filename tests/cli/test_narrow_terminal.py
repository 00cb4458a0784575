"""Tables in a terminal of 80 columns: no line is longer, no heading and no number is cut."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cnnsearch.cli.common import fit_table
from cnnsearch.cli.exporting import make_table
from cnnsearch.exporters.results import COLUMNS, ExportResult, VerifiedFormat
from cnnsearch.report.tables import build_time_tables
from cnnsearch.report.time_ledger import ACTIVITIES, Seconds, TimeLedger
from cnnsearch.space.published import HEADER, list_published
from cnnsearch.space.search_space import SearchSpace
from tests.cli.program import run
from tests.report.conftest import write_run

WIDTH = 80
TABLES: dict[str, tuple[str, ...]] = {
    "check efficientnet-photos": ("hyperparameter", "stages.1.block.kernel", "only where"),
    "cost resnet-18": ("place", "params", "MACs", "118,013,952"),
    "devices": ("device", "RAM,", "flash,", "bytes", "1,048,576"),
    "runs --runs runs": ("candidates", "completed", "75.08%"),
    "results --runs runs": ("val accuracy", "epochs", "Pareto"),
    "spaces": ("candidates, at most", f"{SearchSpace.load('cells').size:.1e}", "description"),
    "blocks": ("what it is",),
    "blocks basic": ("option", "default"),
    "published": (*HEADER, *(f"{each.macs:,}" for each in list_published())),
}


def squeeze(text: str) -> str:
    return re.sub(r"\s", "", text)


def assert_fits(text: str, shown: tuple[str, ...]) -> None:
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert max(len(line.rstrip()) for line in plain.splitlines()) <= WIDTH
    assert "…" not in plain
    words = squeeze(plain)
    assert [each for each in shown if squeeze(each) not in words] == []


@pytest.mark.parametrize("command", TABLES)
def test_a_command_fits(
    command: str, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "runs" in command:
        write_run(tmp_path / "runs", trials=6).close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    assert run(*command.split()) == 0
    assert_fits(capsys.readouterr().out, TABLES[command])


def draw(table: Any, width: int = WIDTH) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(fit_table(table, console))
    text: Any = console.file
    return str(text.getvalue())


def test_an_export_fits() -> None:
    each = VerifiedFormat("litert", "int8", "model.int8.tflite", 12_345_678, 3.2e-2, 0.9951,
                          0.9833, 123.45, 1)  # fmt: skip
    done = ExportResult("out", "litert", "0001", 359, "test", 0.03, 0.99, 359, (0.9, 1.0), 10,
                        1.0, (each,))  # fmt: skip
    text = draw(make_table(done))
    for number in ("12.346 MB", "98.33%", "3.2e-02", "99.51%", "123.45 ms"):
        assert number in text, "not even wrapped"
    for part in " ".join(COLUMNS).split():
        assert part in text
    assert_fits(text, ("format", "file", "LiteRT"))
    assert " ".join(COLUMNS[5:]) in " ".join(draw(make_table(done), 120).replace("┃", "").split())


def test_the_times_of_trials_fit() -> None:
    names = ("propose", "fork", "build", "compile", "train", "evaluate", "checkpoint", "log")
    seconds = Seconds(dict.fromkeys(names, 123.45))
    ledger = TimeLedger(999.0, seconds, {f"{n:04}": seconds for n in range(3)}, 1)
    for table in build_time_tables(ledger, "Run r: wall time of 1 session", 3):
        text = draw(table)
        assert_fits(text, ("987.60",) if "trial" in text.split() else tuple(ACTIVITIES))
