"""Checkpoints: whole or not there, and no other model's."""

import errno
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.errors import RunError
from cnnsearch.training import checkpoint
from cnnsearch.training.model import build

ARRAYS = [np.arange(6, dtype="float32").reshape(2, 3), np.array(7), np.zeros((0, 2), "int64")]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state.npz"
    checkpoint.write(path, {"epoch": 3, "words": "ü"}, ARRAYS)
    found = checkpoint.read(path)
    assert found is not None
    assert found.header == {"epoch": 3, "words": "ü"}
    for array, expected in zip(found.arrays, ARRAYS, strict=True):
        np.testing.assert_array_equal(array, expected)
        assert array.dtype == expected.dtype
    assert [file.name for file in path.parent.iterdir()] == ["state.npz"]


def test_more_than_ten_arrays_keep_their_order(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "x", {}, [np.array(i) for i in range(120)])
    found = checkpoint.read(tmp_path / "x")
    assert found is not None
    assert [int(a) for a in found.arrays] == list(range(120))


def test_a_full_disk_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.npz"
    checkpoint.write(path, {"epoch": 1}, ARRAYS)

    def full(file: Any, **arrays: Any) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(RunError, match="cannot be written: No space left on device"):
        checkpoint.write(path, {"epoch": 2}, ARRAYS)
    assert checkpoint.read_epoch(path) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["state.npz"]


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from cnnsearch.training import checkpoint

state = Path(sys.argv[1])
checkpoint.write(state, {"epoch": 1}, [np.full(9, 1.0)])
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
checkpoint.write(state, {"epoch": 2}, [np.full(9, 2.0)])
"""


def test_a_kill_before_the_rename_leaves_the_previous_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / checkpoint.STATE
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)])
    assert killed.returncode == -signal.SIGKILL
    (half,) = (each for each in tmp_path.iterdir() if each != path)
    finished = checkpoint.read(half)  # it was complete, but for its name
    assert finished is not None and finished.header == {"epoch": 2}
    previous = checkpoint.read(path)
    assert previous is not None and previous.header == {"epoch": 1}
    np.testing.assert_array_equal(previous.arrays[0], np.full(9, 1.0))
    checkpoint.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_there_is_none(tmp_path: Path) -> None:
    assert checkpoint.read(tmp_path / "state.npz") is None


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 torn"])
def test_what_is_no_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.npz").write_bytes(content)
    with pytest.raises(RunError, match=r"state\.npz: not a checkpoint"):
        checkpoint.read(tmp_path / "state.npz")


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "state.npz", header=np.array("{}"), a=np.array([{}], dtype=object))
    with pytest.raises(RunError, match="not a checkpoint"):
        checkpoint.read(tmp_path / "state.npz")


def test_weights_of_another_architecture_are_refused(tmp_path: Path, small: Architecture) -> None:
    checkpoint.save_weights(build(small), tmp_path / "best.npz")
    deeper = small.model_copy(update={"stages": small.stages * 2})
    with pytest.raises(RunError, match="another architecture"):
        checkpoint.load_weights(build(deeper), tmp_path)
    wider = small.model_copy(
        update={"stages": tuple(s.scale_widths(lambda w: 2 * w) for s in small.stages)}  # type: ignore[union-attr]
    )
    with pytest.raises(RunError, match="shapes differ"):
        checkpoint.load_weights(build(wider), tmp_path)


def test_missing_weights_are_reported(tmp_path: Path, small: Architecture) -> None:
    with pytest.raises(RunError, match="there are no weights"):
        checkpoint.load_weights(build(small), tmp_path)
