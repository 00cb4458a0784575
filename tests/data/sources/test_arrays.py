from pathlib import Path

import numpy as np
import pytest

from cnnsearch.data import Dataset, from_arrays, load
from cnnsearch.data.sources import npz
from cnnsearch.errors import DataError

RNG_SEED = 7


def colours(count: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(RNG_SEED)
    x = rng.integers(0, 256, (count, 10, 12, 3), dtype=np.uint8)
    return x, np.arange(count) % classes


def save(path: Path, **arrays: np.ndarray) -> str:
    np.savez(path / "set.npz", **arrays)
    return f"npz:{path / 'set.npz'}"


def open_npz(source: str, cache: Path, **options: object) -> Dataset:
    settings: dict[str, object] = {"image": (10, 12), "channels": None, "cache": cache} | options
    return load(source, **settings)  # type: ignore[arg-type]


def npz_refusal(path: Path, **arrays: np.ndarray) -> str:
    with pytest.raises(DataError) as caught:
        open_npz(save(path, **arrays), path / "cache")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_digits(tmp_path: Path) -> None:
    data = load("digits", image=(8, 8), channels=None, cache=tmp_path)
    assert data.class_names == tuple("0123456789") and data.source == "digits"
    assert (data.channels, data.flip, data.classes) == (1, False, 10)
    counts = (data.train.count, data.validation.count, data.test.count)
    assert sum(counts) == 1797 and abs(counts[1] - 359) < 3 and abs(counts[2] - 359) < 3
    old = load("digits", image=(8, 8), channels=None, cache=tmp_path, split_version=1)
    assert data.fingerprint == old.fingerprint  # exactly stratified: none is ever added
    images = data.train.images()
    assert images.min() == 0 and images.max() == 255
    assert set(np.unique(images)) <= set(np.rint(np.arange(17) * 255 / 16).astype(int))
    assert not data.test.materialised
    assert len(data.test.images()) == len(data.test.labels()) == counts[2]


def test_digits_upscaled_in_colour(tmp_path: Path) -> None:
    data = load("digits", image=(32, 24), channels=3, cache=tmp_path)
    images = data.train.images()
    assert images.shape[1:] == (32, 24, 3)
    assert (images[..., 0] == images[..., 2]).all()


def test_npz_with_given_splits(tmp_path: Path) -> None:
    x, y = colours(60)
    source = save(
        tmp_path,
        x_train=x,
        y_train=y[:, None],
        x_val=x[:9],
        y_val=y[:9],
        x_test=x[9:],
        y_test=y[9:],
    )
    data = open_npz(source, tmp_path / "cache")
    assert (data.train.count, data.validation.count, data.test.count) == (60, 9, 51)
    np.testing.assert_array_equal(data.train.images(), x)
    np.testing.assert_array_equal(data.train.labels(), y)
    assert not data.test.materialised
    np.testing.assert_array_equal(data.test.images(), x[9:])
    np.testing.assert_array_equal(data.test.labels(), y[9:])
    assert data.class_names == ("0", "1", "2") and data.flip


def test_npz_reads_neither_images_nor_labels_of_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    for how in ("read_array", "unpack_images"):
        true = getattr(npz, how)
        monkeypatch.setattr(
            npz, how, lambda path, name, *a, true=true: read.append(name) or true(path, name, *a)
        )
    x, y = colours(30)
    source = save(tmp_path, x_train=x, y_train=y, x_test=x, y_test=y)
    data = open_npz(source, tmp_path / "cache")
    assert set(read) == {"x_train", "y_train"}
    data.test.images()
    assert "x_test" in read


def test_npz_of_floats_in_grey_with_strange_labels(tmp_path: Path) -> None:
    x = np.linspace(0, 1, 40 * 25).reshape(40, 5, 5)
    source = save(tmp_path, x=x, y=np.where(np.arange(40) % 2, 12, -3))
    data = open_npz(source, tmp_path / "cache", image=(5, 5), test=0.0)
    assert data.class_names == ("-3", "12") and data.channels == 1
    assert data.train.images().max() == 255 or data.validation.images().max() == 255


def test_npz_class_names(tmp_path: Path) -> None:
    x, y = colours(30)
    names = np.array(["ant", "bee", "cow"])
    assert open_npz(save(tmp_path, x=x, y=y, class_names=names), tmp_path).class_names[1] == "bee"
    message = npz_refusal(tmp_path, x=x, y=y, class_names=np.array(["ant", "bee", "cow", "doe"]))
    assert "class 'doe' is empty" in message


def test_colour_arrays_that_are_grey_count_as_grey(tmp_path: Path) -> None:
    x, y = colours(30)
    grey = np.repeat(x[..., :1], 3, axis=-1)
    assert from_arrays(grey, y, cache=tmp_path).channels == 1
    assert from_arrays(x, y, cache=tmp_path).channels == 3
    assert from_arrays(grey, y, cache=tmp_path, channels=3).channels == 3


def test_arrays_in_memory(tmp_path: Path) -> None:
    x, y = colours(60)
    data = from_arrays(
        x, y, cache=tmp_path, class_names=["a", "b", "c"], test_data=(x[:5], y[:5]), name="mine"
    )
    assert (data.source, data.image, data.class_names) == ("mine", (10, 12), ("a", "b", "c"))
    assert data.train.count == 51 and data.test.count == 5
    np.testing.assert_array_equal(data.test.images(), x[:5])
    again = from_arrays(
        x, y, cache=tmp_path, class_names=["a", "b", "c"], test_data=(x[:5], y[:5]), name="mine"
    )
    assert again == data
    other = x.copy()
    other[0, 0, 0, 0] ^= 1
    assert from_arrays(other, y, cache=tmp_path).fingerprint != data.fingerprint


def test_grey_digits_in_arrays_are_not_flipped_by_default(tmp_path: Path) -> None:
    x, y = colours(30)
    assert not from_arrays(x[..., 0], y, cache=tmp_path).flip
    assert from_arrays(x[..., 0], y, cache=tmp_path, flip=True).flip


def test_npz_without_the_arrays_it_needs(tmp_path: Path) -> None:
    x, y = colours(30)
    message = npz_refusal(tmp_path, images=x, labels=y)
    assert "needs arrays x and y, or x_train and y_train" in message
    assert "'x' is missing, it holds images, labels" in message
    assert "'y_train' is missing" in npz_refusal(tmp_path, x_train=x)
    assert "'x_train' is missing" in npz_refusal(tmp_path, x_test=x, y_test=y)


def test_malformed_arrays(tmp_path: Path) -> None:
    x, y = colours(30)
    assert "30 images but 29 labels" in npz_refusal(tmp_path, x=x, y=y[:29])
    assert "labels must be integers, got float64" in npz_refusal(tmp_path, x=x, y=y * 1.0)
    assert "labels must be integers, got <U" in npz_refusal(tmp_path, x=x, y=y.astype(str))
    assert "take argmax(axis=1)" in npz_refusal(tmp_path, x=x, y=np.eye(3, dtype=int)[y])
    assert "move the channels to the end" in npz_refusal(tmp_path, x=x.transpose(0, 3, 1, 2), y=y)
    assert "got (30, 360)" in npz_refusal(tmp_path, x=x.reshape(30, -1), y=y)
    assert "no images" in npz_refusal(tmp_path, x=x[:0], y=y[:0])
    assert "found 1, '0'" in npz_refusal(tmp_path, x=x, y=y * 0)
    assert "got complex128" in npz_refusal(tmp_path, x=x * 1j, y=y)


def test_values_out_of_range(tmp_path: Path) -> None:
    x, y = colours(30)
    assert "must be within 0..1, found 0 to 255" in npz_refusal(tmp_path, x=x.astype("f4"), y=y)
    assert "must be within 0..255" in npz_refusal(tmp_path, x=x.astype(int) - 1, y=y)
    holes = np.where(np.arange(12) == 3, np.nan, 0.5) * np.ones((30, 10, 12))
    assert "nan" in npz_refusal(tmp_path, x=holes, y=y)


def test_a_test_label_that_training_does_not_know(tmp_path: Path) -> None:
    x, y = colours(30)
    source = save(tmp_path, x_train=x, y_train=y, x_test=x, y_test=y + 1)
    data = open_npz(source, tmp_path / "cache")
    with pytest.raises(DataError, match="label 3 is none of the 3 classes known"):
        data.test.labels()


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    x, y = colours(30)
    objects = np.array([{}] * 30, dtype=object)
    assert "images must be" in npz_refusal(tmp_path, x=objects, y=y)
    assert "labels must be integers, got object" in npz_refusal(tmp_path, x=x, y=objects)
    with pytest.raises(DataError):
        from_arrays(objects, y, cache=tmp_path)


def test_a_file_that_is_no_npz(tmp_path: Path) -> None:
    (tmp_path / "set.npz").write_text("no zip")
    with pytest.raises(DataError, match=r"is not a readable \.npz file"):
        open_npz(f"npz:{tmp_path / 'set.npz'}", tmp_path)


def test_an_npz_that_changes_under_a_data_set(tmp_path: Path) -> None:
    x, y = colours(30)
    data = open_npz(save(tmp_path, x=x, y=y), tmp_path / "cache")
    save(tmp_path, x=x, y=y[::-1].copy(), z=y)
    with pytest.raises(DataError, match="changed since the data set was loaded"):
        data.test.images()
