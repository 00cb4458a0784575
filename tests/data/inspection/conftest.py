"""A folder of photographs as people have them, with everything planted that a report must find."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

CLASSES = {"box": "rectangle", "disc [2]": "ellipse"}
SEEDS = {"train": 0, "val": 300, "test": 600}
COUNTS = {"train": 12, "val": 3, "test": 4}


def draw(size: tuple[int, int], shape: str, seed: int) -> Image.Image:
    """A picture that no other seed's resembles."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", size, tuple(map(int, rng.integers(0, 256, 3))))
    pen = ImageDraw.Draw(picture)
    for _ in range(5):
        left, top = (int(rng.integers(0, side * 2 // 3)) for side in size)
        box = [left, top, left + size[0] // 3, top + size[1] // 3]
        getattr(pen, shape)(box, fill=tuple(map(int, rng.integers(0, 256, 3))))
    return picture


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Sound JPEGs of two classes in three splits, no two of one size."""
    root = tmp_path / "photographs"
    for position, (name, shape) in enumerate(CLASSES.items()):
        for split, count in COUNTS.items():
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                size = (100 + 9 * i, 180 - 7 * i)
                picture = draw(size, shape, 1000 * position + SEEDS[split] + i)
                picture.save(folder / f"{i}.jpg", quality=90)
    return root


@pytest.fixture
def odd(photographs: Path) -> Path:
    """Adds five images that are sound but odd, and three that are none."""
    box = photographs / "train" / "box"
    picture = draw((90, 70), "rectangle", 77)
    picture.convert("CMYK").save(box / "cmyk.jpg")
    Image.fromarray(np.full((30, 20), 40_000, np.uint16)).save(box / "deep.png")
    frames = [draw((48, 48), "ellipse", 7000 + i) for i in range(3)]
    frames[0].save(box / "moving.gif", save_all=True, append_images=frames[1:])
    draw((91, 70), "ellipse", 78).convert("RGBA").save(box / "alpha.png")
    draw((92, 70), "ellipse", 79).convert("P").save(box / "palette.png")
    whole = (box / "0.jpg").read_bytes()
    (box / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (box / "letter.jpg").write_text("Dear Sir or Madam")
    (photographs / "test" / "box" / "empty.jpg").touch()
    return photographs


@pytest.fixture
def copied(photographs: Path) -> Path:
    """Adds a repeated file, two certain leaks, a likely one and a conflict of labels."""
    train, disc = photographs / "train", "disc [2]"
    shutil.copy(train / "box" / "1.jpg", train / "box" / "1 copy.jpg")
    shutil.copy(train / "box" / "2.jpg", photographs / "test" / "box" / "again.jpg")
    with Image.open(train / disc / "3.jpg") as picture:
        picture.save(photographs / "val" / disc / "lossless.png")
    shutil.copy(train / "box" / "4.jpg", train / disc / "wrong.jpg")
    with Image.open(train / "box" / "5.jpg") as picture:
        small = picture.resize((picture.width // 2, picture.height // 2))
        small.save(photographs / "test" / "box" / "small.jpg", quality=70)
    return photographs
