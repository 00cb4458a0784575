"""Recognizes image files, by the suffix of their name or else by their first bytes."""

from collections.abc import Callable
from importlib.util import find_spec

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".gif")
HEAD = 32
"""Bytes of a file that suffice to recognize it."""
NO_HEIF = "a HEIC image; pip install 'cnnsearch[heic]' reads them"
_IGNORED = ("__MACOSX", "Thumbs.db", "desktop.ini")
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_IMAGES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")
_OTHERS = {b"%PDF": "a PDF file", b"II*\0": "a TIFF image; convert it to PNG"}
_OTHERS |= {b"MM\0*": _OTHERS[b"II*\0"], b"PK\3\4": "an archive or a document"}


def is_ignored(name: str) -> bool:
    """Whether a file or folder is hidden or one that operating systems leave behind."""
    return name.startswith(".") or name in _IGNORED


def has_image_suffix(name: str) -> bool:
    """Whether a file has the name of an image."""
    return not is_ignored(name) and name.lower().endswith(SUFFIXES)


def explain_left_out(name: str, read_head: Callable[[], bytes] | None) -> str:
    """Returns why a file is left out, nothing if it is an image.

    Args:
        name: Of the file.
        read_head: Reads its first `HEAD` bytes; called if the suffix is unknown. None: files are
            recognized by their suffix alone.
    """
    if has_image_suffix(name):
        return ""
    try:
        head = read_head() if read_head else b""
    except (OSError, ValueError) as error:
        return f"no known suffix, and cannot be read: {error}"
    if is_heif(head):
        return "" if can_read_heif() else NO_HEIF
    is_webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    is_bmp = head[:2] == b"BM" and len(head) > 14 and head[6:10] == bytes(4)
    if head.startswith(_IMAGES) or is_webp or is_bmp:
        return ""
    if head[4:12] in (b"ftypavif", b"ftypavis"):
        return "an AVIF image; convert it to PNG"
    return next((why for start, why in _OTHERS.items() if head.startswith(start)), "not an image")


def is_heif(head: bytes) -> bool:
    """Whether a file starts as those that phones save as .heic."""
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


def can_read_heif() -> bool:
    """Whether the extra ``heic`` is installed."""
    return find_spec("pillow_heif") is not None
