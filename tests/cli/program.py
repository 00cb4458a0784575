"""Runs the command line in this process, and makes runs for it."""

import sys
from pathlib import Path

import pytest

from cnnsearch import cli
from cnnsearch.runs.directory import RunDirectory

Capture = pytest.CaptureFixture[str]


def run(*arguments: str) -> int:
    """Runs the program in this process; returns its exit code."""
    before, sys.argv = sys.argv, ["cnnsearch", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = before
    return 0


def refused(capture: Capture, *arguments: str) -> str:
    """Runs what has to be refused; returns the one line that says why."""
    assert run(*arguments) == 2
    output = capture.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1 and "Traceback" not in output.err
    return output.err.strip().removeprefix("cnnsearch: ")


def finished_run(root: Path, scores: list[float | None]) -> None:
    """Makes a run whose trials ended with these scores; None: not a number."""
    with_space = "input: [8, 8, 1]\nclasses: 10\n"
    run = RunDirectory.create(root, "r", {"settings": {"source": "s"}}, with_space)
    run.db.append("run_started", {"resumed": False, "environment": {}})
    for number, score in enumerate(scores, start=1):
        started = {
            "number": number, "values": {"stages.0.depth": number}, "architecture": {},
            "recipe": {}, "fingerprint": f"{number}", "family": "residual",
            "params": 1000 * number, "params_total": 1000 * number, "macs": 10**6 * number,
            "epochs": 3,
        }  # fmt: skip
        status = "failed" if score is None else "completed"
        reason = "nan: loss is nan" if score is None else None
        ended = {"status": status, "score": score, "reason": reason, "metrics": {}, "seconds": 2.0}
        run.db.append("trial_started", started, f"{number:04}")
        run.db.append("trial_ended", ended, f"{number:04}")
    run.db.append("run_ended", {"reason": "trials"})
    run.close()
