"""Arrays in files are read a row at a time, and a spoilt one is one line."""

import threading
from pathlib import Path

import numpy as np
import pytest

from cnnsearch.data import Dataset, load
from cnnsearch.data.sources.npy_rows import UnpackedRows
from cnnsearch.data.views import write_images
from cnnsearch.errors import DataError

X = np.random.default_rng(0).integers(0, 256, (60, 9, 7, 3), dtype=np.uint8)
Y = np.arange(60) % 3


def opened(path: Path, folder: Path) -> Dataset:
    return load(f"npz:{path}", image=(9, 7), channels=None, cache=folder, test=0.0)


def every(data: Dataset) -> set[bytes]:
    return {image.tobytes() for part in (data.train, data.validation) for image in part.images()}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_are_those_of_the_array(tmp_path: Path, save: object, order: str) -> None:
    path = tmp_path / "set.npz"
    save(path, x=np.asarray(X, order=order), y=Y)  # type: ignore[operator]
    rows = UnpackedRows(path, "x", tmp_path / "new")
    for row in (59, 0, 31):
        np.testing.assert_array_equal(rows[row], X[row])
    assert rows.span() == (X.min(), X.max())
    assert every(opened(path, tmp_path / "cache")) == {image.tobytes() for image in X}


def test_nothing_that_was_unpacked_is_left(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x=X, y=Y)
    opened(tmp_path / "set.npz", tmp_path / "cache")
    names = {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert names <= {"images.npy", "labels.npy", "digests.npy", "skipped.json"} | {
        name for name in names if name.endswith(".json")
    }


def test_a_spoilt_archive_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez_compressed(path, x=X, y=Y)
    spoilt = bytearray(path.read_bytes())
    spoilt[2000:2400] = bytes(400)
    path.write_bytes(spoilt)
    with pytest.raises(DataError, match="array 'x' cannot be read") as caught:
        opened(path, tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_floats_that_are_no_pixels_are_found_in_any_piece(tmp_path: Path) -> None:
    x = X / 255
    x[59, 8, 6, 2] = np.nan
    np.savez(tmp_path / "set.npz", x=x, y=Y)
    with pytest.raises(DataError, match=r"must be within 0\.\.1, found .*nan"):
        opened(tmp_path / "set.npz", tmp_path / "cache")


def test_an_array_is_unpacked_once_however_many_threads_decode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    true = UnpackedRows.__init__

    def counted(self: UnpackedRows, path: Path, name: str, folder: Path) -> None:
        made.append(threading.current_thread().name)
        true(self, path, name, folder)

    monkeypatch.setattr(UnpackedRows, "__init__", counted)
    np.savez(tmp_path / "set.npz", x=X, y=Y)
    opened(tmp_path / "set.npz", tmp_path / "cache")
    assert made == [threading.main_thread().name]


def test_a_split_is_written_as_it_is(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x=np.concatenate([X] * 3), y=np.concatenate([Y] * 3))
    data = opened(tmp_path / "set.npz", tmp_path / "cache").fit_memory(1)
    write_images(data.train, tmp_path / "out.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), data.train.images())
