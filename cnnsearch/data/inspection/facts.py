"""What one image tells: its format, size and colour, and hashes by which to find it again."""

import hashlib
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cnnsearch.data.sources.decode import FORMATS, in_colour, reason_of, to_uint8, upright
from cnnsearch.data.sources.protocol import Item, Pixels, Raw, digest_raw
from cnnsearch.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

SIDE = 16
"""Height and width of an image's signature."""

_SMALLEST = 24  # pixels: of smaller images, different ones have signatures as alike as copies have
_FLAT = 6.0  # levels of brightness: an image that varies less is like any other such one
_COLOURS = {"1": "grey", "L": "grey", "P": "palette", "CMYK": "CMYK"}
_ARRAYS = {1: "grey", 3: "RGB", 4: "RGBA"}


class Facts(NamedTuple):
    """What is kept of an image once it has been looked at: about 600 bytes.

    Attributes:
        length: of the file or the array, in bytes.
        content: digest of these bytes.
        format: JPEG, PNG, ...; ``array``.
        colour: as it is saved: grey, RGB, RGBA, CMYK, palette, 16-bit grey, ...
        frames: whether it has more than one.
        colourless: whether every pixel is grey, however it is saved.
        height: in pixels, upright.
        width: in pixels, upright.
        pixels: digest of its pixels, decoded at full size to 8-bit RGB.
        signature: its brightness at 16x16, 256 bytes: what a smaller or re-encoded copy shares.
        reason: why it cannot be read; empty if it can.
    """

    length: int
    content: str
    format: str = ""
    colour: str = ""
    frames: bool = False
    colourless: bool = False
    height: int = 0
    width: int = 0
    pixels: str = ""
    signature: bytes = b""
    reason: str = ""


def look(item: Item) -> Facts:
    """Reads and decodes an image; whatever a malformed file makes Pillow raise is its reason."""
    size, content = 0, ""
    try:
        raw = item()
        size, content = len(raw) if isinstance(raw, bytes) else raw.nbytes, digest_raw(raw)
        return _file(raw, content) if isinstance(raw, bytes) else _array(raw, content)
    except (DataError, MemoryError):
        raise
    except Exception as error:
        return Facts(size, content, reason=reason_of(error))


def picture_of(raw: Raw) -> "Image.Image":
    """Returns an image at its own size, upright, in RGB."""
    from PIL import Image

    if not isinstance(raw, bytes):
        pixels = to_uint8(raw)
        flat = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
        return in_colour(Image.fromarray(flat), "RGB")
    picture = _opened(raw)
    picture.load()
    return in_colour(upright(picture), "RGB")


def _opened(raw: bytes) -> "Image.Image":
    from PIL import Image

    if not raw:
        raise ValueError("empty file")
    return Image.open(BytesIO(raw), formats=FORMATS)


def _file(raw: bytes, content: str) -> Facts:
    picture = _opened(raw)
    kind = "JPEG" if picture.format == "MPO" else picture.format or ""  # a phone's JPEG with extras
    colour = _colour(picture)
    picture.load()
    shown = in_colour(upright(picture), "RGB")
    frames = kind != "JPEG" and _has_frames(raw)
    return _seen(shown, Facts(len(raw), content, kind, colour, frames))


def _array(raw: Pixels, content: str) -> Facts:
    colour = _ARRAYS[1 if raw.ndim == 2 else raw.shape[-1]]
    return _seen(picture_of(raw), Facts(raw.nbytes, content, "array", colour))


def _seen(shown: "Image.Image", facts: Facts) -> Facts:
    from PIL import Image

    pixels = hashlib.blake2b(str(shown.size).encode() + shown.tobytes(), digest_size=16)
    small = shown.resize((SIDE, SIDE), Image.Resampling.BOX).convert("L")
    return facts._replace(
        colourless=_colourless(shown),
        height=shown.height,
        width=shown.width,
        pixels=pixels.hexdigest(),
        signature=small.tobytes(),
    )


def _colour(picture: "Image.Image") -> str:
    """Names how colours are saved; Pillow reads 16-bit colour as 8-bit and tells by its tiles."""
    deep = any("16" in str(tile[3]) for tile in getattr(picture, "tile", ()))
    if picture.mode.startswith(("I", "F")):
        return "16-bit grey"
    if picture.mode in _COLOURS:
        clear = picture.mode != "CMYK" and picture.has_transparency_data
        return _COLOURS[picture.mode] + (" with alpha" if clear else "")
    name = {"LA": "grey with alpha", "RGBA": "RGBA", "RGB": "RGB"}.get(picture.mode, picture.mode)
    return f"16-bit {name}" if deep else name


def _colourless(shown: "Image.Image") -> bool:
    from PIL import ImageChops

    red, green, blue = shown.split()
    pairs = ((red, green), (green, blue))
    return all(ImageChops.difference(one, other).getbbox() is None for one, other in pairs)


def _has_frames(raw: bytes) -> bool:
    """A later frame that is damaged spoils nothing: only the first is ever read."""
    try:
        return bool(getattr(_opened(raw), "is_animated", False))
    except Exception:
        return True


def signatures(facts: list[Facts]) -> Pixels:
    """Returns signatures as float32 rows (N, 256) of mean 0 and length 1.

    Rows of images that are flat or too small to be told apart are 0.
    """
    rows = np.frombuffer(b"".join(one.signature for one in facts), np.uint8)
    values = rows.reshape(len(facts), SIDE * SIDE).astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    spread = values.std(axis=1, keepdims=True)
    small = np.asarray([min(one.height, one.width) < _SMALLEST for one in facts])
    values[small | (spread[:, 0] < _FLAT)] = 0.0
    rows_of_one: Pixels = values / np.maximum(spread * SIDE, 1e-6)
    return rows_of_one
