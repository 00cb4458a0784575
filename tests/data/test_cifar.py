"""Real photographs: 500 images of CIFAR-10 (Krizhevsky, 2009), 50 of each class, as JPEG files."""

import time
import zipfile
from pathlib import Path

import pytest

from cnnsearch.data import load

ARCHIVE = Path(__file__).parent / "cifar10.zip"


def test_five_hundred_images_of_cifar_load_fast_and_only_once(tmp_path: Path) -> None:
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(tmp_path)
    started = time.perf_counter()
    data = load(str(tmp_path / "train"), image=(32, 32), channels=None, cache=tmp_path / "cache")
    decoded = time.perf_counter()
    again = load(str(tmp_path / "train"), image=(32, 32), channels=None, cache=tmp_path / "cache")
    mapped = time.perf_counter()
    print(f"decoded in {decoded - started:.2f} s, mapped in {mapped - decoded:.2f} s")
    assert again == data
    assert data.train.count + data.validation.count + data.test.count == 500
    assert abs(data.train.count - 300) < 44 and abs(data.test.count - 100) < 36  # four deviations
    assert data.class_names[:2] == ("airplane", "automobile") and data.channels == 3
    assert data.mean == pytest.approx((0.491, 0.482, 0.447), abs=0.02)  # of all 50,000
    assert mapped - decoded < decoded - started
