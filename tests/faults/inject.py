"""Injects faults into trials and counts who reaches the full budget all the same.

    python -m tests.faults.inject --trials 40 --out benchmarks/faults/inject.txt

Processes, pipes, deaths, time-outs, retries, oracle and journal are the real ones; what a trial
does in its process is not a training but a few milliseconds that leave a checkpoint an epoch, so
that hundreds of trials take minutes. Which attempt at which trial is struck, by what and after
which epoch follows from the seed.
"""

import argparse
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from cnnsearch.architecture.cost import Budget
from cnnsearch.engine.display import Quiet
from cnnsearch.engine.driver import Driver
from cnnsearch.engine.executors import ProcessExecutor, child
from cnnsearch.engine.trial_plan import TrialPlan
from cnnsearch.oracles import STRATEGIES, create_oracle, find_strategy
from cnnsearch.oracles.feasibility import FeasibilityCheck
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.messages import (
    Completed,
    EpochEnd,
    Event,
    Failed,
    Measurement,
    TrialEnd,
    TrialTask,
)
from cnnsearch.training.trial import classify_error
from tests.faults.report import table, write

KINDS = ("out of memory", "exhausted", "exception", "nan", "hang", "segfault", "SIGTERM")
EPOCHS = 9
TIMEOUT = 2.0
SPACE = """
input: [8, 8, 1]
classes: 10
stem: [{type: conv, filters: {int: [4, 64]}}]
stages:
  - block: {choice: [basic, plain]}
    depth: {int: [1, 3]}
    width: {int: [4, 128]}
recipe: {epochs: 9, learning_rate: {log: [1.0e-4, 1.0e-1]}}
"""


class ResourceExhaustedError(Exception):
    """What TensorFlow raises when a device has no memory left, by name and text."""


def main_of_trial(pipe: Connection, orders: child.ChildTask, *, share: float, seed: int) -> None:
    """Runs in a trial's own process, in place of ``child.main``."""
    child.run_trial = partial(faulty, share=share, seed=seed)
    child._prepare = lambda orders, task: None  # no backend is needed
    child.main(pipe, orders)


def faulty(task: TrialTask, *, share: float, seed: int) -> Iterator[Event]:
    """Does what a trial does, unless the dice have it struck."""
    rng = random.Random(f"{seed}/{task.trial_id}/{task.attempt}")
    struck = rng.random() < share
    kind, after = rng.choice(KINDS), rng.randrange(task.epochs - task.initial_epoch)
    told = 0
    for event in trained(task):
        if struck and told >= after:
            yield strike(kind, task)
            return
        yield event
        told += isinstance(event, EpochEnd) and not event.replayed


def trained(task: TrialTask) -> Iterator[Event]:
    """Goes on from the last epoch and leaves one file an epoch."""
    for epoch in range(task.initial_epoch + 1, task.epochs + 1):
        done = task.directory / f"epoch-{epoch}"
        replayed = done.exists()
        if not replayed:
            time.sleep(0.002)
            done.touch()
        yield EpochEnd(task.trial_id, epoch, {"val_accuracy": 0.5, "loss": 1.0}, replayed)
    score = random.Random(task.architecture.to_json()).random()
    yield TrialEnd(
        task.trial_id,
        Completed(
            Measurement({"val_accuracy": score}, score, 0.5, task.epochs, 0, 1, 10, 0.9, 1.0, 100.0)
        ),
    )


def strike(kind: str, task: TrialTask) -> TrialEnd:
    """Ends the trial in one of the ways in which trials end."""
    errors: dict[str, Exception] = {
        "out of memory": MemoryError(),
        "exhausted": ResourceExhaustedError("OOM when allocating tensor"),
        "exception": raise_in_keras(),
    }
    if kind in errors:
        return TrialEnd(task.trial_id, classify_error(errors[kind], task.directory))
    if kind == "nan":
        return TrialEnd(task.trial_id, Failed("nan", "the loss became nan in epoch 1"))
    die(kind)


def raise_in_keras() -> Exception:
    """Returns an error that passed through Keras: the candidate's, not a bug of ours."""
    try:
        exec("raise RuntimeError('something that nobody foresaw')", {"__name__": "keras.layers"})
    except RuntimeError as error:
        return error
    raise AssertionError


def die(kind: str) -> NoReturn:
    """Ends the process, or never ends."""
    signals = {"segfault": signal.SIGSEGV, "SIGTERM": signal.SIGTERM}
    if kind in signals:
        signal.signal(signals[kind], signal.SIG_DFL)
        os.kill(os.getpid(), signals[kind])
    while True:
        time.sleep(60)


@dataclass
class Found:
    """What a search came to.

    Attributes:
        full: candidates that were trained for all epochs.
        drawn: candidates in all.
        failed: trials by the first word of their reason.
        retried: attempts beyond the first.
        doubled: trials that ended twice, and epochs that were journalled twice.
        lost: trials that began and never ended.
        seconds: it took.
    """

    full: int
    drawn: int
    failed: Counter[str] = field(default_factory=Counter)
    retried: int = 0
    doubled: int = 0
    lost: int = 0
    seconds: float = 0.0


def search(root: Path, strategy: str, trials: int | None, share: float, seed: int) -> Found:
    """Runs one search with faults in a share of all attempts.

    Args:
        root: for the run.
        strategy: name.
        trials: candidates wanted; None: one pass of Hyperband's schedule.
        share: of attempts that are struck.
        seed: of the search and of the faults.
    """
    space = SearchSpace.from_text(SPACE, "space.yaml")
    run = RunDirectory.create(root, f"{strategy}-{share:g}", {}, SPACE)
    oracle = create_oracle(
        strategy, space, check=FeasibilityCheck(space, Budget()), store=run.db,
        max_trials=trials, epochs=EPOCHS, seed=seed,
    )  # fmt: skip
    data: Any = SimpleNamespace(train=SimpleNamespace(count=500))
    tracker: Any = SimpleNamespace(notify=lambda: None)
    assignment = TrialPlan(space, data, seed, None, find_strategy(strategy).multi_fidelity)
    target = partial(main_of_trial, share=share, seed=seed)
    executor = ProcessExecutor(2, timeout=TIMEOUT, target=target)
    since = time.monotonic()
    try:
        Driver(run, oracle, executor, assignment, Quiet(), tracker).search()
    finally:
        executor.close()
    found = counted(run)
    found.seconds = time.monotonic() - since
    run.close()
    return found


def counted(run: RunDirectory) -> Found:
    """Reads what happened in a run from its journal."""
    trials = run.db.get_trials()
    ends = Counter(event.trial_id for event in run.db.get_events_of("trial_ended"))
    epochs = Counter((e.trial_id, e.data["epoch"]) for e in run.db.get_events_of("epoch"))
    return Found(
        full=sum(t.status == "completed" and t.epochs == EPOCHS for t in trials),
        drawn=len({trial.fingerprint for trial in trials}),
        failed=Counter(str(t.reason).split(":")[0] for t in trials if t.status == "failed"),
        retried=len(run.db.get_events_of("trial_retried")),
        doubled=sum(n - 1 for n in ends.values()) + sum(n - 1 for n in epochs.values()),
        lost=sum(trial.status == "running" for trial in trials),
    )


HEAD = (
    *("strategy", "seed", "full without faults", "full with faults", "drawn", "retried"),
    *("lost", "doubled", "seconds", "failed for good"),
)


def row(strategy: str, seed: int, whole: Found, hurt: Found) -> tuple[object, ...]:
    """Returns a line of the table."""
    why = ", ".join(f"{number} {kind}" for kind, number in sorted(hurt.failed.items()))
    counts = (whole.full, hurt.full, hurt.drawn, hurt.retried, hurt.lost, hurt.doubled)
    return (strategy, seed, *counts, round(hurt.seconds), why)


def main() -> None:
    """Searches with every strategy, without faults and with them, and writes a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--share", type=float, default=0.3)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    rows, wrong = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for strategy, seed in product([s.name for s in STRATEGIES], range(asked.seeds)):
            wanted = None if find_strategy(strategy).multi_fidelity else asked.trials
            root = Path(folder) / f"{strategy}-{seed}"
            whole = search(root, strategy, wanted, 0.0, seed)
            hurt = search(root, strategy, wanted, asked.share, seed)
            rows.append(row(strategy, seed, whole, hurt))
            print(*rows[-1], flush=True)
            wrong += whole.full - hurt.full + hurt.lost + hurt.doubled
    text = (
        f"Struck: {asked.share:.0%} of all attempts, before or in the middle of training, by one "
        f"of:\n{', '.join(KINDS)}.\nTwo workers, trial timeout {TIMEOUT:g} s. Full: candidates "
        f"trained for all {EPOCHS} epochs.\n\n{table(HEAD, rows)}\n\n"
        f"Short, lost or doubled in all: {wrong}"
    )
    if asked.out:
        write(asked.out, "inject", asked, text)
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    from tests.faults.inject import main as named  # trials' processes import it by this name

    named()
