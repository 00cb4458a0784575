"""A training's state on disk: arrays and JSON in one file, replaced atomically; no pickle."""

import errno
import json
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnsearch.errors import DiskFullError, RunError
from cnnsearch.utils.atomic_files import TEMPORARY, atomic_file

Array = npt.NDArray[Any]

STATE = "state.npz"
"""All that resuming needs: weights, optimizer, random generators, history."""
BEST = "best.npz"
"""The weights of the best epoch."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_HEADER = "header"


@dataclass(frozen=True)
class Checkpoint:
    """The content of one file: a header of plain data and arrays in order."""

    header: Mapping[str, Any]
    arrays: tuple[Array, ...]

    def copy(self) -> "Checkpoint":
        """Returns a checkpoint whose arrays do not change with the variables."""
        return Checkpoint(self.header, tuple(np.array(array) for array in self.arrays))


def write(path: Path, header: Mapping[str, Any], arrays: Sequence[Any]) -> None:
    """Replaces a checkpoint atomically: readers see a complete one, old or new.

    Raises:
        DiskFullError: the disk is full; the old file is kept.
        RunError: the file cannot be written for another reason.
    """
    named = {f"{i:05d}": np.asarray(array) for i, array in enumerate(arrays)}
    try:
        with atomic_file(path) as file:
            np.savez(file, allow_pickle=False, **{_HEADER: np.array(json.dumps(header))}, **named)
    except OSError as error:
        kind = DiskFullError if error.errno in NO_ROOM else RunError
        raise kind(f"{path}: the checkpoint cannot be written: {error.strerror}") from None


def sweep(folder: Path) -> None:
    """Removes half-written checkpoints of killed processes; no other process may be writing."""
    for path in folder.glob(f"*{TEMPORARY}"):
        with suppress(OSError):
            path.unlink()


def read(path: Path) -> Checkpoint | None:
    """Returns a checkpoint, or None if there is none.

    Raises:
        RunError: the file is no checkpoint.
    """
    try:
        with path.open("rb") as content, np.load(content, allow_pickle=False) as file:
            names = sorted(name for name in file.files if name != _HEADER)
            header = json.loads(str(file[_HEADER]))
            return Checkpoint(header, tuple(file[name] for name in names))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RunError(f"{path}: not a checkpoint: {error}") from None


def read_epoch(path: Path) -> int | None:
    """Returns the epoch in a file's header, or None if there is no file."""
    checkpoint = read(path)
    return None if checkpoint is None else checkpoint.header.get("epoch")


def get_values(variables: Sequence[Any]) -> tuple[Array, ...]:
    """Returns the values of Keras variables, in order; training may change them."""
    return tuple(np.asarray(variable) for variable in variables)


def restore(variables: Sequence[Any], arrays: Sequence[Any], path: Path) -> None:
    """Assigns values to Keras variables, in order.

    Raises:
        RunError: the shapes differ: the checkpoint is of another model.
    """
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [array.shape for array in arrays]:
        raise RunError(f"{path}: the checkpoint is of another model, its shapes differ")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def collect_weights(model: Any, header: Mapping[str, Any]) -> Checkpoint:
    """Returns a model's weights under their layers' names; training may change them."""
    paths = [variable.path for variable in model.weights]
    return Checkpoint({**header, "paths": paths}, get_values(model.weights))


def save_weights(model: Any, path: Path, header: Mapping[str, Any] | None = None) -> None:
    """Writes a model's weights under their layers' names."""
    found = collect_weights(model, header or {})
    write(path, found.header, found.arrays)


def read_weights(path: Path) -> dict[str, Array]:
    """Returns a checkpoint's arrays by the paths of Keras's variables.

    Raises:
        RunError: the file does not exist, or is not a checkpoint.
    """
    content = read(path)
    if content is None:
        raise RunError(f"{path}: there are no weights")
    return dict(zip(content.header["paths"], content.arrays, strict=True))


def load_weights(model: Any, path: Path) -> None:
    """Loads a file of :func:`save_weights`.

    Args:
        model: of :func:`cnnsearch.training.model.build`, with or without auxiliary heads.
        path: the file, or the folder of a trial.

    Raises:
        RunError: there is no such file, or it is of another architecture.
    """
    path = path / BEST if path.is_dir() else path
    checkpoint = read(path)
    if checkpoint is None:
        raise RunError(f"{path}: there are no weights")
    saved = dict(zip(checkpoint.header["paths"], checkpoint.arrays, strict=True))
    missing = [variable.path for variable in model.weights if variable.path not in saved]
    if missing:
        raise RunError(f"{path}: the weights are of another architecture, without {missing[0]}")
    restore(model.weights, [saved[variable.path] for variable in model.weights], path)
