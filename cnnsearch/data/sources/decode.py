"""Pixels from image files and arrays: Pillow only, to uint8 of one size and colour."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cnnsearch.data.sources.protocol import Examples, Item, Pixels, Raw, digest_raw
from cnnsearch.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF")
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".gif")
_ORIENTATION = 0x0112
_BATCH = 16
_SAMPLED = 256
MOST_PIXELS = 89_478_485  # Pillow warns beyond; a larger JPEG is reduced as it is read


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
    if isinstance(raw, bytes):
        picture = _opened(raw, image)
    else:
        pixels = to_uint8(raw)
        if pixels.shape == (*image, channels):
            return pixels
        picture = _from_pixels(pixels)
    picture = in_colour(picture, "L" if channels == 1 else "RGB")
    if picture.size != (image[1], image[0]):
        from PIL import Image

        picture = picture.resize((image[1], image[0]), Image.Resampling.BILINEAR)
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


def native_channels(parts: Iterable[Examples]) -> int:
    """Returns 1 if every one of up to 256 evenly spaced images is grey by its pixels, else 3."""
    for examples in parts:
        rows = range(0, len(examples), max(1, len(examples) * 2 // _SAMPLED))
        for item in examples.take(rows).items():
            pixels = _decoded(item, (64, 64), 3).pixels
            if pixels is not None and np.ptp(pixels.astype(np.int16), axis=-1).any():
                return 3
    return 1


def decode_all(
    items: Iterator[Item],
    image: tuple[int, int],
    channels: int,
) -> Iterator[Decoded]:
    """Decodes in threads (Pillow lets go of the lock) and yields in order, few images in memory."""

    def batch(chunk: list[Item]) -> list[Decoded]:
        return [_decoded(item, image, channels) for item in chunk]

    workers = min(32, process_cpus())
    pending: deque[Future[list[Decoded]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        try:
            while chunk := list(islice(items, _BATCH)):
                pending.append(pool.submit(batch, chunk))
                if len(pending) > 2 * workers:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def process_cpus() -> int:
    """Returns how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _decoded(item: Item, image: tuple[int, int], channels: int) -> Decoded:
    """Whatever a malformed file makes Pillow raise is that file's fault, not ours."""
    content = ""
    try:
        raw = item()
        content = digest_raw(raw)
        return Decoded(decode(raw, image, channels), content)
    except (DataError, MemoryError):
        raise
    except Exception as error:
        return Decoded(None, content, reason_of(error))


def reason_of(error: Exception) -> str:
    """Says in a few words why an image cannot be read."""
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "not a JPEG, PNG, BMP, WebP or GIF image"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def _opened(data: bytes, image: tuple[int, int]) -> "Image.Image":
    from PIL import Image

    if not data:
        raise ValueError("empty file")
    picture: Image.Image = Image.open(BytesIO(data), formats=FORMATS)
    side = 2 * max(image)
    picture.draft(None, (side, side))
    if picture.width * picture.height > MOST_PIXELS:
        raise ValueError(f"{picture.width}x{picture.height} pixels, more than {MOST_PIXELS:,}")
    picture.load()
    return upright(picture)


def upright(picture: "Image.Image") -> "Image.Image":
    """Returns a picture turned as its EXIF orientation says."""
    from PIL.Image import Transpose

    try:
        orientation = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # metadata that cannot be read spoils no pixel
        return picture
    turns: dict[int, Callable[[], Image.Image]] = {
        2: lambda: picture.transpose(Transpose.FLIP_LEFT_RIGHT),
        3: lambda: picture.transpose(Transpose.ROTATE_180),
        4: lambda: picture.transpose(Transpose.FLIP_TOP_BOTTOM),
        5: lambda: picture.transpose(Transpose.TRANSPOSE),
        6: lambda: picture.transpose(Transpose.ROTATE_270),
        7: lambda: picture.transpose(Transpose.TRANSVERSE),
        8: lambda: picture.transpose(Transpose.ROTATE_90),
    }
    return turns[orientation]() if orientation in turns else picture


def in_colour(picture: "Image.Image", mode: str) -> "Image.Image":
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


def _from_pixels(pixels: npt.NDArray[np.uint8]) -> "Image.Image":
    from PIL import Image

    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
