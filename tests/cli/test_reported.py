"""The report at the end of a search."""

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cnnsearch.errors import RunError
from cnnsearch.utils import subprocesses
from tests.cli.program import run
from tests.report.conftest import write_run


def _end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reason: str = "trials", **more: Any
) -> Path:
    made = write_run(tmp_path, "r", trials=2)
    ended = SimpleNamespace(run=made, reason=reason, best=made.db.get_trials()[0], **more)
    search = importlib.import_module("cnnsearch.engine.search")
    monkeypatch.setattr(search, "search", lambda *given, **settings: ended)
    return made.path / "report.html"


def test_a_search_ends_with_its_report(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _end(monkeypatch, tmp_path)
    assert run("search", "tiny") == 0
    assert capsys.readouterr().out == f"Report:    {path}\n"
    assert "Search r" in path.read_text("utf-8")


def test_an_interrupted_search_is_not_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = _end(monkeypatch, tmp_path, "interrupted")
    assert run("search", "tiny") == 130
    assert not path.exists()


def test_a_report_that_cannot_be_written_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _end(monkeypatch, tmp_path)
    path.mkdir()
    assert run("search", "tiny", "--quiet") == 0
    output = capsys.readouterr()
    assert output.out == "" and output.err.count("\n") == 1
    assert "the report was not written: " in output.err and "cannot be written" in output.err


def test_a_module_that_takes_too_long_is_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "slow.py").write_text("import time; time.sleep(60)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(RunError, match=r"it took longer than 0\.5 s"):
        subprocesses.run_module("slow", fail=RunError, seconds=0.5)
