"""From a folder of images to a verified export, in a terminal, by what each command prints."""

import re
from pathlib import Path

import pytest

from tests.first_hour import COLUMNS, follow, render


def write_digits(folder: Path, each: int = 30) -> None:
    """Writes scikit-learn's digits as JPEGs of uneven sizes, in a folder for each class."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    digits, rng = load_digits(), np.random.default_rng(0)
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
        for i in np.flatnonzero(digits.target == label)[:each]:
            size = tuple(int(side) for side in rng.integers(20, 40, 2))
            picture = Image.fromarray((digits.images[i] * 15.9).astype("uint8"))
            picture.resize(size, Image.Resampling.BICUBIC).save(folder / str(label) / f"{i}.jpg")


@pytest.mark.slow
def test_three_commands_lead_from_digits_to_a_verified_export(tmp_path: Path) -> None:
    write_digits(tmp_path / "digits")
    first, second, third = follow("digits", tmp_path, "4m")
    for screen in (first, second, third):
        assert max(map(len, screen.splitlines()[1:])) <= COLUMNS
    for choice in ("image size", "space", "epochs", "budget", "baseline", "--max-macs"):
        assert choice in first, "what was picked, and the flag that changes it"
    assert "plain baseline" in second
    assert re.search(r"Best: trial \d{4} ", second)
    assert "erified" in third
    assert list((tmp_path / "exports").rglob("*"))


def test_a_redrawn_table_is_rendered_as_it_stands_at_the_end() -> None:
    drawn = "head\r\n\x1b[?25l\x1b[1mone\x1b[0m\r\ntwo"
    redrawn = "\r\x1b[2K\x1b[1A\x1b[2Kthree\r\nfour and\rFOUR\r\nend\r\n"
    assert render(drawn + redrawn) == "head\nthree\nFOUR and\nend"
