"""Checkpoints that are written beside training: complete, in order, and of the epoch they say."""

import errno
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.data import Dataset
from cnnsearch.errors import DiskFullError, RunError
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training import batches, checkpoint, checkpoint_writer, trainer
from cnnsearch.training.checkpoint import Checkpoint
from cnnsearch.training.checkpoint_writer import CheckpointWriter
from cnnsearch.training.history import Epoch
from cnnsearch.training.messages import CandidateFailure, TrialTask
from cnnsearch.training.steps import TensorFlowSteps
from cnnsearch.training.trainer import Training
from tests.training.train import train

SAVE = np.savez


def read_number(path: Path) -> float:
    found = checkpoint.read(path)
    assert found is not None
    return float(found.arrays[0])


def patch_save(monkeypatch: pytest.MonkeyPatch, before: Callable[[], None]) -> None:
    def save(*args: Any, **named: Any) -> None:
        before()
        SAVE(*args, **named)

    monkeypatch.setattr(np, "savez", save)


def one_file(path: Path, value: Any) -> dict[Path, Checkpoint]:
    return {path: Checkpoint({}, (np.asarray(value),))}


def test_training_goes_on_meanwhile_and_changes_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_write = threading.Event()
    patch_save(monkeypatch, lambda: may_write.wait() and None)
    weights, path = np.array(1.0), tmp_path / checkpoint.STATE
    with closing(CheckpointWriter()) as writer:
        writer.start(one_file(path, weights))
        assert not writer.is_done and not path.exists()
        weights[...] = 2.0
        may_write.set()
        writer.finish()
        assert writer.is_done and read_number(path) == 1.0


def test_what_is_too_large_to_copy_is_complete_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_writer, "MOST_COPIED", 7)
    path = tmp_path / checkpoint.STATE
    patch_save(monkeypatch, lambda: time.sleep(0.2))
    with closing(CheckpointWriter()) as writer:
        writer.start(one_file(path, 1.0))
        assert writer.is_done and path.exists()


def test_the_best_weights_are_never_newer_than_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, state, best = [1], tmp_path / checkpoint.STATE, tmp_path / checkpoint.BEST

    def fail_while_any_is_left() -> None:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.ENOSPC, "No space left on device")

    patch_save(monkeypatch, fail_while_any_is_left)
    with closing(CheckpointWriter()) as writer:
        writer.start({**one_file(state, 1.0), **one_file(best, 1.0)})
        with pytest.raises(DiskFullError, match="No space left on device"):
            writer.finish()
        assert not best.exists()
        writer.retry()
        writer.finish()
    assert (read_number(state), read_number(best)) == (1.0, 1.0)


def test_an_epoch_says_how_long_its_checkpoint_has_kept_it(
    digits: Dataset, small: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs = [e for e in run_slowly(monkeypatch, digits, small, tmp_path) if isinstance(e, Epoch)]
    first, second, last = (epoch.age for epoch in epochs)
    assert min(first, second) >= 0.05 > last  # for the last one's it was waited before it ended


def run_slowly(
    monkeypatch: pytest.MonkeyPatch, data: Dataset, network: Architecture, folder: Path
) -> Iterator[Epoch | str]:
    """Yields from a training of three epochs whose checkpoints take longer than a step."""
    patch_save(monkeypatch, lambda: time.sleep(0.05))
    recipe = TrainingRecipe(batch_size=64)
    return Training(TrialTask("t", network, recipe, data, folder, 3, seed=2)).run()


def test_an_epoch_is_reported_when_its_checkpoint_is_on_disk_and_the_next_one_is_trained(
    digits: Dataset, small: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MOST_GROUPED", 1)  # steps are counted by calls
    each = digits.train.count // 64
    may_write, written, steps = threading.Semaphore(0), threading.Semaphore(0), list[int]()
    write, trained = checkpoint_writer.write_files, TensorFlowSteps.train

    def wait_and_write(files: Any) -> None:
        may_write.acquire(timeout=5)
        write(files)
        written.release()

    def train_step(self: TensorFlowSteps, batch: Any) -> Any:
        steps.append(1)
        if len(steps) in (each + 3, 2 * each + 3):  # in the epoch after
            may_write.release()
            written.acquire(timeout=5)
        if len(steps) == 3 * each:
            may_write.release()
        return trained(self, batch)

    monkeypatch.setattr(checkpoint_writer, "write_files", wait_and_write)
    monkeypatch.setattr(TensorFlowSteps, "train", train_step)
    recipe, seen = TrainingRecipe(batch_size=64), list[int]()
    for epoch in Training(TrialTask("t", small, recipe, digits, tmp_path, 3)).run():
        assert isinstance(epoch, Epoch)
        state = checkpoint.read(tmp_path / checkpoint.STATE)
        assert state is not None and state.header["epoch"] == epoch.number
        seen.append(len(steps))
    assert each + 3 <= seen[0] < 2 * each < 2 * each + 3 <= seen[1] < 3 * each == seen[2]


def test_a_full_disk_pauses_the_training_and_loses_nothing(
    digits: Dataset, small: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "DISK_RETRY", 0.0)
    running = run_slowly(monkeypatch, digits, small, tmp_path / "full")
    numbers, saves = [], [0]

    def fail_in_the_second_epoch() -> None:
        saves[0] += 1
        if 3 <= saves[0] <= 5:
            raise OSError(errno.ENOSPC, "No space left on device")

    patch_save(monkeypatch, fail_in_the_second_epoch)
    told = []
    for event in running:
        if isinstance(event, str):
            told.append(event)
        else:
            numbers.append((event.number, event.metrics["loss"]))
    assert len(told) == 3 and "device: paused until there is room" in told[0]
    calm = run_slowly(monkeypatch, digits, small, tmp_path / "calm")
    assert numbers == [(e.number, e.metrics["loss"]) for e in calm if isinstance(e, Epoch)]


def test_a_checkpoint_that_cannot_be_written_ends_the_training(
    digits: Dataset, small: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    running = run_slowly(monkeypatch, digits, small, tmp_path)
    patch_save(monkeypatch, fail)
    with pytest.raises(RunError, match="cannot be written: Read-only file system"):
        list(running)


def test_an_epoch_before_a_failure_is_reported(
    digits: Dataset, small: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MOST_GROUPED", 1)  # steps are counted by calls
    running = run_slowly(monkeypatch, digits, small, tmp_path)
    trained, steps = TensorFlowSteps.train, list[int]()

    def train_step(self: TensorFlowSteps, batch: Any) -> Any:
        steps.append(1)
        if len(steps) > digits.train.count // 64:  # in epoch 2, at once
            raise CandidateFailure("nan", "the loss became nan")
        return trained(self, batch)

    monkeypatch.setattr(TensorFlowSteps, "train", train_step)
    epoch = next(running)
    assert isinstance(epoch, Epoch) and epoch.number == 1
    with pytest.raises(CandidateFailure):
        next(running)


KILLED = """
import os, signal, sys, threading
from pathlib import Path
import numpy as np
from cnnsearch.data import load
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.steps import TensorFlowSteps
from tests.conftest import architecture
from tests.training.train import train

folder, cache = map(Path, sys.argv[1:])
begun, states = threading.Event(), []
write, step = np.savez, TensorFlowSteps.train

def write_half(file, **named):
    if len(named) > 20:  # a state: weights, statistics and the optimizer
        states.append(file)
        if len(states) == 2:
            file.write(b"half")
            begun.set()
            threading.Event().wait()
    write(file, **named)

def train_step(self, batch):
    if begun.is_set():  # in epoch 3, while the state of epoch 2 is half written
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch)

np.savez, TensorFlowSteps.train = write_half, train_step
data = load("digits", image=(8, 8), channels=None, cache=cache)
train(architecture(), TrainingRecipe(), data, epochs=4, seed=2, checkpoint_dir=folder)
"""


def test_a_kill_while_a_state_is_written_loses_its_epoch_and_no_other(
    digits: Dataset, small: Architecture, tmp_path: Path
) -> None:
    part = tmp_path / "part"
    command = [sys.executable, "-c", KILLED, str(part), str(tmp_path / "cache")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    state = checkpoint.read(part / checkpoint.STATE)
    assert state is not None
    assert [epoch for epoch, _ in state.header["history"]] == [1]
    assert len(list(part.glob(".*.tmp"))) == 1
    options: dict[str, Any] = {"epochs": 4, "seed": 2}
    resumed = train(small, TrainingRecipe(), digits, checkpoint_dir=part, **options)
    whole = train(small, TrainingRecipe(), digits, **options)
    assert (resumed.validation, resumed.loss) == (whole.validation, whole.loss)
    assert sorted(path.name for path in part.iterdir()) == [checkpoint.BEST, checkpoint.STATE]
