"""Searches whose executor trains nothing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cnnsearch.architecture.cost import Budget
from cnnsearch.engine.display import Quiet
from cnnsearch.engine.driver import Driver
from cnnsearch.engine.trial_plan import TrialPlan
from cnnsearch.oracles import create_oracle, find_strategy
from cnnsearch.oracles.feasibility import FeasibilityCheck
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.messages import (
    Completed,
    EpochEnd,
    Measurement,
    Outcome,
    TrialEnd,
    TrialTask,
)

SPACE = """
input: [16, 16, 1]
classes: 3
stages:
  - block: {choice: [{type: plain, kernel: {choice: [3, 5, 7]}}, basic, separable]}
    depth: {int: [1, 4]}
    width: {choice: [4, 8, 16, 32]}
recipe: {epochs: 3}
"""


def measurement(score: float) -> Measurement:
    return Measurement({"val_accuracy": score}, score, 0.5, 3, 0, 3, 10, 0.9, 1.0, 100.0)


def by_size(task: TrialTask) -> Outcome:
    """The wider the better: a score without training."""
    return Completed(measurement(min(0.99, len(task.architecture.to_json()) / 400)))


@dataclass
class FakeExecutor:
    """Ends every trial at once, by ``answer``."""

    answer: Callable[[TrialTask], Outcome] = by_size
    slots: int = 1
    tasks: list[TrialTask] = field(default_factory=list)
    before: Callable[[int], None] = lambda number: None
    _queue: list[TrialTask] = field(default_factory=list)

    @property
    def free(self) -> int:
        return self.slots - len(self._queue)

    def submit(self, task: TrialTask) -> None:
        self.before(len(self.tasks))
        self.tasks.append(task)
        self._queue.append(task)

    def poll(self, timeout: float) -> list[Any]:
        if not self._queue:
            return []
        task = self._queue.pop(0)
        epoch = EpochEnd(task.trial_id, 1, {"val_accuracy": 0.5, "loss": 1.0})
        return [epoch, TrialEnd(task.trial_id, self.answer(task))]

    def warm(self) -> None: ...
    def cancel(self, trial_id: str) -> None: ...
    def close(self) -> None: ...


@dataclass
class Search:
    """One run, opened as often as a test likes."""

    root: Path
    budget: Budget = field(default_factory=Budget)
    strategy: str = "evolution"
    seed: int = 0
    trials: int = 12
    text: str = SPACE
    max_failures: int = 5

    @contextmanager
    def run(self) -> Iterator[RunDirectory]:
        exists = RunDirectory.exists(self.root, "r")
        run = (
            RunDirectory.open(self.root, "r")
            if exists
            else RunDirectory.create(self.root, "r", {}, self.text)
        )
        try:
            yield run
        finally:
            run.close()

    def __call__(self, executor: FakeExecutor) -> str:
        space = SearchSpace.from_text(self.text, "space.yaml")
        with self.run() as run:
            oracle = create_oracle(
                self.strategy,
                space,
                check=FeasibilityCheck(space, self.budget),
                store=run.db,
                max_trials=self.trials,
                epochs=3,
                seed=self.seed,
            )
            tracker: Any = SimpleNamespace(notify=lambda: None)
            dataset: Any = SimpleNamespace(train=SimpleNamespace(count=500))
            assignment = TrialPlan(
                space, dataset, self.seed, None, find_strategy(self.strategy).multi_fidelity
            )
            driver = Driver(
                run, oracle, executor, assignment, Quiet(), tracker, None, self.max_failures
            )
            reason = driver.search()
            self.draws = oracle.draws
            return reason

    def trials_of(self) -> Sequence[Any]:
        with self.run() as run:
            return run.db.get_trials()


def proposals(executor: FakeExecutor) -> list[str]:
    return [task.architecture.to_json() for task in executor.tasks]
