"""`load` and `from_arrays`: the two doors to a `Dataset`."""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnsearch.data.dataset import Dataset
from cnnsearch.errors import DataError, nearest

if TYPE_CHECKING:
    from cnnsearch.data.pipeline import Options
    from cnnsearch.data.sources.protocol import Source

FORMS = (
    "digits, a folder of class folders, a .zip or .tar of one, a .csv or .parquet of path,label, "
    "npz:FILE or tfds:NAME[:config][/version]"
)
_OFTEN_MEANT = ("tfds:cifar10", "tfds:cifar100", "tfds:fashion_mnist", "tfds:mnist")


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
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Decodes a source into the cache, once, and returns a handle on it.

    Args:
        source: ``digits``; a folder of class folders (images lie anywhere below their class's),
            optionally below folders train, val and test; a .zip or .tar of such a folder, or a
            folder with train.zip and test.zip; a .csv or .parquet with columns path and label and,
            optionally, split; ``npz:FILE``; ``tfds:NAME[:config][/version]`` or ``tfds:/PREPARED``.
        image: Height and width that every image is stretched to, in pixels.
        channels: 1, 3, or None for what the data has: 1 if up to 256 sampled images are all grey.
        cache: Directory for decoded images; loads with the same cache share them.
        seed: Decides which images are held out where the source has no such split.
        skip_bad_images: Leave unreadable images out and report them instead of refusing the source.
        validation: Fraction to hold out for validation, if the source has no such split.
        test: Likewise for test; 0 for none.
        data_dir: Where TFDS keeps its prepared data; its own default if None.
        progress: Called with images done and images in all while decoding.

    Raises:
        DataError: The source is unknown, missing, empty, malformed or unreadable, or the cache
            cannot be written.
    """
    options = _options(image, channels, seed, validation, test, skip_bad_images)
    from cnnsearch.data.pipeline import build

    kind, _, rest = source.partition(":")
    if kind == "dataset":
        from cnnsearch.data.sources.cached_arrays import recall_handle

        return recall_handle(rest, cache, options.image, channels)
    found = find(source, data_dir, cache)
    return build(found, options, cache.expanduser().absolute(), progress)


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
        images: (N, H, W) or (N, H, W, 1, 3 or 4); uint8, or float within 0..1.
        labels: (N,) or (N, 1) integers.
        image: Height and width; those of the images if None.
        channels: As for `load`.
        cache: As for `load`.
        seed: As for `load`.
        validation: As for `load`.
        test: As for `load`.
        validation_data: (images, labels) for validation instead of a carved split.
        test_data: (images, labels) for test instead of a carved split.
        class_names: Name of class 0, 1, ...; the sorted labels themselves if None.
        flip: Whether a mirrored image keeps its label; None to guess from classes and colour.
        name: What messages and `Dataset.source` call it.

    Raises:
        DataError: As for `load`.
    """
    from cnnsearch.data.pipeline import build
    from cnnsearch.data.sources.arrays import MemorySource

    pairs = {"train": (images, labels), "validation": validation_data, "test": test_data}
    source = MemorySource(pairs, class_names, name, flip)
    size = source.size() if image is None else image
    options = _options(size, channels, seed, validation, test, False)
    return build(source, options, cache.expanduser().absolute())


def source_of(data: object, cache: Path) -> str:
    """Returns the source by which `load` finds what a Python object holds, kept in the cache.

    Args:
        data: A source's name; a `Dataset`; arrays ``(x, y)``, a ``tf.data.Dataset`` or a
            ``keras.utils.PyDataset`` of (image, label), batched or not; three of these for train,
            validation and test; or a dict of them, with ``class_names`` if they are known. Images
            are of one size, uint8 or float within 0..1 or 0..255; labels integers or one-hot. What
            an object gives is read once, and known by its content from then on.
        cache: As for `load`.

    Raises:
        DataError: It is none of these, or malformed, or the cache cannot be written.
    """
    if isinstance(data, str):
        return data
    from cnnsearch.data.python_objects import source_of

    return source_of(data, cache)


def _options(
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


def find(source: str, data_dir: Path | None, cache: Path | None = None) -> "Source":
    """Returns the source that a text names, not opened yet.

    Args:
        source: As for `load`.
        data_dir: As for `load`.
        cache: As for `load`; where what Python objects held is found again.

    Raises:
        DataError: it names none.
    """
    from cnnsearch.data.sources.archive import ArchiveSource, split_archives
    from cnnsearch.data.sources.archive_members import is_archive
    from cnnsearch.data.sources.arrays import DigitsSource
    from cnnsearch.data.sources.cached_arrays import StoredSource
    from cnnsearch.data.sources.folder import FolderSource
    from cnnsearch.data.sources.npz import NpzSource
    from cnnsearch.data.sources.table import TableSource, is_table
    from cnnsearch.data.sources.tfds import TfdsSource

    kind, _, rest = source.partition(":")
    path = Path(rest if kind == "npz" else source).expanduser()
    if source == "digits":
        return DigitsSource()
    if kind == "tfds":
        return TfdsSource(rest, data_dir)
    if kind == "python" and cache:
        return StoredSource(rest, cache)
    if kind == "npz" or (path.suffix == ".npz" and path.is_file()):
        if not path.is_file():
            raise DataError(f"npz:{path}: no such file{_beside(path)}")
        return NpzSource(path, cache or Path(tempfile.gettempdir()))
    if path.is_dir():
        archives = split_archives(path)
        return ArchiveSource(path, archives) if archives else FolderSource(path)
    if is_archive(path) and path.is_file():
        return ArchiveSource(path)
    if is_table(path) and path.is_file():
        return TableSource(path)
    raise DataError(_unknown(source, path))


def _unknown(source: str, path: Path) -> str:
    if path.is_file():
        return f"{source!r} is a file; a data source is {FORMS}"
    if os.sep in source or source.startswith(("~", ".")):
        return f"data folder {source!r} does not exist{_beside(path)}"
    hint = nearest(source, ("digits", *_OFTEN_MEANT, *_names(Path())))
    return f"unknown data set {source!r}{hint}; a data source is {FORMS}"


def _beside(path: Path) -> str:
    return nearest(path.name, _names(path.parent))


def _names(folder: Path) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if not name.startswith(".")]
    except OSError:
        return []
