"""`Dataset` and `Split`: small picklable handles on decoded images in the cache."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


MAPPED_SHARE = 0.25
"""Of the memory that there is, what decoded images may take before they are streamed."""
BATCHES_HELD = 8
"""Batches of training that are in memory at most: what is prepared and trained on, with the copy
that augmentation makes, or one of validation, four times as large, and its successor."""


@dataclass(frozen=True)
class Split:
    """The images of one split, memory-mapped from the cache; cheap to pickle.

    Attributes:
        name: ``train``, ``validation`` or ``test``.
        count: Number of images. For a test split that has not been read yet: as listed; with
            ``skip_bad_images``, `images` and `labels` may turn out shorter.
        shape: Height, width and channels of every image.
        directory: Where images.npy and labels.npy lie, or will.
        plan: How to read the images when first asked for, or None if they were read at load.
        skip_bad_images: Whether unreadable files are left out instead of being an error.
        streamed: Whether `read` reads from disk what it is asked for, instead of mapping the file.
    """

    name: str
    count: int
    shape: tuple[int, int, int]
    directory: Path
    plan: Path | None = None
    skip_bad_images: bool = False
    streamed: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of all images, decoded."""
        height, width, channels = self.shape
        return self.count * height * width * channels

    @property
    def materialised(self) -> bool:
        """Whether the images lie decoded in the cache."""
        return (self.directory / "images.npy").exists()

    def images(self) -> "npt.NDArray[np.uint8]":
        """Returns the images as uint8 (N, H, W, C), memory-mapped and read-only.

        Raises:
            DataError: A test image cannot be read, or changed since the data set was loaded.
        """
        return self._array("images")

    def read(self, rows: "npt.NDArray[np.intp]") -> "npt.NDArray[np.uint8]":
        """Returns the images of these rows as uint8 (len(rows), H, W, C), in order.

        Args:
            rows: Each at least 0 and below `count`.
        """
        if not self.streamed:
            return self.images()[rows]
        from cnnsearch.data.pipeline import ensure
        from cnnsearch.data.sources.cache import read_rows

        ensure(self)
        return read_rows(self.directory / "images.npy", rows)

    def labels(self) -> "npt.NDArray[np.int32]":
        """Returns the class indices as int32 (N,), in the order of `images`.

        Those of a test split come from its listing, without reading an image, unless unreadable
        images are to be skipped.
        """
        if self.plan and not self.materialised and not self.skip_bad_images:
            from cnnsearch.data.pipeline import listed_labels

            return listed_labels(self.plan)
        return self._array("labels")

    def skipped(self) -> tuple[str, ...]:
        """Returns the images that could not be read, each with the reason; reads the split."""
        from cnnsearch.data.pipeline import ensure

        return ensure(self)

    def _array(self, name: str) -> "npt.NDArray[Any]":
        from cnnsearch.data.pipeline import ensure
        from cnnsearch.data.sources.cache import map_array

        ensure(self)
        return map_array(self.directory / f"{name}.npy")


@dataclass(frozen=True)
class Dataset:
    """Labelled images, split and scaled to one size; decoded once, shared by all processes.

    Attributes:
        source: As it was given to `load`.
        class_names: Label i means ``class_names[i]``.
        image: Height and width in pixels.
        channels: 1 (grey) or 3 (RGB).
        train: What candidates learn from.
        validation: What they are scored on.
        test: Neither read nor decoded before ``test.images()``.
        mean: Of the training pixels scaled to [0, 1], per channel.
        std: Their standard deviation, at least 1/255.
        fingerprint: 32 hex digits for class names, image size, channels, the content of train and
            validation and the listing (names, sizes, labels; not the content) of test.
        flip: Whether a horizontally flipped image keeps its label: not so for characters.
        skipped: Unreadable train and validation images that were left out, each with the reason.
    """

    source: str
    class_names: tuple[str, ...]
    image: tuple[int, int]
    channels: int
    train: Split
    validation: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    flip: bool
    skipped: tuple[str, ...] = ()

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def input(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return (*self.image, self.channels)

    def within(self, memory: int) -> "Dataset":
        """Returns the data set as a process reads it that has so much memory for its images.

        Splits that are larger than `MAPPED_SHARE` of it together are streamed from disk, a few
        batches at a time; smaller ones are mapped, so that all processes share one copy.

        Args:
            memory: In bytes.
        """
        parts = (self.train, self.validation)
        if sum(part.nbytes for part in parts) <= MAPPED_SHARE * memory:
            return self
        names = ("train", "validation", "test")
        return replace(self, **{n: replace(getattr(self, n), streamed=True) for n in names})

    def joined(self) -> "Dataset":
        """Returns the data set with validation as part of train, and no validation left."""
        from cnnsearch.data.views import join

        return join(self)

    def subset(self, share: float, seed: int = 0) -> "Dataset":
        """Returns the data set with a stratified share of train; validation and test stay.

        Args:
            share: In (0, 1].
            seed: Of the draw.

        Raises:
            DataError: The share is not within (0, 1].
        """
        from cnnsearch.data.views import thin

        return thin(self, share, seed)
