"""What people see of a search: counts of candidates and promotions, times without pauses."""

import io
import re
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from cnnsearch.engine.display import Plain, write_closing
from cnnsearch.engine.display.callback import Overview, Pace, Summary
from cnnsearch.engine.display.live import Live, _Row
from cnnsearch.engine.display.text import count_candidates, count_promotions
from cnnsearch.oracles.protocol import Draws
from cnnsearch.runs.records import TrialRecord


def trial(number: int, **more: Any) -> TrialRecord:
    found = {
        "id": f"{number:04}", "number": number, "values": {}, "family": "residual", "params": 1000,
        "macs": 10**6, "epochs": 2, "started": 0.0, "status": "completed", "score": number / 10,
        "seconds": 1.0, "metrics": {}, "ended": 1.0, "architecture": {}, "recipe": {},
        "fingerprint": "",
    }  # fmt: skip
    return TrialRecord(**{**found, **more})


def overview(**more: Any) -> Overview:
    return Overview("r", "s", "d", 9, 2, "hyperband", 2, 6, "", 0, None, None, "cpu", 1, **more)


TRIALS = [trial(1), trial(2), trial(3, continues="0002", initial_epoch=2, epochs=6)]


def test_hyperbands_promotions_are_no_candidates() -> None:
    text = io.StringIO()
    lines = Plain(Console(file=text, width=200))
    lines.on_search_begin(overview(multi_fidelity=True))
    for one in TRIALS:
        lines.on_trial_end(one)
    shown = text.getvalue().splitlines()
    assert "2 candidates by hyperband, up to 6 epochs each" in shown[0]
    assert shown[1].startswith("   1/2  residual") and "rung of 2 epochs" in shown[1]
    assert shown[3].startswith("        0002 promoted") and "rung of 6 epochs" in shown[3]
    assert (count_candidates(TRIALS, "completed"), count_promotions(TRIALS)) == (2, 1)
    summary = Summary("r", "schedule", None, 2, 0, Draws(drawn=2), 1.0, "runs/r", promotions=1)
    assert "2 candidates trained, 1 promotion; 2 drawn" in write_closing(summary)


def test_what_is_too_slow_is_no_failure() -> None:
    why = "over_budget: measured latency 3.1 ms, the limit is 2 ms: not trained"
    slow = trial(1, status="failed", score=None, reason=why)
    lost = trial(2, status="failed", score=None, reason="nan: the loss became nan")
    assert (slow.is_too_slow, lost.is_too_slow) == (True, False)
    text = io.StringIO()
    lines = Plain(Console(file=text, width=200))
    lines.on_search_begin(overview())
    for one in (slow, lost):
        lines.on_trial_end(one)
    shown = text.getvalue().splitlines()
    assert shown[1].endswith("  measured latency 3.1 ms, the limit is 2 ms: not trained")
    assert shown[2].endswith("  failed: nan: the loss became nan")
    summary = Summary("r", "trials", None, 4, 1, Draws(drawn=7), 1.0, "runs/r", too_slow=2)
    assert "4 candidates trained, 1 failed, 2 over the measured latency; 7 drawn" in write_closing(
        summary
    )


def test_the_live_table_counts_candidates_and_no_pause() -> None:
    text = io.StringIO()
    live = Live(Console(file=text, width=200, force_terminal=False))
    live.on_search_begin(overview(multi_fidelity=True))
    live.on_trial_end(TRIALS[0])
    live.on_trial_end(TRIALS[2])
    live.on_trial_begin(trial(4, status="running", started=0.0))  # begun in 1970, resumed now
    table = live._make_table()
    live.close()
    Console(file=text, width=200).print(table)
    assert "1 of 2 candidates done" in text.getvalue()
    assert not re.search(r"\d:\d\d h", text.getvalue())


def test_a_row_of_the_live_table_is_one_line_of_80_columns() -> None:
    text = io.StringIO()
    live = Live(Console(file=text, width=80, force_terminal=False))
    live.on_search_begin(overview())
    live.on_trial_end(trial(1, network="a_family_of_a_very_long_name+another_one_that_is_long"))
    live.on_trial_end(trial(2, params=123_456_789, macs=98_765_432_100, seconds=36_000.0))
    table = live._make_table()
    live.close()
    shown = io.StringIO()
    Console(file=shown, width=80).print(table)
    lines = [line for line in shown.getvalue().splitlines() if line.strip().startswith("│")]
    assert len(lines) == 2 and max(map(len, shown.getvalue().splitlines())) <= 80
    assert "…" in lines[0] and "98.8G" in lines[1] and "10:00 h" in lines[1]


def final_overview() -> Overview:
    return Overview(
        "r", "s", "d", 9, 2, "final", 4, 6, "", 0, None, None, "cpu", 1,
        title="Training s:0001 (winner), resnet-20-cifar (published)",
    )  # fmt: skip


def training(number: int, role: str) -> Any:
    return trial(number, values={"role": role, "seed": 0, "entrant": number - 1})


def test_a_final_training_shows_networks_that_do_not_compete() -> None:
    text = io.StringIO()
    lines = Plain(Console(file=text, width=200))
    lines.on_search_begin(final_overview())
    lines.on_trial_end(training(1, "winner"))
    (_, line) = text.getvalue().splitlines()
    assert line.startswith("   1/4  winner, seed 0")
    assert "val 10.00%" in line and "best" not in line


def test_the_live_table_of_a_final_training_fits_80_columns() -> None:
    text = io.StringIO()
    live = Live(Console(file=text, width=80, force_terminal=False))
    live.on_search_begin(final_overview())
    for number, role in enumerate(("winner", "random", "published"), start=1):
        live.on_trial_end(training(number, role))
    table = live._make_table()
    live.close()
    text.truncate(0)
    Console(file=text, width=80).print(table)
    shown = text.getvalue()
    assert "training" in shown and "network" in shown and "published, seed 0" in shown
    assert "3 of 4 done" in shown
    assert not any(word in shown for word in ("candidate", "family", "best", "…"))


@pytest.mark.parametrize(
    ("pace", "workers", "left"),
    [
        (Pace(None, None), 1, "time left unknown yet"),
        (Pace(20.0, None), 1, "about 1:15 min left"),  # four of 20 s, of which 5 s have passed
        (Pace(20.0, None), 2, "about 38 s left"),
        (Pace(20.0, 130.0), 1, "about 25 s left"),
        (Pace(None, 130.0), 1, "about 25 s left"),
    ],
)
def test_the_time_left_counts_what_runs(
    pace: Pace, workers: int, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("cnnsearch.engine.display.live.time.monotonic", lambda: clock[0])
    live = Live(Console(file=io.StringIO(), width=100))
    live.on_search_begin(replace(overview(), trials=4, workers=workers))
    monkeypatch.setattr(live, "on_tick", lambda: None)
    live.on_pace(pace)
    running = trial(1, status="running", score=None)
    live._rows["0001"] = _Row(running, 0, since=100.0)
    clock[0] = 105.0
    assert live._estimate_left() == f"5.0 s so far, {left}"
    live.close()


@pytest.mark.parametrize(("width", "name"), [(80, "plain baseline"), (120, "of 1:01 min")])
def test_names_are_legible_in_a_narrow_terminal(
    width: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = io.StringIO()
    console = Console(file=text, width=width)
    live = Live(console)
    monkeypatch.setattr(live, "on_tick", lambda: None)
    one = trial(
        1, family="plain", role="baseline", status="running", score=0.9944, predicted_seconds=61.0
    )
    live.on_search_begin(overview())
    live.on_trial_begin(one)
    console.print(live._make_table())
    live.close()
    assert name in text.getvalue()
    assert "candidate" in text.getvalue()
