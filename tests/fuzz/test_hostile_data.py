"""Archives, images and arrays that attack whoever reads them: found by fuzzing, or thought of."""

import io
import os
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cnnsearch.data import load
from cnnsearch.errors import DataError
from tests.fuzz.media import huge


def loaded(source: str, tmp_path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load(source, image=(8, 8), channels=None, cache=tmp_path / "cache")
    assert str(caught.value).isprintable()
    return str(caught.value)


def made_zip(path: Path, name: str, content: bytes) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for index in range(4):
            archive.writestr(f"{'ab'[index % 2]}/{index}.png", content)
        archive.writestr(name, content)
    return str(path)


def test_a_zip_that_explodes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnsearch.data.sources.archive_members.MOST_EXPANDED", 1 << 20)
    source = made_zip(tmp_path / "bomb.zip", "a/bomb.png", bytes(1 << 20))
    assert "bomb.zip: expands to 5,242,880 bytes or more, above 200 times" in loaded(
        source, tmp_path
    )


def test_a_tar_that_explodes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnsearch.data.sources.archive_members.MOST_EXPANDED", 1 << 20)
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("a/bomb.png")
        info.size = 8 << 20
        archive.addfile(info, io.BytesIO(bytes(8 << 20)))
    assert "above 200 times its size" in loaded(str(tmp_path / "bomb.tar.gz"), tmp_path)


def test_a_header_of_a_tar_may_not_be_huge(tmp_path: Path) -> None:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 1 << 40
    (tmp_path / "huge.tar").write_bytes(info.tobuf() + bytes(1024))
    assert "huge.tar" in loaded(str(tmp_path / "huge.tar"), tmp_path)


@pytest.mark.parametrize("name", ["../out.png", "/out.png", "C:\\out.png", "a/../../out.png"])
def test_a_member_that_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    source = made_zip(tmp_path / "out.zip", name, b"x")
    assert "leads out of the archive" in loaded(source, tmp_path)


def folder_with(tmp_path: Path, change: Callable[[Path], object]) -> str:
    from PIL import Image

    for folder in ("train/a", "train/b", "val/a", "val/b", "test/a", "test/b"):
        (tmp_path / "set" / folder).mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / "set" / folder / "sound.png")
    change(tmp_path / "set" / "train" / "a" / "odd.png")
    return str(tmp_path / "set")


def _hole(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (os.mkfifo, "no file, but a folder or a device"),
        (lambda path: path.symlink_to("/dev/zero"), "no file, but a folder or a device"),
        (_hole, "an image may have"),
    ],
)
def test_what_is_no_image_file_is_not_read(
    change: Callable[[Path], object], words: str, tmp_path: Path
) -> None:
    assert words in loaded(folder_with(tmp_path, change), tmp_path)


def test_a_path_with_a_zero_byte_is_reported(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    columns = {"path": ["a\0.png"] * 4, "label": ["a", "b"] * 2}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "zero.parquet")
    assert "zero.parquet, row 1: the path 'a\\x00.png' holds a zero byte" in loaded(
        str(tmp_path / "zero.parquet"), tmp_path
    )


def npz_of(path: Path, **arrays: object) -> str:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return f"npz:{path}"


def test_an_array_is_as_large_as_its_header_says(tmp_path: Path) -> None:
    source = npz_of(tmp_path / "lie.npz", x=np.zeros((12, 4, 4), "u1"), y=np.arange(12))
    with zipfile.ZipFile(tmp_path / "lie.npz") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["y.npy"] = parts["y.npy"].replace(b"(12,), }        ", b"(9999999999999,)}")
    with zipfile.ZipFile(tmp_path / "lie.npz", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert "an array of (9999999999999) x int64 is not" in loaded(source, tmp_path)


def test_objects_in_an_npz_are_not_unpickled(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "made"),)

    for arrays in (
        {"x": np.array([Evil()] * 4, object), "y": np.arange(4)},
        {"x": np.zeros((4, 4, 4), "u1"), "y": np.array([Evil()] * 4, object)},
        {"x": np.zeros((4, 4, 4), "u1"), "y": np.arange(4), "class_names": np.array([Evil()])},
    ):
        assert "evil.npz" in loaded(npz_of(tmp_path / "evil.npz", **arrays), tmp_path)
    assert not (tmp_path / "made").exists()


def test_class_names_that_are_no_list_are_read_as_one(tmp_path: Path) -> None:
    arrays = {"x": np.zeros((12, 4, 4), "u1"), "y": np.arange(12) % 2}
    source = npz_of(tmp_path / "one.npz", **arrays, class_names=np.array("a"))
    assert "one.npz" in loaded(source, tmp_path)


def test_an_image_larger_than_memory_is_reported(tmp_path: Path) -> None:
    path = folder_with(tmp_path, lambda odd: odd.write_bytes(huge(random.Random(1))))
    assert "odd.png (" in loaded(path, tmp_path)
