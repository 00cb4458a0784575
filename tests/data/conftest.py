"""A folder of photographs as people have them, drawn by Pillow."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

CLASSES = {"disc 2": "ellipse", "disc 10": "ellipse", "box": "rectangle"}


def draw(size: tuple[int, int], shape: str, seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    back, fore = (tuple(int(v) for v in rng.integers(0, 256, 3)) for _ in range(2))
    picture = Image.new("RGB", size, back)
    box = [size[0] // 5, size[1] // 5, size[0] * 4 // 5, size[1] * 4 // 5]
    getattr(ImageDraw.Draw(picture), shape)(box, fill=fore)
    return picture


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three classes of eight JPEGs, no two of one size."""
    root = tmp_path / "photos"
    for position, (name, shape) in enumerate(CLASSES.items()):
        (root / name).mkdir(parents=True)
        for i in range(8):
            picture = draw((40 + 7 * i, 64 - 3 * i), shape, 10 * position + i)
            picture.save(root / name / f"{i}.jpg", quality=92)
    return root


@pytest.fixture
def odd_photos(photos: Path) -> Path:
    """Adds one of each file that makes naive loaders stumble, all of them sound images."""
    picture = draw((50, 40), "ellipse", 99)
    box = photos / "box"
    picture.convert("CMYK").save(box / "cmyk.jpg")
    Image.fromarray(np.full((30, 20), 40_000, np.uint16)).save(box / "deep.png")
    frames = [draw((24, 24), "ellipse", i) for i in range(3)]
    frames[0].save(box / "moving.gif", save_all=True, append_images=frames[1:])
    picture.convert("RGBA").save(box / "alpha.PNG")
    picture.convert("P").save(box / "palette.png")
    picture.convert("L").save(box / "grey.bmp")
    picture.save(box / "lossy.WebP")
    (box / ".hidden.jpg").write_bytes(b"not an image")
    (box / "notes.txt").write_text("not an image either")
    return photos


@pytest.fixture
def spoil(photos: Path) -> Callable[[], tuple[str, str]]:
    """Returns a function that puts a truncated JPEG and a text file named .jpg in the folder."""

    def put() -> tuple[str, str]:
        whole = (photos / "box" / "0.jpg").read_bytes()
        (photos / "box" / "half.jpg").write_bytes(whole[: len(whole) // 2])
        (photos / "disc 2" / "letter.jpg").write_text("Dear Sir or Madam")
        return "box/half.jpg", "disc 2/letter.jpg"

    return put
