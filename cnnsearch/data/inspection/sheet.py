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
    from PIL import Image, ImageDraw, ImageFont

CELL = 96
"""Pixels of a thumbnail's longer side."""

COLUMNS = 10
MOST_CLASSES = 100
_GAP = 6
_NAMES = 190  # pixels for the names of the classes
_TOP = 60
_INK, _PALE, _BACK, _EMPTY = "#1b1f24", "#5b6470", "#ffffff", "#f0f2f4"


def check_sheet(path: Path) -> None:
    """Refuses, before anything is read, a place where no PNG can be written.

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
    """Returns the sheet: of each class up to ten training images, evenly spaced."""
    from PIL import Image, ImageDraw

    classes = _spaced(range(len(report.class_names)), MOST_CLASSES)
    width = _NAMES + COLUMNS * (CELL + _GAP) + _GAP
    sheet = Image.new("RGB", (width, _TOP + len(classes) * (CELL + _GAP) + _GAP), _BACK)
    pen = ImageDraw.Draw(sheet)
    of = f", {len(classes)} of them here" if len(classes) < len(report.class_names) else ""
    title = f"{len(report.class_names):,} classes{of}; images from train"
    pen.text((_GAP * 2, 10), _cut(pen, report.source, _font(20), width - 24), _INK, _font(20))
    pen.text((_GAP * 2, 36), title, _PALE, _font(13))
    tops = {label: _TOP + line * (CELL + _GAP) for line, label in enumerate(classes)}
    for label, top in tops.items():
        _name(pen, report, label, top)
    _images(sheet, train, tops)
    return sheet


def _images(sheet: "Image.Image", train: Part, tops: dict[int, int]) -> None:
    """Reads the images again that are shown, in the order of the source."""
    rows: dict[int, list[int]] = defaultdict(list)
    labels = train.examples.labels
    for row in train.readable:
        rows[labels[row]].append(row)
    cells = {
        row: (_NAMES + column * (CELL + _GAP), top)
        for label, top in tops.items()
        for column, row in enumerate(_spaced(rows[label], COLUMNS))
    }
    wanted = sorted(cells)
    for row, item in zip(wanted, train.examples.take(wanted).items(), strict=True):
        _paste(sheet, thumbnail(picture_of(item())), *cells[row])


def _paste(sheet: "Image.Image", small: "Image.Image", left: int, top: int) -> None:
    sheet.paste(_EMPTY, (left, top, left + CELL, top + CELL))
    sheet.paste(small, (left + (CELL - small.width) // 2, top + (CELL - small.height) // 2))


def thumbnail(picture: "Image.Image") -> "Image.Image":
    """Returns a picture as large as fits a cell; small ones keep their pixels square and sharp."""
    from PIL.Image import Resampling

    scale = CELL / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Resampling.NEAREST if scale >= 2 else Resampling.LANCZOS)


def _name(pen: "ImageDraw.ImageDraw", report: DataReport, label: int, top: int) -> None:
    font = _font(16)
    name = _cut(pen, report.class_names[label], font, _NAMES - 4 * _GAP)
    count = f"{report.splits[0].classes[label]:,} images"
    pen.text((_GAP * 2, top + CELL // 2 - 20), name, _INK, font)
    pen.text((_GAP * 2, top + CELL // 2 + 2), count, _PALE, _font(13))


def _cut(pen: "ImageDraw.ImageDraw", text: str, font: "ImageFont.FreeTypeFont", width: int) -> str:
    text = " ".join(text.split())
    if pen.textlength(text, font) <= width:
        return text
    while text and pen.textlength(text + "…", font) > width:
        text = text[:-1]
    return text + "…"


def _font(size: int) -> "ImageFont.FreeTypeFont":
    """Returns DejaVu Sans, which has more scripts than Pillow's own and comes with Matplotlib."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(
        Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size
    )


def _spaced(rows: Sequence[int], most: int) -> list[int]:
    """Returns up to so many of these, evenly spaced."""
    if len(rows) <= most:
        return list(rows)
    return [rows[i * len(rows) // most] for i in range(most)]
