import io
import shutil
import struct
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnsearch.data import Dataset, load
from cnnsearch.data.sources import archive_members
from cnnsearch.data.sources.archive import ArchiveSource
from cnnsearch.errors import DataError

MODES = {".tar": "w:", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".txz": "w:xz"}


def open_archive(path: Path, **options: object) -> Dataset:
    settings: dict[str, object] = {"image": (16, 16), "channels": None} | options
    settings.setdefault("cache", path.parent / "cache")
    return load(str(path), **settings)  # type: ignore[arg-type]


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        open_archive(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def pack(folder: Path, target: Path, top: str = "") -> Path:
    """An archive of what lies in a folder, below a folder `top` in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [str(Path(top) / path.relative_to(folder)) for path in files]
    if target.suffix == ".zip":
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, name in zip(files, names, strict=True):
                archive.write(path, name)
    else:
        mode = MODES["".join(target.suffixes)]
        with tarfile.open(target, mode) as tar:  # type: ignore[call-overload]
            for path, name in list(zip(files, names, strict=True))[::-1]:
                tar.add(path, name)
    return target


def images_of(data: Dataset) -> set[bytes]:
    splits = (data.train, data.validation, data.test)
    return {image.tobytes() for split in splits for image in split.images()}


@pytest.mark.parametrize("suffix", [".zip", *MODES])
@pytest.mark.parametrize("top", ["", "photos", "a/photos"])
def test_an_archive_is_what_its_folder_is(photos: Path, suffix: str, top: str) -> None:
    folder = open_archive(photos)
    data = open_archive(pack(photos, photos.parent / f"photos{suffix}", top))
    assert data.class_names == folder.class_names == ("box", "disc 2", "disc 10")
    assert (data.train.count, data.validation.count, data.test.count) == (15, 6, 3)
    assert not data.test.materialised
    assert images_of(data) == images_of(folder)
    assert sorted(data.test.labels()) == sorted(folder.test.labels())
    if suffix in (".zip", ".tar"):  # a compressed tar is read in its own order
        assert data.fingerprint == folder.fingerprint


def test_nothing_is_unpacked(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    path = pack(photos, tmp_path / "alone" / "p.zip")
    open_archive(path, cache=tmp_path / "cache").test.images()
    assert list((tmp_path / "alone").iterdir()) == [path]
    assert not list((tmp_path / "cache").rglob("*.jpg"))


def test_split_folders_in_an_archive(photos: Path, tmp_path: Path) -> None:
    root = tmp_path / "given"
    for name in ("train", "val", "test"):
        shutil.copytree(photos, root / name)
    for suffix in (".zip", ".tgz"):
        data = open_archive(pack(root, tmp_path / f"given{suffix}", "set"))
        assert (data.train.count, data.validation.count, data.test.count) == (24, 24, 24)
        assert len(data.test.images()) == 24


def test_a_folder_of_split_archives(photos: Path, tmp_path: Path) -> None:
    root = tmp_path / "pair"
    root.mkdir()
    pack(photos, root / "train.zip", "train")
    pack(photos, root / "test.tar.gz", "test")
    data = open_archive(root)
    assert (data.train.count, data.validation.count, data.test.count) == (21, 3, 24)
    assert data.source == str(root) and not data.test.materialised
    assert len(data.test.images()) == len(data.test.labels()) == 24
    unpacked = tmp_path / "unpacked"
    for name in ("train", "test"):
        shutil.copytree(photos, unpacked / name)
    assert images_of(open_archive(unpacked)) == images_of(data)


def test_a_test_archive_alone_is_no_training_data(photos: Path, tmp_path: Path) -> None:
    assert "has test but no train folder" in refusal(pack(photos, tmp_path / "x.zip", "test"))
    root = tmp_path / "pair"
    root.mkdir()
    pack(photos, root / "test.zip", "test")
    assert "has test but no train folder" in refusal(root)


def test_images_lie_anywhere_below_their_class(photos: Path) -> None:
    (photos / "box" / "2024" / "may").mkdir(parents=True)
    (photos / "box" / "1.jpg").rename(photos / "box" / "2024" / "may" / "1.jpg")
    folder = open_archive(photos)
    assert folder.class_names == ("box", "disc 2", "disc 10")
    assert folder.train.count + folder.validation.count + folder.test.count == 24
    data = open_archive(pack(photos, photos.parent / "photos.zip"))
    assert data.fingerprint == folder.fingerprint


def test_hidden_members_and_backslashes(photos: Path, tmp_path: Path) -> None:
    path = pack(photos, tmp_path / "photos.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("__MACOSX/box/._1.jpg", b"resource fork")
        archive.writestr(".git/box/1.jpg", b"hidden")
        info = zipfile.ZipInfo("box/from windows.jpg")
        info.filename = "box\\from windows.jpg"
        archive.writestr(info, (photos / "box" / "1.jpg").read_bytes())
    data = open_archive(path, test=0.0)
    assert data.train.count + data.validation.count == 25


def test_bad_images_are_named_or_skipped(
    photos: Path, spoil: Callable[[], tuple[str, str]], tmp_path: Path
) -> None:
    bad = spoil()
    for suffix in (".zip", ".tar", ".tgz"):
        path = pack(photos, tmp_path / f"photos{suffix}")
        message = refusal(path, test=0.0)
        assert message.startswith("2 of 26 images cannot be read: ")
        assert all(f"{name} (" in message for name in bad)
        data = open_archive(path, test=0.0, skip_bad_images=True)
        assert data.train.count + data.validation.count == 24


def test_a_damaged_member_of_a_zip_is_one_bad_image(photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(photos.rglob("*.jpg")):
            archive.write(file, str(file.relative_to(photos)))
        offset = archive.getinfo("box/3.jpg").header_offset
    content = bytearray(path.read_bytes())
    content[offset + 200] ^= 0xFF
    path.write_bytes(bytes(content))
    message = refusal(path, test=0.0)
    assert message.startswith("1 of 24 images cannot be read: box/3.jpg (Bad CRC-32")


def test_an_archive_that_changes_under_a_data_set(photos: Path, tmp_path: Path) -> None:
    path = pack(photos, tmp_path / "photos.zip")
    data = open_archive(path)
    (photos / "box" / "1.jpg").unlink()
    pack(photos, path)
    with pytest.raises(DataError, match="changed since the data set was loaded"):
        data.test.images()
    path.unlink()
    with pytest.raises(DataError, match=r"photos\.zip cannot be read: No such file"):
        data.test.labels()


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tgz", ".txz"])
def test_files_that_are_no_archives(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"photos{suffix}"
    assert "does not exist" in refusal(path) or "unknown" in refusal(path)
    for content in (b"", b"Dear Sir or Madam", b"\x1f\x8b", b"\xfd7zXZ"):
        path.write_bytes(content)
        assert "cannot be read, it is damaged or no archive" in refusal(path)


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tgz", ".txz"])
@pytest.mark.parametrize("share", [0.3, 0.8, 0.999])
def test_truncated_archives(photos: Path, suffix: str, share: float, tmp_path: Path) -> None:
    path = pack(photos, tmp_path / f"photos{suffix}")
    whole = path.read_bytes()
    if suffix == ".tar" and share > 0.9:  # its end is padded
        share = 0.8
    path.write_bytes(whole[: int(len(whole) * share)])
    assert "cannot be read, it is damaged or no archive" in refusal(path)


def test_a_tar_that_ends_between_two_members(photos: Path, tmp_path: Path) -> None:
    path = pack(photos, tmp_path / "photos.tar")
    with tarfile.open(path) as tar:
        offset = tar.getmembers()[12].offset
    path.write_bytes(path.read_bytes()[:offset])
    assert "it ends too early" in refusal(path)


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tgz"])
def test_archives_without_images(suffix: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    (empty / "a").mkdir(parents=True)
    assert "no class folders, it holds no images" in refusal(pack(empty, tmp_path / f"x{suffix}"))
    (empty / "a" / "read.txt").write_text("soon")
    assert "no class folders, it holds no images" in refusal(pack(empty, tmp_path / f"x{suffix}"))
    (empty / "1.jpg").write_bytes(b"x")
    assert "1 image directly in it" in refusal(pack(empty, tmp_path / f"x{suffix}"))


def test_an_empty_class_folder_is_named(photos: Path, tmp_path: Path) -> None:
    path = pack(photos, tmp_path / "photos.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.mkdir("cone")
    assert "class 'cone' is empty" in refusal(path)


def test_encrypted_zips_are_refused(photos: Path, tmp_path: Path) -> None:
    path = pack(photos, tmp_path / "photos.zip")
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    struct.pack_into("<H", content, at + 8, 1)  # the flag of the first entry in the directory
    path.write_bytes(bytes(content))
    assert "'box/0.jpg' is encrypted; only archives without a password" in refusal(path)


@pytest.mark.parametrize("name", ["../box/x.jpg", "/etc/box/x.jpg", "box/../../x.jpg", "C:/x.jpg"])
def test_members_that_lead_out_are_refused(photos: Path, name: str, tmp_path: Path) -> None:
    path = pack(photos, tmp_path / "photos.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    assert f"the path {name!r} leads out of the archive" in refusal(path)
    path = tmp_path / "photos.tar"
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    assert f"the path {name!r} leads out of the archive" in refusal(path)


def test_links_in_archives_are_refused(photos: Path, tmp_path: Path) -> None:
    (photos / "box" / "again.jpg").symlink_to("1.jpg")
    (photos / "box" / "link").symlink_to("../disc 2")
    subprocess.run(["tar", "-cf", str(tmp_path / "x.tar"), "-C", str(photos), "."], check=True)
    assert "again.jpg' is a link; an archive must hold" in refusal(tmp_path / "x.tar")
    (photos / "box" / "again.jpg").unlink()
    subprocess.run(["tar", "-cf", str(tmp_path / "x.tar"), "-C", str(photos), "."], check=True)
    assert open_archive(tmp_path / "x.tar").train.count == 15
    path = pack(photos, tmp_path / "photos.zip")
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("box/link.jpg")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "1.jpg")
    assert "'box/link.jpg' is a link" in refusal(path)


def test_limits(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.jpg", bytes(2 << 20))
    tar = pack(photos, tmp_path / "photos.tar")
    monkeypatch.setattr(archive_members, "MOST_BYTES", 1 << 20)
    assert "'a/1.jpg' has 2,097,152 bytes, an image may have 1,048,576" in refusal(bomb)
    monkeypatch.setattr(archive_members, "MOST_MEMBERS", 23)
    assert "holds more than 23 members" in refusal(tar)
    assert "holds more than 23 members" in refusal(pack(photos, tmp_path / "photos.zip"))


def test_a_zip_can_be_read_by_threads(photos: Path, tmp_path: Path) -> None:
    """Decoding reads members in threads that share one file."""
    rng = np.random.default_rng(0)
    path = tmp_path / "many.zip"
    content = {f"{c}/{i}.jpg": rng.bytes(3000) for c in "ab" for i in range(200)}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    from concurrent.futures import ThreadPoolExecutor

    source = archive_members.Zip(path)
    places = list(source.members(by_content=True))
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda item: item(), source.items(places)))
    assert read == [content[place.name] for place in places]


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tgz"])
def test_files_that_are_left_out_of_an_archive_are_named(
    photos: Path, tmp_path: Path, suffix: str
) -> None:
    Image.open(photos / "box" / "0.jpg").save(photos / "box" / "cat.jpg_10W", "WEBP")
    (photos / "box" / "notes.txt").write_text("text")
    (photos / "manuals").mkdir()
    (photos / "manuals" / "camera.pdf").write_bytes(b"%PDF-1.7")
    (photos / "readme.md").write_text("beside")
    for top in ("", "photos"):
        listed = ArchiveSource(pack(photos, tmp_path / f"{top}x{suffix}", top)).open()
        assert "box/cat.jpg_10W" in listed.train.keys and len(listed.train) == 25
        assert [one.path for one in listed.left_out] == [
            *("box/notes.txt", "manuals/camera.pdf", "readme.md"),
        ]
