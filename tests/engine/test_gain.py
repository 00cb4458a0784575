"""What the winner gained over the baseline, and how surely."""

import io
import json
from dataclasses import replace
from typing import Any

import pytest

from cnnsearch.engine.display import JsonLines, write_closing
from cnnsearch.engine.display.callback import Summary
from cnnsearch.engine.gain import describe_gain, measure_gain
from cnnsearch.oracles.protocol import Draws
from cnnsearch.runs.records import TrialRecord


def trial(number: int, score: float | None, role: str = "") -> TrialRecord:
    facts: dict[str, Any] = {key: {} for key in ("values", "architecture", "recipe", "metrics")}
    return TrialRecord(
        id=f"{number:04}", number=number, status="completed", fingerprint="", family="plain",
        epochs=1, started=0.0, score=score, role=role, macs=1_000_000, params=1, **facts,
    )  # fmt: skip


def describe(best: float, plain: float, images: int, objective: str = "accuracy") -> str:
    trials = [trial(0, plain, "baseline"), trial(1, best - 0.1), trial(2, best)]
    gain = measure_gain(trials, images, objective)
    assert gain is not None
    assert (gain.winner, gain.baseline) == ("0002", "0000")
    return describe_gain(gain)


def test_the_interval_is_newcombes() -> None:
    """His example: 56 of 70 against 48 of 80 differ by 0.2, from 0.0524 to 0.3339; here of 80."""
    gain = measure_gain([trial(0, 48 / 80, "baseline"), trial(1, 64 / 80)], 80, "accuracy")
    assert gain is not None and gain.low is not None and gain.high is not None
    # l and u of Wilson: 48/80: 0.4904 to 0.7002; 64/80: 0.6995 to 0.8733 (by hand)
    low = 0.2 - ((0.8 - 0.69950) ** 2 + (0.70020 - 0.6) ** 2) ** 0.5
    high = 0.2 + ((0.87330 - 0.8) ** 2 + (0.6 - 0.49040) ** 2) ** 0.5
    assert gain.low == pytest.approx(low, abs=2e-3)
    assert gain.high == pytest.approx(high, abs=2e-3)


def test_a_clear_gain_is_claimed() -> None:
    text = describe(0.8, 0.7, 10_000)
    assert text.startswith(
        "Better than the plain baseline (trial 0000, 70.00%, 1.00M MACs) by 10.0"
    )
    assert "10,000 validation images" in text


def test_a_gain_within_the_noise_is_not() -> None:
    assert describe(0.72, 0.7, 300).startswith("Not clearly better than the plain baseline")


@pytest.mark.parametrize(("best", "words"), [(0.65, "is 5.00 points below it"), (0.7, "equals it")])
def test_a_baseline_that_wins_is_named(best: float, words: str) -> None:
    text = describe(best, 0.7, 1000)
    assert text.startswith("Not better than the plain baseline") and words in text


def test_a_score_that_is_no_share_has_no_interval() -> None:
    assert "interval" not in describe(0.8, 0.7, 1000, "macro_f1")


def test_without_a_baseline_there_is_no_gain() -> None:
    assert measure_gain([trial(1, 0.5)], 100, "accuracy") is None
    assert measure_gain([trial(0, 0.5, "baseline")], 100, "accuracy") is None
    assert measure_gain([trial(0, None, "baseline"), trial(1, 0.5)], 100, "accuracy") is None


def test_a_search_ends_with_it() -> None:
    gain = measure_gain([trial(0, 0.7, "baseline"), trial(1, 0.8)], 1000, "accuracy")
    assert gain is not None
    best = trial(1, 0.8)
    summary = Summary("r", "trials", best, 2, 0, Draws(drawn=1), 1.0, "runs/r", gain=gain)
    assert describe_gain(gain) in write_closing(summary).splitlines()
    assert "baseline" not in write_closing(replace(summary, gain=None))
    long = write_closing(replace(summary, final_seconds=150.0)).splitlines()
    assert "Evaluate:  cnnsearch train best --run r   (about 2:30 min a seed)" in long
    assert "Evaluate:  cnnsearch train best --run r" in write_closing(summary).splitlines()
    printed = io.StringIO()
    JsonLines(printed).on_search_end(summary)
    assert json.loads(printed.getvalue())["gain"]["baseline"] == "0000"
