import os
import pickle
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnsearch.data import Dataset, Split, load
from cnnsearch.data.sources import recognition
from cnnsearch.data.sources.decode import decode
from cnnsearch.data.sources.folder import FolderSource
from cnnsearch.errors import DataError


def open_folder(root: Path, **options: object) -> Dataset:
    settings: dict[str, object] = {"image": (16, 16), "channels": None} | options
    settings.setdefault("cache", root.parent / "cache")
    return load(str(root), **settings)  # type: ignore[arg-type]


def refusal(root: Path, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        open_folder(root, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_photos_of_uneven_size_become_arrays_of_one_size(photos: Path) -> None:
    data = open_folder(photos, image=(12, 20))
    assert data.class_names == ("box", "disc 2", "disc 10")
    assert (data.image, data.channels, data.input) == ((12, 20), 3, (12, 20, 3))
    assert data.flip and data.skipped == ()
    for split, counts in (
        (data.train, {0: 6, 1: 4, 2: 5}),
        (data.validation, {0: 1, 1: 3, 2: 2}),
        (data.test, {0: 1, 1: 1, 2: 1}),
    ):
        assert split.count == sum(counts.values())
        assert split.images().shape == (split.count, 12, 20, 3)
        assert split.images().dtype == np.uint8 and split.labels().dtype == np.int32
        assert Counter(split.labels().tolist()) == counts


def test_arrays_are_memory_mapped_and_cannot_be_written(photos: Path) -> None:
    images = open_folder(photos).train.images()
    assert isinstance(images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


def test_mean_and_deviation_are_those_of_the_training_pixels(photos: Path) -> None:
    data = open_folder(photos)
    pixels = data.train.images().reshape(-1, 3) / 255.0
    assert data.mean == pytest.approx(pixels.mean(axis=0))
    assert data.std == pytest.approx(pixels.std(axis=0))


def test_a_data_set_pickles_small_and_works_elsewhere(photos: Path) -> None:
    data = open_folder(photos)
    text = pickle.dumps(data)
    assert len(text) < 2000
    copy = pickle.loads(text)
    assert copy == data
    np.testing.assert_array_equal(copy.test.images(), data.test.images())


def test_the_test_split_is_not_read_until_its_images_are_needed(photos: Path) -> None:
    first = open_folder(photos)
    kept = {tuple(image.ravel()) for image in first.test.images()}
    shutil.rmtree(photos.parent / "cache")
    data = open_folder(photos)
    listed = [Path(f) for f in _test_files(data)]
    for file in listed:  # whoever reads one now, fails
        (photos / file).write_bytes(b"")
    assert len(data.test.labels()) == len(listed) == 3
    assert len(data.train.images()) == 15
    with pytest.raises(DataError, match="changed since the data set was loaded"):
        data.test.images()
    assert len(kept) == 3


def _test_files(data: Dataset) -> list[str]:
    import json

    assert data.test.plan is not None
    return [file[0] for file in json.loads(data.test.plan.read_text())["files"]]


def test_loading_opens_no_file_of_a_given_test_split(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "given"
    for name in ("train", "test"):
        shutil.copytree(photos, root / name)
    opened: list[str] = []
    true_open = os.open

    def watched(path: Path, *args: int, **kwargs: int) -> int:
        opened.append(str(path))
        return true_open(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", watched)
    data = open_folder(root)
    read = {name for name in opened if name.startswith(str(root))}
    tests = {str(root / name) for name in _test_files(data)}
    assert len(read) == len(tests) == 24 and not read & tests
    data.test.images()
    assert tests <= set(opened)


def test_given_splits_are_kept_and_a_missing_one_is_carved(photos: Path, tmp_path: Path) -> None:
    root = tmp_path / "given"
    shutil.copytree(photos, root / "train")
    (root / "Valid" / "box").mkdir(parents=True)
    shutil.copy(photos / "box" / "3.jpg", root / "Valid" / "box" / "x.JPG")
    data = open_folder(root, test=0.25)
    assert (data.train.count, data.validation.count, data.test.count) == (20, 1, 4)
    assert data.validation.labels().tolist() == [0]
    shutil.copytree(photos, root / "test")
    data = open_folder(root)
    assert (data.train.count, data.validation.count, data.test.count) == (24, 1, 24)


def test_class_names_that_are_digits_forbid_flips(photos: Path) -> None:
    for index, name in enumerate(("box", "disc 2", "disc 10")):
        (photos / name).rename(photos / str(index))
    assert not open_folder(photos).flip


def test_every_kind_of_file_is_read(odd_photos: Path) -> None:
    data = open_folder(odd_photos, test=0.0)
    assert data.train.count + data.validation.count == 24 + 7
    assert data.test.count == 0 and data.test.images().shape == (0, 16, 16, 3)


def test_bad_files_are_named(photos: Path, spoil: Callable[[], tuple[str, str]]) -> None:
    spoil()
    message = refusal(photos, test=0.0)
    assert message.startswith("2 of 26 images cannot be read: box/half.jpg (")
    assert "truncated" in message.lower()
    assert "disc 2/letter.jpg (not a JPEG, PNG, BMP, WebP or GIF image)" in message
    assert "--skip-bad-images" in message
    assert not list((photos.parent / "cache").glob(".partial*"))


def test_bad_files_are_skipped_and_reported(
    photos: Path, spoil: Callable[[], tuple[str, str]]
) -> None:
    sound = open_folder(photos, test=0.0, seed=3)
    bad = spoil()
    data = open_folder(photos, test=0.0, skip_bad_images=True, seed=3)
    assert sorted(entry.split(" (")[0] for entry in data.skipped) == sorted(bad)
    assert data.train.count + data.validation.count == sound.train.count + sound.validation.count
    assert len(data.train.images()) == len(data.train.labels()) == data.train.count
    assert open_folder(photos, test=0.0, skip_bad_images=True, seed=3) == data


def test_bad_files_of_the_test_split_show_when_it_is_read(photos: Path, tmp_path: Path) -> None:
    root = tmp_path / "given"
    shutil.copytree(photos, root / "train")
    shutil.copytree(photos, root / "test")
    (root / "test" / "box" / "1.jpg").write_text("text")
    strict = open_folder(root)
    with pytest.raises(DataError, match=r"1 of 24 images cannot be read: test/box/1\.jpg"):
        strict.test.images()
    lenient = open_folder(root, skip_bad_images=True)
    assert len(lenient.test.labels()) == len(lenient.test.images()) == 23
    assert lenient.test.list_skipped()[0].startswith("test/box/1.jpg (")
    assert lenient.skipped == ()
    with pytest.raises(DataError, match="cannot be read"):
        strict.test.images()


def test_no_class_folders(tmp_path: Path, photos: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no class folders, it holds no images" in refusal(empty)
    assert "8 images directly in it" in refusal(photos / "box")


def test_one_class(photos: Path, tmp_path: Path) -> None:
    for name in ("disc 2", "disc 10"):
        shutil.rmtree(photos / name)
    assert "at least two classes are needed, found 1, 'box'" in refusal(photos)
    (tmp_path / "wrapped").mkdir()
    photos.rename(tmp_path / "wrapped" / "photos")
    folder = tmp_path / "wrapped" / "photos"
    assert f"which holds 1 folder; did you mean {folder}?" in refusal(tmp_path / "wrapped")


def test_an_empty_class_is_named(photos: Path) -> None:
    (photos / "cone").mkdir()
    (photos / "cone" / "readme.txt").write_text("soon")
    assert "class 'cone' is empty" in refusal(photos)


def test_no_images_at_all(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "none" / name).mkdir(parents=True)
    assert "no images (.jpg" in refusal(tmp_path / "none")


def test_split_folders_that_make_no_sense(photos: Path, tmp_path: Path) -> None:
    root = tmp_path / "given"
    shutil.copytree(photos, root / "test")
    shutil.copytree(photos, root / "val")
    assert "has test, val but no train folder" in refusal(root)
    shutil.copytree(photos, root / "train")
    shutil.copytree(photos, root / "valid")
    assert "two folders for one split" in refusal(root)
    shutil.rmtree(root / "valid")
    (root / "extra").mkdir()
    assert "'extra' lies beside the split folders" in refusal(root)
    (root / "extra").rmdir()
    (root / "val" / "cone").mkdir()
    assert "class 'cone' has no folder in the training split" in refusal(root)


def test_unlabelled_train_and_test_folders_are_not_two_classes(photos: Path, tmp_path: Path):
    root = tmp_path / "flat"
    shutil.copytree(photos / "box", root / "train")
    shutil.copytree(photos / "box", root / "test")
    assert "no class folders, 8 images directly in it" in refusal(root)


def test_a_link_in_circles_ends(photos: Path) -> None:
    (photos / "box" / "again").symlink_to(photos / "box")
    (photos / "box" / "gone.jpg").symlink_to(photos / "nowhere.jpg")
    assert "box/gone.jpg (no such file or directory)" in refusal(photos, test=0.0)


def test_a_class_of_unreadable_images_only(photos: Path) -> None:
    for file in (photos / "box").iterdir():
        file.write_text("text")
    message = refusal(photos, skip_bad_images=True)
    assert "class 'box' has no training image that can be read" in message


def test_images_are_recognized_by_content_and_other_files_are_named(
    photos: Path, tmp_path: Path
) -> None:
    picture = Image.open(photos / "box" / "0.jpg")
    picture.save(photos / "box" / "cat.jpg_1088Wx1632H", "WEBP")
    picture.save(photos / "box" / "scan.tif")
    (photos / "box" / "notes.txt").write_text("text")
    (photos / "disc 2" / "paper.pdf").write_bytes(b"%PDF-1.7")
    (photos / "readme.md").write_text("beside")
    os.mkfifo(photos / "box" / "pipe")
    listed = FolderSource(photos).open()
    assert "box/cat.jpg_1088Wx1632H" in listed.train.keys
    assert [(one.path, one.reason) for one in listed.left_out] == [
        ("box/notes.txt", "not an image"),
        ("box/pipe", "no known suffix, and cannot be read: no file, but a folder or a device"),
        ("box/scan.tif", "a TIFF image; convert it to PNG"),
        ("disc 2/paper.pdf", "a PDF file"),
        ("readme.md", "beside the class folders"),
    ]
    (warning,) = open_folder(photos).warnings
    assert warning.startswith("5 files left out: box/notes.txt (not an image), box/pipe (")
    assert warning.endswith(" and 2 more. cnnsearch data lists them.")
    old = FolderSource(photos, by_content=False).open()
    assert len(old.train) == 24 and len(old.left_out) == 6


def test_an_added_file_is_named_though_the_images_are_in_the_cache(photos: Path) -> None:
    assert open_folder(photos).warnings == ()
    (photos / "box" / "notes.txt").write_text("text")
    assert "box/notes.txt (not an image)" in open_folder(photos).warnings[0]


def test_heic_is_read_with_its_extra(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heif = pytest.importorskip("pillow_heif")
    picture = Image.open(photos / "box" / "0.jpg")
    (photos / "box" / "phone.heic").write_bytes(b"")
    heif.from_pillow(picture).save(photos / "box" / "phone.heic")
    assert "box/phone.heic" in FolderSource(photos).open().train.keys
    raw = (photos / "box" / "phone.heic").read_bytes()
    difference = decode(raw, (16, 16), 3).astype(int) - decode_file(photos / "box" / "0.jpg")
    assert np.abs(difference).mean() < 4
    monkeypatch.setattr(recognition, "can_read_heif", lambda: False)
    (left,) = FolderSource(photos).open().left_out
    assert str(left) == ("box/phone.heic (a HEIC image; pip install 'cnnsearch[heic]' reads them)")


def decode_file(path: Path) -> np.ndarray:
    return decode(path.read_bytes(), (16, 16), 3).astype(int)


def test_no_image_moves_when_40_are_added_to_a_class_of_200(tmp_path: Path) -> None:
    root, rng = tmp_path / "set", np.random.default_rng(0)
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for i in range(200):
            pixels = rng.integers(0, 256, (4, 4, 3), np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    names, size = ("train", "validation", "test"), (4, 4)
    before = open_folder(root, image=size)
    for i in range(40):
        pixels = rng.integers(0, 256, (4, 4, 3), np.uint8)
        Image.fromarray(pixels).save(root / "a" / f"new {i}.png")
    after = open_folder(root, image=size)
    assert sum(getattr(after, name).count for name in names) == 440
    for name in names:
        assert set(_pixels(getattr(before, name))) <= set(_pixels(getattr(after, name)))


def _pixels(split: Split) -> list[bytes]:
    return [image.tobytes() for image in split.images()]
