"""Photographs of uneven sizes with all that goes wrong among them: described, then searched."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

import cnnsearch
from cnnsearch.errors import DataError

SPACE = """
input: [16, 16, 3]
classes: 2
stem: [{type: conv, filters: {choice: [4, 6]}, stride: 2}]
recipe: {epochs: 3, batch_size: 8, learning_rate: 0.01}
"""
BAD = {"cut.jpg", "letter.jpg"}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crops of two real photographs, and one of each file that is odd or spoilt."""
    root, rng = tmp_path_factory.mktemp("real") / "photos", np.random.default_rng(0)
    for name, pixels in zip(("temple", "flower"), load_sample_images().images, strict=True):
        folder, picture = root / name, Image.fromarray(pixels)
        folder.mkdir(parents=True)
        for i in range(14):
            width, height = (int(side) for side in rng.integers(60, 400, 2))
            left, top = int(rng.integers(0, 640 - width)), int(rng.integers(0, 427 - height))
            crop = picture.crop((left, top, left + width, top + height))
            crop.save(folder / f"{i:02}.jpg", quality=90)
        whole = (folder / "00.jpg").read_bytes()
        (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
        (folder / "letter.jpg").write_text(f"Dear Sir or Madam at the {name}")
        picture.crop((0, 0, 200, 100)).convert("CMYK").save(folder / "cmyk.jpg")
        grey = np.asarray(picture.convert("L")).astype(np.uint16) * 257
        Image.fromarray(grey[:90, :120]).save(folder / "deep.png")
        frames = [picture.crop((10 * k, 0, 10 * k + 64, 64)) for k in range(3)]
        frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    return root


def test_they_are_described_with_every_spoilt_file_named(photographs: Path) -> None:
    report = cnnsearch.describe(str(photographs))
    assert {Path(one.key).name for one in report.unreadable} == BAD
    assert len(report.unreadable) == 4
    assert report.animated == 2


def test_a_search_refuses_them_in_one_line(photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    with pytest.raises(DataError, match=r"cannot be read: .*--skip-bad-images") as caught:
        cnnsearch.search(tmp_path / "space.yaml", str(photographs), trials=1, runs=tmp_path / "r")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "r").glob("[!.]*"))


def test_a_search_leaves_them_out_on_request(photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    found = cnnsearch.search(
        tmp_path / "space.yaml", str(photographs), trials=2, runs=tmp_path / "r",
        strategy="random", workers=0, skip_bad_images=True,
    )  # fmt: skip
    assert [trial.status for trial in found.trials] == ["completed", "completed"]
    skipped = found.run.manifest["dataset"]["skipped"]
    assert {Path(text.split(" (")[0]).name for text in skipped} == BAD
