"""Facts about one image: its format, size and colour, and hashes that find its copies."""

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cnnsearch.data.sources.decode import (
    convert_colour,
    describe_error,
    open_picture,
    picture_from_pixels,
    to_uint8,
    turn_upright,
)
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
    """What is kept of an image that has been inspected: about 600 bytes.

    Attributes:
        length: of the file or the array, in bytes.
        content: digest of these bytes.
        format: JPEG, PNG, ...; ``array``.
        colour: mode of the file: grey, RGB, RGBA, CMYK, palette, 16-bit grey, ...
        frames: whether it has more than one.
        colourless: whether every pixel is grey, in whatever mode.
        height: in pixels, upright.
        width: in pixels, upright.
        pixels: digest of its pixels, decoded at full size to 8-bit RGB.
        signature: its brightness at 16x16, 256 bytes: nearly equal in a smaller or re-encoded copy.
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


def inspect_image(item: Item) -> Facts:
    """Reads and decodes an image; any exception is the file's fault, and its reason."""
    size, content = 0, ""
    try:
        raw = item()
        size, content = len(raw) if isinstance(raw, bytes) else raw.nbytes, digest_raw(raw)
        if isinstance(raw, bytes):
            return _inspect_file(raw, content)
        colour = _ARRAYS[1 if raw.ndim == 2 else raw.shape[-1]]
        return _add_pixels(picture_of(raw), Facts(raw.nbytes, content, "array", colour))
    except (DataError, MemoryError):
        raise
    except Exception as error:
        return Facts(size, content, reason=describe_error(error))


def picture_of(raw: Raw) -> "Image.Image":
    """Returns an image at its own size, upright, in RGB."""
    if not isinstance(raw, bytes):
        return convert_colour(picture_from_pixels(to_uint8(raw)), "RGB")
    picture = open_picture(raw)
    picture.load()
    return convert_colour(turn_upright(picture), "RGB")


def _inspect_file(raw: bytes, content: str) -> Facts:
    picture = open_picture(raw)
    kind = "JPEG" if picture.format == "MPO" else picture.format or ""  # a phone's JPEG with extras
    colour = _describe_colour(picture)
    picture.load()
    decoded = convert_colour(turn_upright(picture), "RGB")
    frames = kind != "JPEG" and _has_frames(raw)
    return _add_pixels(decoded, Facts(len(raw), content, kind, colour, frames))


def _add_pixels(picture: "Image.Image", facts: Facts) -> Facts:
    from PIL import Image

    pixels = hashlib.blake2b(str(picture.size).encode() + picture.tobytes(), digest_size=16)
    small = picture.resize((SIDE, SIDE), Image.Resampling.BOX).convert("L")
    return facts._replace(
        colourless=_is_colourless(picture),
        height=picture.height,
        width=picture.width,
        pixels=pixels.hexdigest(),
        signature=small.tobytes(),
    )


def _describe_colour(picture: "Image.Image") -> str:
    """Names the colour mode of the file; Pillow reads 16-bit colour as 8-bit, but tiles show it."""
    deep = any("16" in str(tile[3]) for tile in getattr(picture, "tile", ()))
    if picture.mode.startswith(("I", "F")):
        return "16-bit grey"
    if picture.mode in _COLOURS:
        clear = picture.mode != "CMYK" and picture.has_transparency_data
        return _COLOURS[picture.mode] + (" with alpha" if clear else "")
    name = {"LA": "grey with alpha", "RGBA": "RGBA", "RGB": "RGB"}.get(picture.mode, picture.mode)
    return f"16-bit {name}" if deep else name


def _is_colourless(picture: "Image.Image") -> bool:
    from PIL import ImageChops

    red, green, blue = picture.split()
    pairs = ((red, green), (green, blue))
    return all(ImageChops.difference(one, other).getbbox() is None for one, other in pairs)


def _has_frames(raw: bytes) -> bool:
    """Whether a file is animated; a damaged later frame counts, though only the first is read."""
    try:
        return bool(getattr(open_picture(raw), "is_animated", False))
    except Exception:
        return True


def normalize_signatures(facts: list[Facts]) -> Pixels:
    """Returns signatures as float32 rows (N, 256) of mean 0 and length 1.

    Rows of images that are flat or too small to be distinguished are 0.
    """
    rows = np.frombuffer(b"".join(one.signature for one in facts), np.uint8)
    values = rows.reshape(len(facts), SIDE * SIDE).astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    spread = values.std(axis=1, keepdims=True)
    small = np.asarray([min(one.height, one.width) < _SMALLEST for one in facts])
    values[small | (spread[:, 0] < _FLAT)] = 0.0
    rows_of_one: Pixels = values / np.maximum(spread * SIDE, 1e-6)
    return rows_of_one
