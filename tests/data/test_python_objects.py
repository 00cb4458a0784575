import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnsearch.data import Dataset, from_arrays, load, save_source
from cnnsearch.data.views import take_share
from cnnsearch.errors import DataError


def colours(count: int = 60, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(7).integers(0, 256, (count, 10, 12, 3), dtype=np.uint8)
    return x, np.arange(count) % classes


def read(source: str, cache: Path, **options: object) -> Dataset:
    settings: dict[str, object] = {"image": (10, 12), "channels": None} | options
    return load(source, cache=cache, **settings)  # type: ignore[arg-type]


def opened(data: object, cache: Path, **options: object) -> Dataset:
    return read(save_source(data, cache), cache, **options)


def refusal(data: object, cache: Path, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        opened(data, cache, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def pairs(data: Dataset, *names: str) -> list[tuple[bytes, int]]:
    splits = [getattr(data, name) for name in names or ("train", "validation", "test")]
    return sorted(
        (image.tobytes(), int(label))
        for split in splits
        for image, label in zip(split.images(), split.labels(), strict=True)
    )


def as_pairs(x: np.ndarray, y: np.ndarray) -> list[tuple[bytes, int]]:
    return sorted((image.tobytes(), int(label)) for image, label in zip(x, y, strict=True))


def test_arrays(tmp_path: Path) -> None:
    x, y = colours()
    data = opened((x, y), tmp_path)
    assert (data.train.count, data.validation.count, data.test.count) == (32, 19, 9)
    assert not data.test.materialised
    assert pairs(data) == as_pairs(x, y)
    assert data.source == save_source((x, y), tmp_path) == save_source([x, y[:, None]], tmp_path)
    assert data.source.startswith("python:")
    order = np.random.default_rng(0).permutation(len(x))
    assert save_source((x[order], y[order]), tmp_path) == data.source
    assert save_source((x, y[order]), tmp_path) != data.source
    assert not list(tmp_path.glob(".partial*"))


def test_the_name_alone_finds_them_again_at_any_size(tmp_path: Path) -> None:
    source = save_source(colours(), tmp_path)
    assert read(source, tmp_path, image=(5, 6)).train.shape == (5, 6, 3)
    assert read(source, tmp_path, channels=1).channels == 1
    with pytest.raises(DataError, match="not in the cache any more; give search"):
        read(source, tmp_path / "other")
    with pytest.raises(DataError, match="is not known in this cache"):
        read("dataset:123", tmp_path)


def test_given_splits(tmp_path: Path) -> None:
    x, y = colours()
    parts = ((x[:30], y[:30]), (x[30:40], y[30:40]), (x[40:], y[40:]))
    data = opened(parts, tmp_path)
    assert (data.train.count, data.validation.count, data.test.count) == (30, 10, 20)
    assert pairs(data, "test") == as_pairs(x[40:], y[40:])
    named = {"train": parts[0], "val": parts[1], "test": parts[2], "class_names": ["a", "b", "c"]}
    assert opened(named, tmp_path).class_names == ("a", "b", "c")
    some = opened({"train": parts[0], "test": parts[2]}, tmp_path)
    assert (some.train.count, some.validation.count, some.test.count) == (25, 5, 20)


def test_values_and_labels_of_many_kinds(tmp_path: Path) -> None:
    x, y = colours()
    wanted = save_source((x, y), tmp_path)
    for images in (x / 255.0, x.astype(np.float32), x.astype(np.int64)):
        assert save_source((images, y), tmp_path) == wanted
    for labels in (np.eye(3)[y], np.eye(3, dtype=int)[y], y.astype(np.float32)[:, None]):
        assert save_source((x, labels), tmp_path) == wanted
    masks = x[..., 0] > 127
    assert opened((masks, y), tmp_path).train.images().max() == 255
    assert opened((x[..., 0], y), tmp_path).channels == 1


def test_a_data_set_that_was_loaded(tmp_path: Path) -> None:
    digits = load("digits", image=(8, 8), channels=None, cache=tmp_path / "elsewhere")
    again = opened(digits, tmp_path, image=(8, 8))
    assert again == digits and pairs(again, "test") == pairs(digits, "test")
    arrays = from_arrays(*colours(), cache=tmp_path)
    assert opened(arrays, tmp_path) == arrays
    assert "was loaded as 8x8x1, candidates read 16x16x1" in refusal(
        digits, tmp_path, image=(16, 16)
    )
    assert "candidates read 8x8x3" in refusal(digits, tmp_path, image=(8, 8), channels=3)
    assert "train_share= takes a part" in refusal(take_share(digits, 0.5), tmp_path)


def test_names_and_paths_pass(photos: Path, tmp_path: Path) -> None:
    assert save_source("digits", tmp_path) == "digits"
    assert opened(photos, tmp_path).class_names == ("box", "disc 2", "disc 10")


X, Y = colours()


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (None, "data: expected a source's name"),
        (7, "got int"),
        (X, "got numpy.ndarray"),
        ((X, list(Y)), "got a tuple of ndarray, list"),
        (((X, Y), (X, Y)), "2 splits are given, name them"),
        ({}, "no 'train' among nothing"),
        ({"train": X}, "data['train']: expected arrays (x, y)"),
        ({"train": (X, Y), "tset": (X, Y)}, "'tset' is not one of 'train', 'validation', 'test'"),
        ({"val": (X, Y), "valid": (X, Y)}, "each once"),
        ((X, Y[:3]), "data, train: 60 images but 3 labels"),
        ((X[:0], Y[:0]), "data, train: no images"),
        ((X.reshape(60, -1), Y), "images must be (N, H, W)"),
        ((X.transpose(0, 3, 1, 2), Y), "move the channels to the end"),
        ((X.astype(str), Y), "images must be uint8"),
        ((X / 128.0 - 1, Y), "must be within 0..1 throughout"),
        ((X * 300.0, Y), "0..255 throughout, found 0 to 76500"),
        ((X * np.where(np.arange(60) == 9, np.nan, 1)[:, None, None, None], Y), "found nan to nan"),
        ((X, Y.astype(str)), "labels must be integers"),
        ((X, Y + 0.5), "labels must be integers, got float64"),
        ((X, np.eye(3)[Y] / 2), "labels of 3 values each are not one-hot"),
        ((X, Y * 0), "at least two classes are needed"),
        ({"train": (X, Y), "class_names": ["a"]}, "label 1 is none of the 1 classes"),
        ({"train": (X, Y), "class_names": list("abcd")}, "class 'd' is empty"),
    ],
)
def test_objects_that_are_no_data(data: object, rule: str, tmp_path: Path) -> None:
    assert rule in refusal(data, tmp_path)
    assert not list(tmp_path.glob(".partial*"))


def test_integers_out_of_range(tmp_path: Path) -> None:
    assert "int64 images must be within 0..255, found 0 to" in refusal(
        (X.astype(np.int64) * 3, Y), tmp_path
    )


@pytest.fixture(scope="module")
def tf() -> Any:
    return pytest.importorskip("tensorflow")


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d,
        lambda d: d.batch(7),
        lambda d: d.shuffle(60).batch(7).prefetch(1),
        lambda d: d.map(lambda x, y: (x / 255, y)).batch(7),
    ],
)
def test_tf_data(tf: Any, change: Callable[[Any], Any], tmp_path: Path) -> None:
    x, y = colours()
    stream = change(tf.data.Dataset.from_tensor_slices((x, y)))
    data = opened(stream, tmp_path)
    assert data.source == save_source((x, y), tmp_path)
    assert pairs(data) == as_pairs(x, y)
    parts = {"train": stream, "test": stream.take(3)}
    assert opened(parts, tmp_path).train.count == 51


def test_tf_data_of_grey_images(tf: Any, tmp_path: Path) -> None:
    x, y = colours()
    one_hot = np.eye(3, dtype=np.float32)[y]
    for images in (x[..., 0], x[..., :1]):
        for labels in (y, one_hot):
            single = tf.data.Dataset.from_tensor_slices((images, labels))
            for stream in (single, single.batch(7)):
                assert opened(stream, tmp_path).channels == 1
                assert pairs(opened(stream, tmp_path)) == as_pairs(x[..., :1], y)


def test_tf_data_that_is_none(tf: Any, tmp_path: Path) -> None:
    x, y = colours()
    stream = tf.data.Dataset.from_tensor_slices((x, y))
    assert "has no end; leave repeat() out" in refusal(stream.repeat(), tmp_path)
    assert "holds no images" in refusal(stream.take(0), tmp_path)
    weights = tf.data.Dataset.from_tensor_slices((x, y, y))
    assert "elements must be (image, label), got 3 parts" in refusal(weights, tmp_path)
    alone = tf.data.Dataset.from_tensor_slices(x)
    assert "elements must be (image, label), got numpy.ndarray" in refusal(alone, tmp_path)
    ragged = tf.data.Dataset.from_generator(
        lambda: ((np.zeros((4 + i % 2, 4, 3), np.uint8), i % 2) for i in range(8)),
        output_signature=(tf.TensorSpec((None, 4, 3), tf.uint8), tf.TensorSpec((), tf.int64)),
    )
    assert "images of (4, 4, 3) and of (5, 4, 3)" in refusal(ragged, tmp_path)


def test_what_keras_reads_from_a_folder(tf: Any, photos: Path, tmp_path: Path) -> None:
    import keras

    stream = keras.utils.image_dataset_from_directory(
        str(photos), image_size=(10, 12), batch_size=5, verbose=False
    )
    data = opened(stream, tmp_path)
    assert data.class_names == ("box", "disc 10", "disc 2")  # as Keras sorts them
    assert data.train.count + data.validation.count + data.test.count == 24
    assert 60 < data.train.images().mean() < 200


def test_py_dataset(tmp_path: Path) -> None:
    import keras

    x, y = colours()

    class Batches(keras.utils.PyDataset):
        def __len__(self) -> int:
            return 9

        def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
            return x[index * 7 : index * 7 + 7], y[index * 7 : index * 7 + 7]

    class Endless(Batches):
        @property
        def num_batches(self) -> None:
            return None

    assert save_source(Batches(), tmp_path) == save_source((x, y), tmp_path)
    assert "has no end" in refusal(Endless(), tmp_path)


def test_arrays_import_no_framework(tmp_path: Path) -> None:
    program = (
        "import sys, numpy as np; from pathlib import Path; "
        "from cnnsearch.data import save_source; "
        "x = np.zeros((8, 4, 4), np.uint8); "
        f"save_source((x, np.arange(8) % 2), Path({str(tmp_path)!r})); "
        "print([m for m in ('tensorflow', 'keras', 'PIL.Image', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
