"""A whole study: with an executor that trains nothing, and for real, killed in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cnnsearch import cli
from cnnsearch.architecture.cost import count
from cnnsearch.engine import session
from cnnsearch.errors import CnnsearchError, RunError
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.studies.fidelity import FidelityReport, fidelity
from cnnsearch.studies.fidelity import study as studying
from cnnsearch.studies.fidelity.summary import explain_report, format_ordinal, make_table
from cnnsearch.training.messages import Completed, Failed, Measurement, Outcome, TrialEnd, TrialTask

SPACE = """
input: [8, 8, 1]
classes: 10
stages: [{block: plain, depth: {int: [1, 3]}, width: {choice: [4, 6, 8, 10, 12, 16]}}]
recipe: {learning_rate: 0.01, epochs: 2}
"""
Answer = Callable[[TrialTask], Outcome]


def scored(score: float, seconds: float = 1.0) -> Completed:
    return Completed(
        Measurement({"val_accuracy": score}, score, 0.5, 3, 0, 3, 10, 0.9, seconds, 100.0)
    )


def by_size(task: TrialTask) -> Outcome:
    """The larger the better, at every length."""
    params = count(task.architecture).params
    return scored(params / (params + 5000), seconds=task.epochs)


def long_ones_the_other_way(task: TrialTask) -> Outcome:
    found = by_size(task)
    assert isinstance(found, Completed)
    score = found.measurement.val_accuracy or 0.0
    return scored(1 - score) if task.epochs == 8 else found


@dataclass
class FakeExecutor:
    answer: Answer = by_size
    tasks: list[TrialTask] = field(default_factory=list)
    stop_after: int = 10**6
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
        return [TrialEnd(task.trial_id, self.answer(task)) for task in [self._queue.pop(0)]]

    def warm(self) -> None: ...
    def cancel(self, trial_id: str) -> None: ...
    def close(self) -> None: ...


class NoTracker:
    def __init__(self, *args: Any, **options: Any) -> None: ...
    def start(self) -> None: ...
    def notify(self) -> None: ...
    def close(self, timeout: float = 0.0) -> None: ...


Study = Callable[..., tuple[FidelityReport, FakeExecutor]]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """Runs a study in ``tmp_path``; returns its report and the executor that it used."""
    monkeypatch.setattr(session, "Tracker", NoTracker)

    def run(answer: Answer = by_size, **options: Any) -> tuple[FidelityReport, FakeExecutor]:
        executor = FakeExecutor(answer, stop_after=options.pop("stop_after", 10**6))
        monkeypatch.setattr(studying, "make_executor", lambda placement: executor)
        asked = {"candidates": 8, "short": 2, "long": 8, "runs": tmp_path / "runs", "name": "f"}
        return fidelity(SearchSpace.from_text(SPACE, "s"), **{**asked, **options}), executor

    return run


def test_equal_rankings_are_trusted_and_the_picture_shows_them(study: Study) -> None:
    report, executor = study()
    (found,) = report.comparisons
    assert (found.spearman.value, found.kendall.value) == pytest.approx((1, 1))
    assert (found.regret, found.needed, found.overlap, found.top) == (0, 1, 2, 2)
    assert found.trusted and found.speedup == 4
    assert found.upper == pytest.approx(1)
    assert report.by_macs == pytest.approx(1)
    assert len(executor.tasks) == 16
    assert {task.epochs for task in executor.tasks} == {2, 8}
    assert len({task.seed for task in executor.tasks}) == 16
    assert report.plot == report.run / "fidelity.png"
    from PIL import Image

    with Image.open(report.plot) as picture:
        assert picture.size[0] > 300 and len(picture.getcolors(10**6) or ()) > 20


def test_opposite_rankings_are_not_trusted(study: Study) -> None:
    report, _ = study(long_ones_the_other_way, candidates=10)
    (found,) = report.comparisons
    assert found.spearman.value == pytest.approx(-1)
    assert (found.needed, found.overlap) == (10, 0)
    assert found.regret > found.random_regret > 0
    told = " ".join(explain_report(report))
    assert "below 0.8: do not trust short trials" in told
    assert "the best long one is the 10th by short trials" in told


def test_a_lever_costs_only_short_trainings_and_the_sample_stays(study: Study) -> None:
    _, before = study()
    report, executor = study(levers=["ema=0.9", "train_share=0.5,epochs=3"])
    assert [one.label for one in report.comparisons] == [
        *("2 epochs", "2 epochs, ema=0.9", "3 epochs, train_share=0.5")
    ]
    assert len(executor.tasks) == 16
    recipes = [task.recipe for task in executor.tasks]
    assert [recipe.ema for recipe in recipes] == [0.9] * 8 + [None] * 8
    full = before.tasks[0].dataset.train.count
    assert executor.tasks[-1].dataset.train.count == pytest.approx(full / 2, abs=6)
    sampled = {task.architecture.fingerprint for task in before.tasks}
    assert {task.architecture.fingerprint for task in executor.tasks} == sampled
    assert make_table(report).row_count == 3


def test_interrupted_it_reports_what_it_has_and_resumes(study: Study) -> None:
    report, first = study(stop_after=5)
    assert (report.reason, report.comparisons, report.plot) == ("interrupted", (), None)
    report, second = study()
    assert report.reason == "trials"
    assert len(first.tasks) == 5
    assert len(first.tasks) + len(second.tasks) == 16
    assert report.comparisons[0].pairs == 8


def test_a_failed_candidate_is_left_out_and_reported(study: Study) -> None:
    def answer(task: TrialTask) -> Outcome:
        return (
            Failed("nan", "the loss became nan") if "0003-long" in task.trial_id else by_size(task)
        )

    report, _ = study(answer)
    assert report.comparisons[0].pairs == 7
    assert report.failed == 1
    assert any("1 candidate failed" in line for line in explain_report(report))


def test_repeated_long_trainings_tell_the_noise_of_seeds(study: Study) -> None:
    def answer(task: TrialTask) -> Outcome:
        found = by_size(task)
        assert isinstance(found, Completed)
        shift = 0.02 if task.trial_id.endswith("again") else 0.0
        return scored((found.measurement.val_accuracy or 0.0) + shift)

    report, executor = study(answer, repeat=3)
    assert len(executor.tasks) == 19
    assert report.noise is not None and report.noise.pairs == 3
    assert report.noise.deviation == pytest.approx(0.02 / 2**0.5)
    assert any("differ by 2.0 points" in line for line in explain_report(report))


def test_smaller_images_are_read_by_short_trainings_alone(study: Study) -> None:
    _, executor = study(image=6)
    sizes = {(task.epochs, task.dataset.image) for task in executor.tasks}
    assert sizes == {(2, (6, 6)), (8, (8, 8))}


def test_another_sample_under_the_same_name_is_refused(study: Study) -> None:
    study()
    with pytest.raises(RunError, match="run 'f' was begun with another value of --seed"):
        study(seed=1)
    with pytest.raises(RunError, match="another value of the space file"):
        study(recipe={"batch_size": 16})


def test_a_search_does_not_go_on_with_it(study: Study, tmp_path: Path) -> None:
    study()
    from cnnsearch.engine.search import resume

    with pytest.raises(RunError, match="run 'f' is of cnnsearch fidelity, not search"):
        resume("f", runs=tmp_path / "runs")


def test_a_space_of_too_few_candidates_is_refused(study: Study, tmp_path: Path) -> None:
    with pytest.raises(CnnsearchError, match="holds only 2 candidates within the budget"):
        study(max_params="150")
    assert not (tmp_path / "runs" / "f").exists()


def test_settings_of_a_search_are_taken_but_for_those_that_the_study_sets(study: Study) -> None:
    _, executor = study(objective="macro_f1", trial_timeout="10m")
    assert {task.objective for task in executor.tasks} == {"macro_f1"}
    with pytest.raises(CnnsearchError, match="--strategy: is not an option of a fidelity study"):
        study(strategy="grid")
    with pytest.raises(CnnsearchError, match="objektive: no such setting"):
        study(objektive="macro_f1")


def test_ordinals() -> None:
    assert [format_ordinal(n) for n in (1, 2, 3, 4, 11, 12, 21, 112)] == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "21st", "112th")
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--candidates", "3"], "--candidates: expected at least 4, got 3"),
        (["--short", "soon"], "--short: expected epochs such as 4 or 2,4,8, got 'soon'"),
        (["--short", "5", "--long", "5"], "--long: expected more than the 5 epochs"),
        (["--lever", "ema=2"], "--lever 15 epochs, ema=2: recipe.ema: "),
        (["--set", "emma=0.9"], "recipe.emma: unknown key"),
        (["--repeat", "99"], "--repeat: expected 0 to 30 candidates, got 99"),
        (["--train-share", "0"], "--train-share: expected above 0 and at most 1, got 0"),
        (["--image", "0"], "--image: expected a side in pixels"),
        (["--max-macs", "few"], "--max-macs: expected a positive number"),
        (["--data", "nowhere"], "unknown data set 'nowhere'"),
        (["--name", "../f"], "run name '../f'"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["cnnsearch", "fidelity", "tiny", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    output = capsys.readouterr()
    assert message in output.err
    assert output.err.count("\n") == 1 and output.out == ""


def started(folder: Path, *more: str) -> "subprocess.Popen[str]":
    (folder / "s.yaml").write_text(SPACE)
    command = [sys.executable, "-m", "cnnsearch", "fidelity", "s.yaml", "--candidates", "4"]
    command += ["--short", "1", "--long", "2", "--name", "f", *more]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_killed_in_the_middle_it_resumes_and_measures(tmp_path: Path) -> None:
    victim = started(tmp_path)
    assert victim.stdout is not None
    lines = iter(victim.stdout)
    while "  2/8  " not in next(lines):
        pass
    time.sleep(0.5)
    victim.kill()
    victim.wait()
    victim.stdout.close()
    with closing(RunDirectory.open(tmp_path / "runs", "f")) as run:
        before = {trial.id: trial for trial in run.db.get_trials() if trial.status == "completed"}
    assert 2 <= len(before) < 8
    done = started(tmp_path, "--json")
    output, _ = done.communicate(timeout=600)
    assert done.returncode == 0
    report = json.loads(output)
    assert [one["pairs"] for one in report["comparisons"]] == [4]
    assert Path(tmp_path / report["plot"]).stat().st_size > 5000
    with closing(RunDirectory.open(tmp_path / "runs", "f")) as run:
        after = {trial.id: trial for trial in run.db.get_trials()}
    assert len(after) == 8
    assert all(after[name] == trial for name, trial in before.items())
