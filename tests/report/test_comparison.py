"""Runs side by side."""

from pathlib import Path

import pytest

from cnnsearch.errors import CnnsearchError, RunError
from cnnsearch.report.comparison import (
    build_comparison_table,
    compare_runs,
    compute_dominated_area,
    count_dominated,
    summarize_comparison,
)
from tests.report.conftest import Make


def test_differing_settings_and_a_conclusion_are_shown(make: Make, tmp_path: Path) -> None:
    make("one", seed=1)
    make("two", seed=2, max_macs=10**6)
    found = compare_runs(tmp_path, ["one", "two"])
    assert set(found[0].settings) == {"seed", "max_macs"}
    assert [one.finished for one in found] == [27, 27] and found[0].failed == 3
    assert all(0 < (one.volume or 0) < 1 for one in found)
    assert build_comparison_table(found).row_count == 2 + 9
    (line,) = summarize_comparison(found)
    assert "points ahead of" in line and "several seeds" in line


def test_what_cannot_be_compared_is_refused(make: Make, tmp_path: Path) -> None:
    make("one")
    make("other", objective="macro_f1")
    for names, words in (
        (["one"], "expected at least two runs, got 1"),
        (["one", "one"], "named twice"),
        (["one", "tow"], "no run 'tow'"),
        (["one", "other"], "have different objectives"),
    ):
        with pytest.raises((CnnsearchError, RunError)) as caught:
            compare_runs(tmp_path, names)
        assert words in str(caught.value)


def test_a_better_front_dominates_more(make: Make) -> None:
    from cnnsearch.runs.ranking import find_pareto_front

    front = find_pareto_front(make().db.get_trials())
    low, high = front[0].macs or 1, 2 * (front[-1].macs or 1)
    whole = compute_dominated_area(front, low, high)
    assert compute_dominated_area(front[:1], low, high) < whole < (front[-1].score or 0)


def test_a_front_is_not_beaten_by_itself_but_by_a_better_one(make: Make) -> None:
    from dataclasses import replace

    from cnnsearch.runs.ranking import find_pareto_front

    front = find_pareto_front(make().db.get_trials())
    better = [replace(trial, score=(trial.score or 0) + 0.001) for trial in front]
    assert count_dominated(front, [front]) == 0 and count_dominated(better, [front]) == 0
    assert count_dominated(front, [better]) == len(front) > 1
