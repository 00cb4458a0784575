"""Candidates timed ahead of a search, by an executor that trains nothing on an invented machine."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import pytest

import cnnsearch
from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import try_count
from cnnsearch.architecture.work import count_work
from cnnsearch.data.dataset import Dataset, Split
from cnnsearch.engine.display.lines import Quiet
from cnnsearch.engine.time_measurement import FOLDER, LEAST, SHARE, STEPS, TimeMeasurement
from cnnsearch.engine.training_time import MEASURED, TimePredictor, TrainingTime, _list_terms
from cnnsearch.engine.trial_plan import TrialPlan
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.messages import EpochEnd, Failed, Pretrained, TrialEnd, TrialTask

SPACE = SearchSpace.load("mixed")
TRAIN, VALIDATION, EPOCHS, BATCH = 3840, 1280, 10, 64


def make_dataset() -> Dataset:
    names = {"train": TRAIN, "validation": VALIDATION, "test": 10}
    splits = {name: Split(name, count, (32, 32, 3), Path("none")) for name, count in names.items()}
    return Dataset(
        "none", ("a", "b"), (32, 32), 3, **splits, mean=(0.5,) * 3, std=(0.2,) * 3,
        fingerprint="0" * 32, flip=True,
    )  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """Seconds of steps, on a machine whose rates are far from the model's."""

    grouped: float = 2e-9
    values: float = 4e-9

    def start(self, network: Architecture) -> float:
        return 2.0 + 0.04 * count_work(network).layers

    def step(self, network: Architecture, images: float) -> float:
        spatial, pointwise, grouped, values, smooth, layers = count_work(network)
        work = 2e-11 * spatial + 4e-10 * pointwise + self.grouped * grouped + self.values * values
        return 3e-4 * layers + images * (work + 2e-9 * smooth)

    def train(self, network: Architecture) -> float:
        steps = TRAIN // BATCH * self.step(network, BATCH) + self.step(network, VALIDATION / 3)
        return self.start(network) + EPOCHS * steps


@dataclass
class FakeExecutor:
    """Sends the epochs of a task at once, timed by a machine."""

    machine: Machine = field(default_factory=Machine)
    wrong: Callable[[int], float] = lambda number: 1.0
    slots: int = 1
    tasks: list[TrialTask] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)

    @property
    def free(self) -> int:
        return self.slots - len(self.running)

    def submit(self, task: TrialTask) -> None:
        assert self.free, "no slot is free"
        task.directory.mkdir(parents=True)
        self.tasks.append(task)
        self.running.append(task.trial_id)

    def poll(self, timeout: float) -> list[Any]:
        """Returns the epochs of the first task that runs."""
        task = next(each for each in self.tasks if each.trial_id in self.running)
        network, data = task.architecture, task.dataset
        assert (data.train.count, data.validation.count) == (STEPS * BATCH, STEPS * BATCH)
        train = {"train": STEPS * self.machine.step(network, BATCH)}
        train["evaluate"] = self.machine.step(network, data.validation.count / 3)
        first = {"build": 0.0, "compile": self.machine.start(network), "train": 99.0}
        wrong, trial = self.wrong(self.tasks.index(task) + 1), task.trial_id
        found = [EpochEnd(trial, 1, activities={k: wrong * v for k, v in first.items()})]
        later = {k: wrong * v for k, v in train.items()}
        return [*found, *(EpochEnd(trial, n, activities=later) for n in range(2, 200))]

    def warm(self) -> None: ...
    def cancel(self, trial_id: str) -> None:
        self.cancelled.append(trial_id)
        self.running.remove(trial_id)

    def close(self) -> None: ...


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    found = RunDirectory.create(tmp_path, "r", {}, SPACE.text)
    yield found
    found.close()


def make_measurement(run: RunDirectory, executor: Any, **changes: Any) -> TimeMeasurement:
    trials = TrialPlan(SPACE, make_dataset(), 0, EPOCHS, False, **changes)
    return TimeMeasurement(run, executor, trials, EPOCHS)


def draw(number: int, seed: int) -> list[Candidate]:
    rng, found = random.Random(seed), list[Candidate]()
    while len(found) < number:
        candidate = SPACE.decode(SPACE.sample(rng))
        if not isinstance(try_count(candidate.architecture)[0], Exception):
            found.append(candidate)
    return found


def find_error(predict: Callable[[Candidate], float | None], machine: Machine, seed: int) -> float:
    """Returns the median relative error of other candidates' predicted seconds."""
    errors = []
    for candidate in draw(24, seed):
        found = predict(candidate)
        assert found is not None
        errors.append(abs(found / machine.train(candidate.architecture) - 1))
    return median(errors)


def test_three_candidates_predict_the_others_before_any_is_trained(run: RunDirectory) -> None:
    executor, candidates = FakeExecutor(), draw(40, 0)
    predictor = TimePredictor(run.db, make_dataset())
    assert predictor.needs_measurement
    assert make_measurement(run, executor).measure(candidates, 10.0)
    assert not predictor.needs_measurement and predictor.is_measured
    assert predictor.trained == 0, "nothing is rejected for what was measured alone"
    assert len(executor.tasks) == len(executor.cancelled) == 3
    assert not (run.path / FOLDER).exists()
    work = [executor.machine.train(task.architecture) for task in executor.tasks]
    assert work == sorted(work), "the smallest, the median, the largest"
    rows = run.db.get_events_of(MEASURED)[0].data["rows"]
    assert [row["seconds"] for row in rows] == pytest.approx(work, rel=0.02)
    assert find_error(lambda each: predictor.predict(each, EPOCHS), executor.machine, 1) < 0.3


WRONG: dict[str, Callable[[int], float]] = {
    "busy machine": lambda number: 6.0,
    "too fast": lambda number: 0.1,
    "one of three": lambda number: 3.0 if number == 2 else 1.0,
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_measurement_is_corrected_by_later_candidates(kind: str, run: RunDirectory) -> None:
    executor = FakeExecutor(wrong=WRONG[kind])
    make_measurement(run, executor).measure(draw(40, 0), 10.0)
    (event,) = run.db.get_events_of(MEASURED)
    measured = [(terms_of(task.architecture), row["seconds"])
                for task, row in zip(executor.tasks, event.data["rows"], strict=True)]  # fmt: skip
    trained = draw(12, 2)
    known = [(terms_of(c.architecture), executor.machine.train(c.architecture)) for c in trained]

    def err(number: int) -> float:
        model = TrainingTime.fit_terms(known[:number], measured)
        assert model is not None
        return find_error(lambda each: model.multiply(terms_of(each.architecture)),
                          executor.machine, 3)  # fmt: skip

    if kind != "one of three":
        assert err(0) > 0.8, "nothing is known yet"
    assert err(2) < 0.4
    assert err(12) < 0.12


def terms_of(architecture: Architecture) -> tuple[float, ...]:
    recipe = SPACE.decode_first().recipe
    return _list_terms(Candidate(architecture, recipe), EPOCHS, TRAIN, VALIDATION)


class Endless(FakeExecutor):
    """Trains an epoch that never ends."""

    def poll(self, timeout: float) -> list[Any]:
        return []


class Failing(FakeExecutor):
    """Runs out of memory with the largest candidate."""

    def poll(self, timeout: float) -> list[Any]:
        if len(self.tasks) < 3:
            return super().poll(timeout)
        failed = self.running.pop()
        return [TrialEnd(failed, Failed("out_of_memory", "no memory left"))]


class Interrupted(FakeExecutor):
    """Is interrupted in the second candidate."""

    def poll(self, timeout: float) -> list[Any]:
        if len(self.tasks) == 2:
            raise KeyboardInterrupt
        return super().poll(timeout)


def test_it_ends_in_time_and_leaves_nothing_behind(run: RunDirectory) -> None:
    executor = Endless()
    since = time.monotonic()
    measurement = make_measurement(run, executor)
    why = measurement.measure_within(0.9 * LEAST / SHARE, lambda: pytest.fail("drew candidates"))
    assert "is too short to time candidates ahead" in why
    assert executor.tasks == []
    assert not measurement.measure(draw(9, 0), 0.3)
    assert time.monotonic() - since < 3.0
    assert len(executor.cancelled) == 3
    assert not (run.path / FOLDER).exists() and not run.db.get_events_of(MEASURED)


def test_as_many_are_timed_at_once_as_will_be_trained(run: RunDirectory) -> None:
    class Watched(FakeExecutor):
        def poll(self, timeout: float) -> list[Any]:
            seen.append(list(self.running))
            return super().poll(timeout)

    seen, executor = list[list[str]](), Watched(slots=2)
    assert make_measurement(run, executor).measure(draw(40, 0), 10.0)
    assert [len(each) for each in seen] == [2, 2, 1]
    assert len(executor.cancelled) == 3 and not executor.running
    work = [executor.machine.train(task.architecture) for task in executor.tasks]
    rows = run.db.get_events_of(MEASURED)[0].data["rows"]
    assert [row["seconds"] for row in rows] == pytest.approx(work, rel=0.02)
    endless, since = Endless(slots=2), time.monotonic()
    assert not make_measurement(run, endless).measure(draw(9, 0), 0.4)
    assert len(endless.cancelled) == 3 and time.monotonic() - since < 2.0


def test_a_candidate_that_fails_is_left_out(run: RunDirectory) -> None:
    assert make_measurement(run, Failing()).measure(draw(9, 0), 10.0)
    assert len(run.db.get_events_of(MEASURED)[0].data["rows"]) == 2


def test_an_interruption_ends_its_process(run: RunDirectory) -> None:
    executor = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        make_measurement(run, executor).measure(draw(9, 0), 10.0)
    assert len(executor.cancelled) == 2
    assert not (run.path / FOLDER).exists() and not run.db.get_events_of(MEASURED)


def test_heads_alone_are_not_timed(run: RunDirectory) -> None:
    weights = Pretrained(Path("w"), (0.5,), (0.2,), freeze=True)
    executor = FakeExecutor()
    assert not make_measurement(run, executor, pretrained=weights).measure(draw(9, 0), 10.0)
    assert executor.tasks == []


class Heard(Quiet):
    """Keeps what is said, and when candidates begin."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def on_message(self, text: str) -> None:
        self.texts.append(text.split(":")[0])

    def on_trial_begin(self, trial: Any) -> None:
        self.texts.append(trial.id)


@pytest.mark.slow
def test_a_search_says_its_forecast_before_the_first_candidate(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 1, "baseline": "none", "strategy": "random", "name": "r"}
    first, again = Heard(), Heard()
    for heard, trials in ((first, 1), (again, 2)):
        cnnsearch.search("tiny", "digits", trials=trials, max_time="1h", runs=tmp_path,
                         callback=heard, **settings)  # fmt: skip
    assert first.texts == ["Forecast", "0001"]
    assert again.texts[:2] == ["Forecast", "0002"]
    with closing(RunDirectory.open(tmp_path, "r")) as run:
        assert len(run.db.get_events_of(MEASURED)) == 1
        assert not (run.path / FOLDER).exists()
        assert run.db.get_trial("0001").predicted_seconds
