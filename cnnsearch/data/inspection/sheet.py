"""The contact sheet: a row of images for each class, one PNG."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cnnsearch.data.inspection.facts import picture_of
from cnnsearch.data.inspection.report import DataReport
from cnnsearch.data.inspection.scan import Part
from cnnsearch.errors import DataError
from cnnsearch.utils.atomic_files import atomic_file

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

CELL = 96
"""Pixels of a thumbnail's longer side."""

COLUMNS = 10
MOST_CLASSES = 100
_GAP = 6
_NAMES = 190  # pixels for the names of the classes
_TOP = 60
_INK, _PALE, _BACK, _EMPTY = "#1b1f24", "#5b6470", "#ffffff", "#f0f2f4"


def check_sheet(path: Path) -> None:
    """Refuses a path where no PNG can be written, before anything is read.

    Raises:
        DataError: it is not named .png, is a folder, or lies in none.
    """
    if path.suffix.lower() != ".png":
        raise DataError(f"--sheet: expected the name of a .png file, got {str(path)!r}")
    if path.is_dir():
        raise DataError(f"--sheet: {str(path)!r} is a folder")
    if not path.parent.is_dir():
        raise DataError(f"--sheet: there is no folder {str(path.parent)!r}")


def write_sheet(path: Path, report: DataReport, train: Part) -> None:
    """Draws the sheet and writes it, atomically."""
    picture = draw_sheet(report, train)
    try:
        with atomic_file(path) as file:
            picture.save(file, "PNG", optimize=True)
    except OSError as error:
        raise DataError(f"--sheet: {str(path)!r} cannot be written: {error.strerror}") from error


def draw_sheet(report: DataReport, train: Part) -> "Image.Image":
    """Returns the sheet: up to ten training images of each class, evenly spaced."""
    from PIL import Image, ImageDraw

    total = len(report.class_names)
    classes = _sample_evenly(range(total), MOST_CLASSES)
    width = _NAMES + COLUMNS * (CELL + _GAP) + _GAP
    sheet = Image.new("RGB", (width, _TOP + len(classes) * (CELL + _GAP) + _GAP), _BACK)
    pen = ImageDraw.Draw(sheet)
    of = f", {len(classes)} of them here" if len(classes) < total else ""
    _write(pen, (_GAP * 2, 10), report.source, 20, width - 4 * _GAP)
    _write(pen, (_GAP * 2, 36), f"{total:,} classes{of}; images from train", 13, width, _PALE)
    tops = {label: _TOP + line * (CELL + _GAP) for line, label in enumerate(classes)}
    for label, top in tops.items():
        middle, room = top + CELL // 2, _NAMES - 4 * _GAP
        count = f"{report.splits[0].classes[label]:,} images"
        _write(pen, (_GAP * 2, middle - 20), report.class_names[label], 16, room)
        _write(pen, (_GAP * 2, middle + 2), count, 13, room, _PALE)
    _paste_images(sheet, train, tops)
    return sheet


def _paste_images(sheet: "Image.Image", train: Part, tops: dict[int, int]) -> None:
    """Reads the sampled images again, in the order of the source."""
    rows: dict[int, list[int]] = defaultdict(list)
    labels = train.examples.labels
    for row in train.readable:
        rows[labels[row]].append(row)
    cells = {
        row: (_NAMES + column * (CELL + _GAP), top)
        for label, top in tops.items()
        for column, row in enumerate(_sample_evenly(rows[label], COLUMNS))
    }
    wanted = sorted(cells)
    for row, item in zip(wanted, train.examples.take(wanted).items(), strict=True):
        (left, top), small = cells[row], make_thumbnail(picture_of(item()))
        sheet.paste(_EMPTY, (left, top, left + CELL, top + CELL))
        sheet.paste(small, (left + (CELL - small.width) // 2, top + (CELL - small.height) // 2))


def make_thumbnail(picture: "Image.Image") -> "Image.Image":
    """Returns a picture as large as fits a cell; small ones keep their pixels square and sharp."""
    from PIL.Image import Resampling

    scale = CELL / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Resampling.NEAREST if scale >= 2 else Resampling.LANCZOS)


def _write(
    pen: "ImageDraw.ImageDraw",
    place: tuple[int, int],
    text: str,
    size: int,
    width: int,
    ink: str = _INK,
) -> None:
    """Writes a line, cut to a width in pixels, in DejaVu Sans, which comes with Matplotlib."""
    import matplotlib
    from PIL import ImageFont

    file = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    font, text = ImageFont.truetype(file, size), " ".join(text.split())
    line = text
    while text and pen.textlength(line, font) > width:
        text = text[:-1]
        line = text + "…"
    pen.text(place, line, ink, font)


def _sample_evenly(rows: Sequence[int], most: int) -> list[int]:
    """Returns up to so many of these, evenly spaced."""
    if len(rows) <= most:
        return list(rows)
    return [rows[i * len(rows) // most] for i in range(most)]
