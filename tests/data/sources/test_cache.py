import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from cnnsearch.data import load
from cnnsearch.data.dataset import Dataset
from cnnsearch.data.sources import cache, decode
from cnnsearch.errors import DataError


def open_photos(root: Path, **options: object) -> Dataset:
    settings: dict[str, object] = {"image": (16, 16), "channels": None} | options
    settings.setdefault("cache", root.parent / "cache")
    return load(str(root), **settings)  # type: ignore[arg-type]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with every image that is decoded."""
    calls: list[int] = []
    true_decode = decode.decode

    def counted(*args: object) -> object:
        calls.append(1)
        return true_decode(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(decode, "decode", counted)
    return calls


def test_a_second_load_decodes_nothing(photos: Path, decoded: list[int]) -> None:
    first = open_photos(photos, channels=3)
    assert len(decoded) == 21
    assert open_photos(photos, channels=3) == first
    assert len(decoded) == 21
    first.test.images()
    open_photos(photos, channels=3).test.images()
    assert len(decoded) == 24


def test_the_fingerprint_follows_the_content_not_the_place(photos: Path, tmp_path: Path) -> None:
    data = open_photos(photos)
    shutil.copytree(photos, tmp_path / "elsewhere" / "copy")
    copy = open_photos(tmp_path / "elsewhere" / "copy", cache=tmp_path / "other")
    assert copy.fingerprint == data.fingerprint
    np.testing.assert_array_equal(copy.test.images(), data.test.images())
    assert open_photos(photos, image=(16, 17)).fingerprint != data.fingerprint
    assert open_photos(photos, seed=1).fingerprint != data.fingerprint
    assert open_photos(photos, channels=1).fingerprint != data.fingerprint


def test_a_changed_pixel_is_seen_even_if_size_and_time_are_kept(photos: Path) -> None:
    data = open_photos(photos, test=0.0)
    file = photos / "box" / "0.jpg"
    status = file.stat()
    content = bytearray(file.read_bytes())
    content[-20] ^= 0x10
    file.write_bytes(bytes(content))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert open_photos(photos, test=0.0).fingerprint != data.fingerprint


def test_touching_a_file_changes_nothing(photos: Path) -> None:
    data = open_photos(photos)
    data.test.images()
    for file in photos.rglob("*.jpg"):
        file.touch()
    again = open_photos(photos)
    assert again.fingerprint == data.fingerprint
    np.testing.assert_array_equal(again.test.images(), data.test.images())


@pytest.mark.parametrize("damage", ["truncate", "remove", "index", "plan"])
def test_a_damaged_cache_is_built_again(photos: Path, damage: str) -> None:
    data = open_photos(photos)
    before = data.train.images().copy()
    images = data.train.directory / "images.npy"
    if damage == "truncate":
        os.truncate(images, 300)
    elif damage == "remove":
        images.unlink()
    elif damage == "plan":
        assert data.test.plan is not None
        data.test.plan.unlink()
    else:
        for entry in (photos.parent / "cache" / "index").iterdir():
            entry.write_text("{")
    again = open_photos(photos)
    assert again == data
    np.testing.assert_array_equal(again.train.images(), before)
    assert len(again.test.images()) == 3


def test_a_cache_that_is_gone_says_so(photos: Path) -> None:
    data = open_photos(photos)
    shutil.rmtree(photos.parent / "cache")
    for split in (data.train, data.test):
        with pytest.raises(DataError, match="load the data set again"):
            split.images()


def test_a_cache_that_cannot_be_written(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"the cache .*file cannot be written: "):
        open_photos(photos, cache=tmp_path / "file")


def test_a_full_disk(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: cache.ArrayFile, pixels: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache.ArrayFile, "append", full)
    with pytest.raises(DataError, match="cannot be written: No space left on device"):
        open_photos(photos)
    assert not list((photos.parent / "cache").iterdir())


def test_what_a_killed_process_left_is_swept(photos: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    left = root / ".partial-0123abcd.new"
    left.mkdir(parents=True)
    with cache.staging(root) as living:
        open_photos(photos)
        assert living.exists()
    assert not left.exists()


def test_an_array_file_is_an_ordinary_npy_of_any_length(tmp_path: Path) -> None:
    for count in (0, 1, 12):
        with cache.ArrayFile(tmp_path / "a.npy", (2, 3, 1)) as file:
            for i in range(count):
                file.append(np.full((2, 3, 1), i, np.uint8))
        array = np.load(tmp_path / "a.npy")
        assert array.shape == (count, 2, 3, 1)
        assert array[:, 0, 0, 0].tolist() == list(range(count))
