"""What `cnnsearch.describe` finds: everything that was planted, and nothing that was not."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnsearch import describe
from cnnsearch.data import from_arrays, load
from cnnsearch.data.inspection.copies import Leak, Place
from cnnsearch.data.inspection.report import DataReport
from cnnsearch.errors import DataError

CIFAR = Path(__file__).parents[1] / "cifar10.zip"


def levels(report: DataReport) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"error": [], "warning": [], "note": []}
    for finding in report.findings:
        found[finding.level].append(finding.text)
    return found


def pairs(leaks: tuple[Leak, ...] | None) -> set[tuple[str, str]]:
    return {(leak.image.key, leak.twin.key) for leak in leaks or ()}


def keys(groups: tuple[tuple[Place, ...], ...]) -> set[frozenset[str]]:
    return {frozenset(place.key for place in group) for group in groups}


def size_of(file: Path) -> tuple[int, int]:
    with Image.open(file) as picture:
        return picture.size


def test_sound_photographs_give_no_warning(photographs: Path) -> None:
    report = describe(str(photographs))
    assert [(s.name, s.images, s.carved) for s in report.splits] == [
        ("train", 24, False),
        ("validation", 6, False),
        ("test", 8, False),
    ]
    assert report.class_names == ("box", "disc [2]") and report.splits[0].classes == (12, 12)
    assert report.imbalance == 1.0 and report.unreadable == ()
    assert (report.copies.same_bytes, report.copies.same_pixels) == ((), ())
    assert (report.copies.leaks, report.copies.likely_leaks) == ((), ())
    assert levels(report)["error"] == levels(report)["warning"] == []


def test_sizes_are_those_of_the_files(photographs: Path) -> None:
    report = describe(str(photographs))
    files = sorted(photographs.rglob("*.jpg"))
    sizes = [size_of(file) for file in files]
    assert (report.width.smallest, report.width.largest) == (100, max(w for w, _ in sizes))
    assert (report.height.smallest, report.height.largest) == (min(h for _, h in sizes), 180)
    assert report.height.median == np.median([h for _, h in sizes])
    assert report.aspect.largest == max(w / h for w, h in sizes)
    assert sum(report.width.histogram) == len(files) and len(report.width.histogram) == 16
    assert report.bytes == sum(file.stat().st_size for file in files)


def test_odd_images_are_distinguished_and_unreadable_ones_named(odd: Path) -> None:
    report = describe(str(odd))
    assert report.formats == {"JPEG": 39, "PNG": 3, "GIF": 1}
    assert report.colours["CMYK"] == report.colours["16-bit grey"] == report.colours["RGBA"] == 1
    assert report.animated == 1 and report.colourless == 1
    assert {(bad.split, bad.key, bad.label) for bad in report.unreadable} == {
        ("train", "train/box/half.jpg", "box"),
        ("train", "train/box/letter.jpg", "box"),
        ("test", "test/box/empty.jpg", "box"),
    }
    reasons = {Path(bad.key).name: bad.reason for bad in report.unreadable}
    assert reasons["letter.jpg"] == "not a JPEG, PNG, BMP, WebP or GIF image"
    assert reasons["empty.jpg"] == "empty file" and "truncated" in reasons["half.jpg"]
    (refusal,) = levels(report)["error"]
    assert refusal.startswith("3 of 46 images cannot be read (2 in train, 1 in test)")
    assert "--skip-bad-images" in refusal


def test_what_a_search_would_skip_is_no_error(odd: Path, tmp_path: Path) -> None:
    report = describe(str(odd), skip_bad_images=True)
    assert levels(report)["error"] == []
    assert "leaves them out" in levels(report)["warning"][0]
    searched = load(
        str(odd), image=(32, 32), channels=None, cache=tmp_path / "c", skip_bad_images=True
    )
    assert searched.train.count == report.splits[0].images == 29
    assert searched.channels == report.plan.channels == 3
    assert len(searched.test.images()) == report.splits[2].images


def test_copies_and_leaks_are_found_and_the_likely_kept_apart(copied: Path) -> None:
    report = describe(str(copied))
    copies = report.copies
    assert keys(copies.same_bytes) == {
        frozenset({"train/box/1.jpg", "train/box/1 copy.jpg"}),
        frozenset({"train/box/2.jpg", "test/box/again.jpg"}),
        frozenset({"train/box/4.jpg", "train/disc [2]/wrong.jpg"}),
    }
    assert len(copies.same_pixels) == 4
    (conflict,) = copies.conflicts
    assert {place.label for place in conflict} == {"box", "disc [2]"}
    assert pairs(copies.leaks) == {
        ("test/box/again.jpg", "train/box/2.jpg"),
        ("val/disc [2]/lossless.png", "train/disc [2]/3.jpg"),
    }
    assert all(leak.similarity == 1.0 for leak in copies.leaks)
    assert pairs(copies.likely_leaks) == {("test/box/small.jpg", "train/box/5.jpg")}
    assert all(0.99 <= leak.similarity < 1 for leak in copies.likely_leaks or ())
    warned = " ".join(levels(report)["warning"])
    assert "1 of 7 validation images has identical pixels" in warned
    assert "1 of 10 test images has identical pixels" in warned
    assert "1 test image is likely" in warned and "2 images with identical pixels" in warned


def test_an_unequal_share_of_classes_is_warned_about(photographs: Path) -> None:
    for i in range(3, 12):
        (photographs / "train" / "disc [2]" / f"{i}.jpg").unlink()
    report = describe(str(photographs))
    assert report.imbalance == 4.0
    (warned,) = levels(report)["warning"]
    assert "4.0 times" in warned
    assert "--class-weights balanced --objective balanced_accuracy" in warned


def test_splits_are_carved_as_a_search_carves_them(tmp_path: Path) -> None:
    report = describe("digits", seed=3)
    data = load("digits", image=(8, 8), channels=None, cache=tmp_path, seed=3)
    counted = [(split.carved, split.images) for split in report.splits]
    assert counted == [
        (False, data.train.count),
        (True, data.validation.count),
        (True, data.test.count),
    ]
    labels = np.bincount(data.validation.labels(), minlength=10)
    assert report.splits[1].classes == tuple(labels)
    assert report.plan.image == (8, 8) and report.plan.channels == data.channels == 1
    assert not report.plan.flip and "characters" in report.plan.flip_reason
    assert report.plan.decoded_bytes == data.train.nbytes + data.validation.nbytes
    assert not report.plan.streamed


def test_little_memory_means_streaming(photographs: Path) -> None:
    needed = 30 * 64 * 64 * 3
    tight = describe(str(photographs), image=(64, 64), max_memory=2 * needed).plan
    assert tight.decoded_bytes == needed and tight.streamed and tight.image_reason == "as requested"
    assert not describe(str(photographs), image=(64, 64), max_memory=4 * needed).plan.streamed


def test_an_npz_file_with_a_leak(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, held = (rng.integers(0, 256, (n, 28, 28, 3), np.uint8) for n in (60, 9))
    held[0] = x[4]
    held[1] = np.clip(x[5].astype(int) + rng.integers(-2, 3, x[5].shape), 0, 255)
    labels = {"y_train": np.arange(60) % 3, "y_test": np.arange(9) % 3}
    np.savez(tmp_path / "a.npz", x_train=x, x_test=held, **labels)
    report = describe(f"npz:{tmp_path / 'a.npz'}")
    assert report.formats == {"array": 69} and report.colours == {"RGB": 69}
    (leak,) = report.copies.leaks
    assert (leak.image.split, leak.image.key) == ("test", "x_test[0]")
    assert leak.twin.key == "x_train[4]"
    assert pairs(report.copies.likely_leaks) == {("x_test[1]", "x_train[5]")}


def test_a_zip_is_described_as_its_folder_is(odd: Path, tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "odd"), "zip", odd)
    zipped, folder = describe(str(tmp_path / "odd.zip")), describe(str(odd))
    assert zipped.splits == folder.splits and zipped.unreadable == folder.unreadable
    assert zipped.formats == folder.formats and zipped.height == folder.height


def test_an_exif_orientation_turns_the_size(photographs: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = photographs / "train" / "box" / "0.jpg"
    Image.new("RGB", (400, 50), "teal").save(file, exif=exif)
    assert describe(str(photographs)).height.largest == 400


def test_files_that_are_left_out_are_named(photographs: Path) -> None:
    (photographs / "train" / "box" / "notes.txt").write_text("text")
    (photographs / "readme.md").write_text("beside")
    report = describe(str(photographs))
    assert json.loads(json.dumps(report.to_data()))["left_out"] == [
        {"path": "readme.md", "reason": "beside the class folders"},
        {"path": "train/box/notes.txt", "reason": "not an image"},
    ]
    assert "2 files of the source left out" in " ".join(levels(report)["warning"])


def test_everything_becomes_json(copied: Path) -> None:
    data = json.loads(json.dumps(describe(str(copied)).to_data()))
    assert data["images"] == 43 and data["copies"]["leaks"][0]["twin"]["split"] == "train"
    assert data["findings"][0]["level"] == "warning" and data["plan"]["flip"] is True


def test_progress_counts_every_image(photographs: Path) -> None:
    seen: list[tuple[int, int]] = []
    describe(str(photographs), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (38, 38) and seen == sorted(seen)


def test_a_source_of_which_nothing_can_be_read_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "bad" / name).mkdir(parents=True)
        for i in range(4):
            (tmp_path / "bad" / name / f"{i}.jpg").write_text("no image")
    with pytest.raises(DataError, match="no image of train and validation can be read, a/"):
        describe(str(tmp_path / "bad"))


def test_arrays_are_described_and_a_decoded_data_set_is_refused(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (30, 12, 10, 3), np.uint8)
    labels = np.arange(30) % 2
    report = describe((x, labels), cache=tmp_path)
    assert report.images == 30 and report.sizes == {"12x10": 30}
    decoded = from_arrays(x, labels, cache=tmp_path)
    with pytest.raises(DataError, match="decoded already; describe its source, arrays"):
        describe(decoded)


def test_an_image_of_no_size_is_refused() -> None:
    with pytest.raises(DataError, match="at least 1"):
        describe("digits", image=(0, 8))


def test_a_zip_of_cifar_has_neither_copies_nor_leaks(tmp_path: Path) -> None:
    report = describe(str(CIFAR), cache=tmp_path)
    assert report.images == 500 and report.sizes == {"32x32": 500} and report.plan.flip
    assert not report.copies.same_pixels and report.copies.likely_leaks == ()
