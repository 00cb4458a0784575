"""The contact sheet: there, readable, whole."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnsearch import describe
from cnnsearch.data.inspection.sheet import CELL, make_thumbnail
from cnnsearch.errors import DataError


def opened(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        picture.load()
        return picture


def test_a_row_for_each_class_with_the_images_themselves(odd: Path, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    assert describe(str(odd), sheet=path).sheet == str(path)
    sheet = opened(path)
    assert sheet.format == "PNG" and sheet.width > 10 * CELL and sheet.height > 2 * CELL
    first = make_thumbnail(opened(odd / "train" / "box" / "0.jpg"))
    centre = np.asarray(first)[first.height // 2, first.width // 2]
    pixels = np.asarray(sheet.convert("RGB")).reshape(-1, 3)
    assert (pixels == centre).all(axis=1).any()
    assert [file.name for file in tmp_path.glob(".partial*")] == []


def test_small_images_keep_their_pixels() -> None:
    small = make_thumbnail(Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)))
    assert small.size == (CELL, CELL) and set(np.unique(np.asarray(small))) == {0, 255}


def test_a_class_of_strange_name_has_its_row(photographs: Path, tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        (photographs / split / "box").rename(photographs / split / ("ä\n" + "long " * 30))
    describe(str(photographs), sheet=tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").is_file()


@pytest.mark.parametrize(
    ("name", "said"),
    [("sheet.jpg", "a .png file"), ("none/sheet.png", "no folder"), ("taken.png", "is a folder")],
)
def test_a_place_that_takes_no_png_is_refused_at_once(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(DataError, match=said):
        describe("nothing-of-this-name", sheet=tmp_path / name)
