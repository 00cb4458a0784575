"""A comparison of spaces with an executor that trains nothing."""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from cnnsearch import cli
from cnnsearch.architecture.cost import count
from cnnsearch.engine import search, session
from cnnsearch.errors import CnnsearchError
from cnnsearch.studies.space_comparison import SpaceComparison, compare_spaces
from cnnsearch.studies.space_comparison.statistics import (
    compare_draws,
    compare_means,
    compute_band,
    compute_edf,
)
from cnnsearch.studies.space_comparison.summary import explain, make_table
from cnnsearch.training.messages import Completed, Failed, Measurement, Outcome, TrialEnd, TrialTask

SPACE = """
input: [8, 8, 1]
classes: 10
stages: [{block: BLOCK, depth: {int: [1, 3]}, width: {int: [4, 60]}}]
recipe: {learning_rate: 0.01, epochs: 2}
"""
Compare = Callable[..., SpaceComparison]


def by_family(task: TrialTask) -> Outcome:
    """Plain networks are ten points better; those of some widths cannot be trained."""
    params = count(task.architecture).params
    if task.architecture.stages[0].width % 6 == 0:
        return Failed("nan", "the loss became nan")
    score = 0.5 + params / 10**7 + 0.1 * (task.architecture.family == "plain")
    return Completed(Measurement({"val_accuracy": score}, score, 0.5, 3, 0, 3, 10, 0.9, 1.0, 100.0))


@dataclass
class FakeExecutor:
    stop_after: int = 10**6
    tasks: list[TrialTask] = field(default_factory=list)
    _queue: list[TrialTask] = field(default_factory=list)

    @property
    def free(self) -> int:
        return 1 - len(self._queue)

    def submit(self, task: TrialTask) -> None:
        self.tasks.append(task)
        self._queue.append(task)
        if len(self.tasks) == self.stop_after:
            os.kill(os.getpid(), signal.SIGINT)

    def poll(self, timeout: float) -> list[Any]:
        return [TrialEnd(task.trial_id, by_family(task)) for task in [self._queue.pop(0)]]

    def warm(self) -> None: ...
    def cancel(self, trial_id: str) -> None: ...
    def close(self) -> None: ...


class NoTracker:
    def __init__(self, *args: Any, **options: Any) -> None: ...
    def start(self) -> None: ...
    def notify(self) -> None: ...
    def close(self, timeout: float = 0.0) -> None: ...


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> FakeExecutor:
    made = FakeExecutor()
    monkeypatch.setattr(session, "Tracker", NoTracker)
    monkeypatch.setattr(search, "make_executor", lambda placement: made)
    return made


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two spaces, of plain and of separable blocks."""
    for name in ("separable", "plain"):
        (tmp_path / f"my-{name}.yaml").write_text(SPACE.replace("BLOCK", name))
    return [str(tmp_path / "my-separable.yaml"), str(tmp_path / "my-plain.yaml")]


@pytest.fixture
def compare(executor: FakeExecutor, files: list[str], tmp_path: Path) -> Compare:
    def run(**options: Any) -> SpaceComparison:
        return compare_spaces(
            files, **{"candidates": 8, "runs": tmp_path / "runs", "name": "c", **options}
        )

    return run


def test_the_better_space_is_found_and_the_figure_drawn(
    compare: Compare, executor: FakeExecutor
) -> None:
    found = compare()
    separable, plain = found.samples
    assert (separable.space, plain.space) == ("my-separable", "my-plain")
    assert len(plain.errors) == len(separable.errors) == 8
    (difference,) = found.differences
    gap = np.mean(plain.errors) - np.mean(separable.errors)
    assert difference.mean.value == pytest.approx(gap)
    assert difference.mean.high < 0 and difference.wins.value == 1.0
    assert explain(found)[0].endswith("my-plain is the better space.")
    assert make_table(found).row_count == 2
    assert {task.epochs for task in executor.tasks} == {2}
    from PIL import Image

    assert found.plot is not None
    with Image.open(found.plot) as picture:
        assert picture.size[0] > 300 and len(picture.getcolors(10**6) or ()) > 20


def test_failures_are_counted_and_in_no_figure(compare: Compare) -> None:
    sample = compare(candidates=12).samples[0]
    assert sample.failed > 0
    assert len(sample.errors) == len(sample.macs) == 12
    assert max(sample.errors) < 0.5, "a failed candidate is replaced by another"


def test_an_interrupted_comparison_is_resumed_and_extended(
    compare: Compare, executor: FakeExecutor
) -> None:
    executor.stop_after = 5
    stopped = compare()
    assert stopped.reason == "interrupted" and not stopped.differences
    assert len(executor.tasks) == 5
    done = compare()
    planned = sum(len(each.errors) + each.failed for each in done.samples)
    assert len(executor.tasks) - planned in (0, 1), "only the interrupted one is trained again"
    assert done.differences
    again = compare(candidates=10)
    assert [len(each.errors) for each in again.samples] == [10, 10]
    assert again.samples[0].errors[: len(done.samples[0].errors)] == done.samples[0].errors


def test_both_spaces_keep_to_the_budget(compare: Compare) -> None:
    found = compare(max_macs=300_000)
    assert max(macs for sample in found.samples for macs in sample.macs) <= 300_000


def test_the_command_prints_json(
    executor: FakeExecutor,
    files: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = ["--candidates", "6", "--runs", str(tmp_path / "runs"), "--name", "c"]

    def run(mode: str) -> str:
        monkeypatch.setattr(sys, "argv", ["cnnsearch", "spaces", "compare", *files, *options, mode])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert not end.value.code
        return capsys.readouterr().out

    found = json.loads(run("--json"))
    assert [each["space"] for each in found["samples"]] == ["my-separable", "my-plain"]
    assert run("--quiet") == ""
    assert "my-plain against my-separable: mean error -" in run("--plain")


@pytest.mark.parametrize(
    ("spaces", "options", "rule"),
    [
        (["tiny"], {}, "spaces compare: expected at least 2 spaces, got 1"),
        (["tiny", "tiny"], {}, "spaces compare: tiny: two spaces have this name"),
        (["tiny", "dense"], {"candidates": 4}, "--candidates: expected at least 5, got 4"),
        (["tiny", "dense"], {"trials": 4}, "--trials: is not an option of a comparison"),
        (["tiny", "dens"], {}, "'dense'"),
    ],
)
def test_a_mistake_is_one_line(
    spaces: list[str], options: dict[str, Any], rule: str, tmp_path: Path
) -> None:
    with pytest.raises(CnnsearchError, match=rule):
        compare_spaces(spaces, runs=tmp_path, **options)


def test_the_distribution_is_scipys() -> None:
    errors = [0.3, 0.1, 0.2, 0.2]
    at = np.array([0.05, 0.1, 0.2, 0.25, 0.3])
    expected = stats.ecdf(errors).cdf.evaluate(at)
    assert compute_edf(errors, at).tolist() == expected.tolist()
    low, high = compute_band(errors, at)
    assert (low <= expected).all() and (expected <= high).all() and (high - low).max() > 0.5


def test_intervals_cover_what_the_statistics_say() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(0.3, 0.05, 60).tolist(), rng.normal(0.33, 0.05, 80).tolist()
    mean, wins = compare_means(one, other), compare_draws(one, other)
    welch = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    assert (mean.low, mean.high) == pytest.approx((welch.low, welch.high), abs=0.002)
    below = stats.mannwhitneyu(other, one).statistic / (len(one) * len(other))
    assert wins.value == pytest.approx(below)
    assert wins.low < wins.value < wins.high
