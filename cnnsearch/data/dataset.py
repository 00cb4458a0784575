"""`Dataset` and `Split`: small picklable handles on decoded images in the cache."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SPLIT_VERSION = 2
"""How splits that a source lacks are assigned: by content, unless it is a published data set, to
which no image is added. 1: always by name, as cnnsearch 0.1 did."""
MAPPED_SHARE = 0.25
"""Decoded images are streamed if they take more than this share of the memory."""
BATCHES_HELD = 8
"""Most training batches in memory at once: prefetched, in training, and their augmented copies;
or two validation batches, each four times as large."""


@dataclass(frozen=True)
class Split:
    """The images of one split, memory-mapped from the cache; cheap to pickle.

    Attributes:
        name: ``train``, ``validation`` or ``test``.
        count: Number of images. For a test split that has not been read yet: as listed; with
            ``skip_bad_images``, `images` and `labels` may turn out shorter.
        shape: Height, width and channels of every image.
        directory: Of images.npy and labels.npy.
        plan: How to read the images on first access, or None if they were decoded at load.
        skip_bad_images: Whether unreadable files are left out instead of being an error.
        streamed: Whether `read` reads rows from disk instead of mapping the file.
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
        """Whether the decoded images are in the cache."""
        return (self.directory / "images.npy").exists()

    def images(self) -> "npt.NDArray[np.uint8]":
        """Returns the images as uint8 (N, H, W, C), memory-mapped and read-only.

        Raises:
            DataError: A test image cannot be read, or changed since the data set was loaded.
        """
        return self._map("images")

    def read(self, rows: "npt.NDArray[np.intp]") -> "npt.NDArray[np.uint8]":
        """Returns the images of these rows as uint8 (len(rows), H, W, C), in order.

        Args:
            rows: Each at least 0 and below `count`.
        """
        if not self.streamed:
            return self.images()[rows]
        from cnnsearch.data.sources.cache import read_rows

        self.list_skipped()
        return read_rows(self.directory / "images.npy", rows)

    def labels(self) -> "npt.NDArray[np.int32]":
        """Returns the class indices as int32 (N,), in the order of `images`.

        Those of a test split come from its listing, without reading an image, unless unreadable
        images are left out.
        """
        if self.plan and not self.materialised and not self.skip_bad_images:
            from cnnsearch.data.materialize import read_listed_labels

            return read_listed_labels(self.plan)
        return self._map("labels")

    def digests(self) -> "npt.NDArray[np.uint8]":
        """Returns a digest of the pixels of each image, uint8 (N, 16)."""
        self.list_skipped()
        if not (self.directory / "digests.npy").exists():  # decoded by cnnsearch 0.1
            import numpy as np

            from cnnsearch.data.sources.decode import digest_pixels

            found = b"".join(map(digest_pixels, self.images()))
            return np.frombuffer(found, np.uint8).reshape(-1, 16)
        return self._map("digests")

    def list_skipped(self) -> tuple[str, ...]:
        """Returns the images that could not be read, each with the reason; decodes the split."""
        from cnnsearch.data.materialize import ensure_decoded

        return ensure_decoded(
            self.directory, self.plan, self.count, self.shape, self.skip_bad_images
        )

    def _map(self, name: str) -> "npt.NDArray[Any]":
        from cnnsearch.data.sources.cache import map_array

        self.list_skipped()
        return map_array(self.directory / f"{name}.npy")


@dataclass(frozen=True)
class Dataset:
    """Labelled images, split and scaled to one size; decoded once, shared by all processes.

    Attributes:
        source: As it was given to `load`.
        class_names: Label i means ``class_names[i]``.
        image: Height and width in pixels.
        channels: 1 (grey) or 3 (RGB).
        train: What candidates are trained on.
        validation: What they are ranked on.
        test: Not decoded before ``test.images()``, and not read either if the source has a test
            split; otherwise its bytes are hashed to assign it.
        mean: Of the training pixels scaled to [0, 1], per channel.
        std: Their standard deviation, at least 1/255.
        fingerprint: 32 hex digits for class names, image size, channels, the content of train and
            validation and the listing (names, sizes, labels; not the content) of test.
        flip: Whether a horizontally flipped image keeps its label: not so for characters.
        skipped: Unreadable train and validation images that were left out, each with the reason.
        warnings: What a user should know, such as files that were left out, each in one line.
        split_version: See `SPLIT_VERSION`.
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
    warnings: tuple[str, ...] = ()
    split_version: int = 1  # of a handle that an earlier version has written

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def input(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return (*self.image, self.channels)

    def fit_memory(self, memory: int) -> "Dataset":
        """Returns the data set, streamed from disk if it is large for this much memory.

        Splits that are larger than `MAPPED_SHARE` of it together are streamed, a few batches at a
        time; smaller ones are memory-mapped, so that all processes share one copy.

        Args:
            memory: In bytes.
        """
        if self.train.nbytes + self.validation.nbytes <= MAPPED_SHARE * memory:
            return self
        names = ("train", "validation", "test")
        return replace(self, **{n: replace(getattr(self, n), streamed=True) for n in names})
