"""`load` and `from_arrays`: the two ways to a `Dataset`."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnsearch.data.dataset import SPLIT_VERSION, Dataset
from cnnsearch.errors import DataError

if TYPE_CHECKING:
    from cnnsearch.data.pipeline import Options

DATA_FORMS = "DATA_FORMS"
"""Stands for `sources.describe_forms()` in help texts: importing the sources takes 0.15 s."""


def load(
    source: str,
    *,
    image: tuple[int, int],
    channels: int | None,
    cache: Path,
    seed: int = 0,
    skip_bad_images: bool = False,
    validation: float = 0.2,
    test: float = 0.2,
    data_dir: Path | None = None,
    split_version: int = SPLIT_VERSION,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Decodes a source into the cache, once, and returns a handle on it.

    Args:
        source: ``digits``; a folder of class folders (images lie anywhere below their class's),
            optionally below folders train, val and test; a .zip or .tar of such a folder, or a
            folder with train.zip and test.zip; a .csv or .parquet with columns path and label and,
            optionally, split; ``npz:FILE``; ``tfds:NAME[:config][/version]`` or ``tfds:/PREPARED``;
            any other of `cnnsearch.data.sources.SOURCES`.
        image: Height and width that every image is stretched to, in pixels.
        channels: 1, 3, or None for what the data has: 1 if up to 256 sampled images are all grey.
        cache: Directory for decoded images; loads with the same cache share them.
        seed: Decides which images are held out where the source has no such split.
        skip_bad_images: Leave unreadable images out and report them instead of refusing the source.
        validation: Fraction to hold out for validation, if the source has no such split.
        test: Likewise for test; 0 for none.
        data_dir: Where TFDS keeps its prepared data; its own default if None.
        split_version: 1 for the splits of cnnsearch 0.1, which also left out files without a
            known suffix.
        progress: Called with images done and images in all while decoding.

    Raises:
        DataError: The source is unknown, missing, empty, malformed or unreadable, or the cache
            cannot be written.
    """
    options = _check_options(image, channels, seed, validation, test, skip_bad_images)
    options = replace(options, split_version=split_version)
    from cnnsearch.data import handles, pipeline
    from cnnsearch.data.sources import find_source
    from cnnsearch.data.sources.protocol import Folders

    if source.startswith(handles.PREFIX):
        return handles.load_handle(source, cache, options.image, channels)
    found = find_source(source, Folders(data_dir, cache, by_content=split_version > 1))
    return pipeline.build(found, options, cache.expanduser().absolute(), progress)


def from_arrays(
    images: Any,
    labels: Any,
    *,
    image: tuple[int, int] | None = None,
    channels: int | None = None,
    cache: Path,
    seed: int = 0,
    validation: float = 0.2,
    test: float = 0.2,
    validation_data: tuple[Any, Any] | None = None,
    test_data: tuple[Any, Any] | None = None,
    class_names: Sequence[str] | None = None,
    flip: bool | None = None,
    name: str = "arrays",
) -> Dataset:
    """Returns a data set of arrays, as `load` does of a source.

    Args:
        images: (N, H, W) or (N, H, W, 1, 3 or 4); uint8, or float within 0..1 or 0..255.
        labels: (N,) or (N, 1) integers.
        image: Height and width; those of the images if None.
        channels: As for `load`.
        cache: As for `load`.
        seed: As for `load`.
        validation: As for `load`.
        test: As for `load`.
        validation_data: (images, labels) for validation instead of a part of train.
        test_data: (images, labels) for test instead of a part of train.
        class_names: Name of class 0, 1, ...; the sorted labels themselves if None.
        flip: Whether a mirrored image keeps its label; None to guess from classes and colour.
        name: For messages and `Dataset.source`.

    Raises:
        DataError: As for `load`.
    """
    parts = {"train": (images, labels), "validation": validation_data, "test": test_data}
    source = save_source({**parts, "class_names": class_names}, cache)
    data = load(
        source,
        image=images.shape[1:3] if image is None else image,
        channels=channels,
        cache=cache,
        seed=seed,
        validation=validation,
        test=test,
    )
    return replace(data, source=name, flip=data.flip if flip is None else flip)


def save_source(data: object, cache: Path) -> str:
    """Returns the source by which `load` finds what a Python object holds, written to the cache.

    Args:
        data: A source's name; a `Dataset`; arrays ``(x, y)``, a ``tf.data.Dataset`` or a
            ``keras.utils.PyDataset`` of (image, label), batched or not; three of these for train,
            validation and test; or a dict of them, with ``class_names`` if they are known. Images
            are of one size, uint8 or float within 0..1 or 0..255; labels integers or one-hot. An
            object is read once, and identified by its content afterwards.
        cache: As for `load`.

    Raises:
        DataError: It is none of these, or malformed, or the cache cannot be written.
    """
    if isinstance(data, str):
        return data
    from cnnsearch.data.python_objects import save_object

    return save_object(data, cache)


def _check_options(
    image: tuple[int, int],
    channels: int | None,
    seed: int,
    validation: float,
    test: float,
    skip_bad_images: bool,
) -> "Options":
    from cnnsearch.data.pipeline import Options

    if len(image) != 2 or min(image) < 1:
        raise DataError(f"image must be a height and a width of at least 1, got {tuple(image)}")
    if channels not in (None, 1, 3):
        raise DataError(f"channels must be 1 or 3, got {channels}")
    if not (0 < validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise DataError(
            "validation must be above 0, test at least 0 and both together below 1, "
            f"got {validation} and {test}"
        )
    size = (int(image[0]), int(image[1]))
    return Options(size, channels, seed, float(validation), float(test), skip_bad_images)
