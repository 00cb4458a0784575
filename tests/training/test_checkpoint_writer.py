"""Checkpoints that are written beside training: complete, in order, and of the epoch they say."""

import errno
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.data import Dataset
from cnnsearch.errors import RunError
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training import checkpoint, checkpoint_writer
from cnnsearch.training.checkpoint import Checkpoint
from cnnsearch.training.checkpoint_writer import CheckpointWriter
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


def test_training_goes_on_meanwhile_and_changes_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_write = threading.Event()
    patch_save(monkeypatch, lambda: may_write.wait() and None)
    weights, path = np.array(1.0), tmp_path / checkpoint.STATE
    with closing(CheckpointWriter()) as writer:
        assert list(writer.write({path: Checkpoint({"epoch": 1}, (weights,))}, wait=False)) == []
        assert not path.exists()
        weights[...] = 2.0
        may_write.set()
    assert read_number(path) == 1.0


def test_files_too_large_to_copy_are_written_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_writer, "MOST_COPIED", 7)
    path, threads = tmp_path / checkpoint.STATE, set[int]()
    patch_save(monkeypatch, lambda: threads.add(threading.get_ident()))
    with closing(CheckpointWriter()) as writer:
        assert list(writer.write({path: Checkpoint({}, (np.array(1.0),))}, wait=False)) == []
        assert path.exists()
        assert threads == {threading.get_ident()}


def test_a_full_disk_is_told_with_the_next_epoch_and_nothing_is_written_out_of_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_writer, "DISK_RETRY", 0.0)
    left, state, best = [3], tmp_path / checkpoint.STATE, tmp_path / checkpoint.BEST

    def fail_while_any_is_left() -> None:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.ENOSPC, "No space left on device")

    def of(epoch: float) -> dict[Path, Checkpoint]:
        return dict.fromkeys((state, best), Checkpoint({}, (np.array(epoch),)))

    patch_save(monkeypatch, fail_while_any_is_left)
    with closing(CheckpointWriter()) as writer:
        assert list(writer.write(of(1.0), wait=False)) == []
        told = []
        for reason in writer.write(of(2.0), wait=False):
            assert not best.exists()  # it would be newer than the state
            told.append(reason)
        assert (read_number(state), read_number(best)) == (2.0, 2.0)
    assert len(told) == 3
    assert "No space left on device: paused until there is room" in told[0]


def test_another_error_ends_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    patch_save(monkeypatch, fail)
    files = {tmp_path / checkpoint.STATE: Checkpoint({}, (np.array(1.0),))}
    with closing(CheckpointWriter()) as writer:
        assert list(writer.write(files, wait=False)) == []
        with pytest.raises(RunError, match="cannot be written: Read-only file system"):
            list(writer.write(files, wait=False))


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
