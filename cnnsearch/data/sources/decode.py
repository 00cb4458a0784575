"""Pixels from image files and arrays: Pillow only, to uint8 of one size and colour."""

import hashlib
import importlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from cnnsearch.data.sources.protocol import Examples, Item, Pixels, Raw, digest_raw
from cnnsearch.data.sources.recognition import HEAD, NO_HEIF, can_read_heif, is_heif
from cnnsearch.errors import DataError
from cnnsearch.utils.hardware import count_cores

if TYPE_CHECKING:
    from PIL import Image

T = TypeVar("T")
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF")
MOST_PIXELS = 89_478_485  # Pillow warns beyond; a larger JPEG is reduced as it is read
_ORIENTATION = 0x0112
_TURNS = {
    **{2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE"},
    **{6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90"},
}
_BATCH = 16
_SAMPLED = 256


@dataclass(frozen=True)
class Decoded:
    """One image, or the reason why there is none."""

    pixels: npt.NDArray[np.uint8] | None
    content: str
    reason: str = ""


def decode(raw: Raw, image: tuple[int, int], channels: int) -> npt.NDArray[np.uint8]:
    """Returns an image as uint8 (H, W, channels).

    Alpha is composited on white, EXIF orientation applied, 16-bit grey scaled to 8 bits; then the
    image is stretched to the size by bilinear interpolation with antialiasing. A JPEG at least four
    times too large is first reduced by its own DCT scaling.
    """
    from PIL.Image import Resampling

    if isinstance(raw, bytes):
        picture = _read_reduced(raw, image)
    else:
        pixels = to_uint8(raw)
        if pixels.shape == (*image, channels):
            return pixels
        picture = picture_from_pixels(pixels)
    picture = convert_colour(picture, "L" if channels == 1 else "RGB")
    if picture.size != (image[1], image[0]):
        picture = picture.resize((image[1], image[0]), Resampling.BILINEAR)
    return np.asarray(picture, dtype=np.uint8).reshape(*image, channels)


def to_uint8(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Returns an array's image as uint8 (H, W, C): floats taken as 0..1, integers as they are."""
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    if pixels.dtype.kind == "f":
        pixels = np.rint(pixels * 255.0)
    elif pixels.dtype.kind == "b":
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    return np.ascontiguousarray(pixels.astype(np.uint8, copy=False))


def digest_pixels(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Returns 16 bytes that are equal for images with equal pixels."""
    return hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()


def native_channels(parts: Iterable[Examples]) -> int:
    """Returns 1 if every one of up to 256 evenly spaced images is grey by its pixels, else 3."""
    for examples in parts:
        rows = range(0, len(examples), max(1, len(examples) * 2 // _SAMPLED))
        for item in examples.take(rows).items():
            pixels = decode_item(item, (64, 64), 3).pixels
            if pixels is not None and np.ptp(pixels.astype(np.int16), axis=-1).any():
                return 3
    return 1


def decode_all(items: Iterator[Item], image: tuple[int, int], channels: int) -> Iterator[Decoded]:
    """Decodes images in threads and yields them in order; few are in memory at a time."""
    return map_in_threads(lambda item: decode_item(item, image, channels), items)


def map_in_threads(function: Callable[[Item], T], items: Iterator[Item]) -> Iterator[T]:
    """Yields the function's results in order, computed ahead by threads.

    Pillow releases the interpreter lock, so threads are enough; no more than twice as many batches
    as threads are pending, so that few images are in memory.
    """

    def run(batch: list[Item]) -> list[T]:
        return [function(item) for item in batch]

    workers = min(32, count_cores())
    pending: deque[Future[list[T]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        try:
            while batch := list(islice(items, _BATCH)):
                pending.append(pool.submit(run, batch))
                if len(pending) > 2 * workers:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def decode_item(item: Item, image: tuple[int, int], channels: int) -> Decoded:
    """Reads and decodes an image; any exception is the file's fault, and returned as a reason."""
    content = ""
    try:
        raw = item()
        content = digest_raw(raw)
        return Decoded(decode(raw, image, channels), content)
    except (DataError, MemoryError):
        raise
    except Exception as error:
        return Decoded(None, content, describe_error(error))


def describe_error(error: Exception) -> str:
    """Returns in a few words why an image cannot be read."""
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "not a JPEG, PNG, BMP, WebP or GIF image"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def open_picture(raw: bytes) -> "Image.Image":
    """Opens an image file of one of `FORMATS`, or HEIC, without reading its pixels."""
    from PIL import Image

    if not raw:
        raise ValueError("empty file")
    if not is_heif(raw[:HEAD]):
        return Image.open(BytesIO(raw), formats=FORMATS)
    if not can_read_heif():
        raise ValueError(NO_HEIF)
    importlib.import_module("pillow_heif").register_heif_opener()
    return Image.open(BytesIO(raw), formats=("HEIF",))


def _read_reduced(raw: bytes, image: tuple[int, int]) -> "Image.Image":
    picture = open_picture(raw)
    side = 2 * max(image)
    picture.draft(None, (side, side))
    if picture.width * picture.height > MOST_PIXELS:
        raise ValueError(f"{picture.width}x{picture.height} pixels, more than {MOST_PIXELS:,}")
    picture.load()
    return turn_upright(picture)


def turn_upright(picture: "Image.Image") -> "Image.Image":
    """Returns a picture turned as its EXIF orientation says."""
    # Not ImageOps.exif_transpose: it writes the EXIF data back, and fails where they are damaged.
    from PIL.Image import Transpose

    try:
        orientation = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # unreadable metadata make no pixel wrong
        return picture
    turn = _TURNS.get(orientation)
    return picture.transpose(Transpose[turn]) if turn else picture


def convert_colour(picture: "Image.Image", mode: str) -> "Image.Image":
    """Returns a picture in ``L`` or ``RGB``: alpha on white, 16 bits scaled to 8."""
    from PIL import Image

    if picture.mode.startswith("I"):
        levels = np.asarray(picture).astype(np.float64) / 257.0
        picture = Image.fromarray(np.rint(levels.clip(0, 255)).astype(np.uint8))
    elif picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture)
    return picture if picture.mode == mode else picture.convert(mode)


def picture_from_pixels(pixels: npt.NDArray[np.uint8]) -> "Image.Image":
    """Returns an array (H, W, C) as a picture."""
    from PIL import Image

    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
