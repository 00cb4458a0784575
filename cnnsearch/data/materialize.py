"""Decodes the listed examples of a split into the cache, at load or when first read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cnnsearch.data.sources import cache, reopen
from cnnsearch.data.sources.decode import decode_all, digest_pixels
from cnnsearch.data.sources.protocol import Examples, digest, show_path
from cnnsearch.errors import DataError

Progress = Callable[[int, int], None]
"""Called with the images done and the images in all."""
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Decoded:
    """What decoding one split gave.

    Attributes:
        labels: Of the images that could be read.
        content: A digest of keys, labels and files.
        skipped: The other images.
        digests: Of the pixels of each image.
    """

    labels: list[int]
    content: str
    skipped: tuple[str, ...]
    digests: list[bytes]


def ensure_decoded(
    directory: Path, plan: Path | None, count: int, shape: Shape, skip_bad_images: bool
) -> tuple[str, ...]:
    """Decodes a split by its plan unless that has been done; returns what could not be read.

    Raises:
        DataError: The split is gone from the cache, or an image cannot be read.
    """
    if not (directory / "images.npy").exists():
        if plan is None:
            raise _gone_error(directory)
        with cache.staging(directory.parent) as stage:
            decoded = decode_split(stage, reopen_plan(plan), shape, lambda: None)
            if decoded.skipped and not skip_bad_images:
                raise unreadable_error(decoded.skipped, count)
            cache.write_json(stage / "skipped.json", {"skipped": decoded.skipped})
            cache.publish(stage, directory, replace=False)
    if plan is None:
        return ()
    skipped = tuple((cache.read_json(directory / "skipped.json") or {}).get("skipped", ()))
    if skipped and not skip_bad_images:
        raise unreadable_error(skipped, count)
    return skipped


def read_listed_labels(plan: Path) -> npt.NDArray[np.int32]:
    """Returns the labels of a split from its listing, without reading an image."""
    return np.asarray(reopen_plan(plan).labels, dtype=np.int32)


def reopen_plan(path: Path) -> Examples:
    """Lists the examples that a plan in the cache describes."""
    plan = cache.read_json(path)
    if plan is None:
        raise _gone_error(path)
    return reopen(plan, path.parent)


def decode_split(
    directory: Path, examples: Examples, shape: Shape, step: Callable[[], None]
) -> Decoded:
    """Decodes examples into images.npy and labels.npy of a directory; ``step`` counts them."""
    directory.mkdir(exist_ok=True)
    labels, contents, skipped, digests = [], [], [], []
    images = decode_all(examples.items(), shape[:2], shape[2])
    with cache.ArrayFile(directory / "images.npy", shape) as file:
        for key, label, image in zip(examples.keys, examples.labels, images, strict=True):
            step()
            if image.pixels is None:
                skipped.append(f"{show_path(key)} ({image.reason})")
                continue
            file.append(image.pixels)
            labels.append(label)
            contents.append((key, label, image.content))
            digests.append(digest_pixels(image.pixels))
    cache.write_labels(directory / "labels.npy", labels)
    np.save(directory / "digests.npy", np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 16))
    return Decoded(labels, digest(*contents), tuple(skipped), digests)


def describe_copies(copies: int, total: int, name: str) -> list[str]:
    """Returns a warning, in a list, if held-out images have the pixels of training images."""
    if not copies:
        return []
    return [
        f"{copies:,} of {total:,} {name} images {'has' if copies == 1 else 'have'} the pixels of a "
        "training image: their score measures memorization. --drop-copies leaves such images out "
        "of training."
    ]


def unreadable_error(skipped: tuple[str, ...], total: int) -> DataError:
    """Returns the error that names the first unreadable images and the way out."""
    more = f" and {len(skipped) - 3} more" if len(skipped) > 3 else ""
    return DataError(
        f"{len(skipped)} of {total} images cannot be read: {', '.join(skipped[:3])}{more}; "
        "repair or remove them, or leave them out with --skip-bad-images (skip_bad_images=True)"
    )


def _gone_error(path: Path) -> DataError:
    return DataError(f"{path} is gone from the cache: load the data set again")
