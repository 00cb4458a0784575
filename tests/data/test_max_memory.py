"""--max-memory as a search sees it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnsearch.engine.run_data import load_data
from cnnsearch.engine.search import search
from cnnsearch.engine.settings import Settings
from cnnsearch.errors import CnnsearchError
from cnnsearch.space.search_space import SearchSpace

SPACE = """
input: [8, 8, 1]
classes: 10
stem: [{type: conv, filters: {choice: [4, 6]}}]
recipe: {epochs: 1, batch_size: {choice: [32, 128]}}
"""
HELD = 8 * 128 * 8 * 8
"""Bytes of the batches in memory at once."""


def loaded(folder: Path, **changes: Any) -> Any:
    settings = Settings.create(SPACE, "space", **changes)
    return load_data(settings, SearchSpace.from_text(SPACE), folder)


def test_batches_that_alone_are_more_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(SPACE)
    with pytest.raises(
        CnnsearchError, match="--max-memory: 8 batches of 128 images of 8x8x1"
    ) as no:
        search(path, trials=1, runs=tmp_path / "runs", workers=0, max_memory=HELD - 1)
    assert "\n" not in str(no.value)
    assert not list((tmp_path / "runs").glob("[!.]*"))


def test_what_just_fits_is_streamed(tmp_path: Path) -> None:
    assert loaded(tmp_path, max_memory=HELD).train.streamed
    assert not loaded(tmp_path, max_memory=64 * HELD).train.streamed
    assert not loaded(tmp_path).train.streamed


def test_a_smaller_batch_needs_less(tmp_path: Path) -> None:
    changed = loaded(tmp_path, max_memory=HELD // 4, changes=("batch_size=32",))
    assert changed.train.streamed


def test_an_npz_larger_than_the_memory_is_streamed_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (2000, 8, 8, 1), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", x=x, y=np.arange(2000) % 10)
    data = loaded(tmp_path, data=f"npz:{tmp_path / 'set.npz'}", max_memory=HELD)
    assert data.train.nbytes > HELD and data.train.streamed


@pytest.mark.parametrize("given", ["lots", "0", "-5M", "", "nan"])
def test_what_is_no_size_is_refused(tmp_path: Path, given: str) -> None:
    with pytest.raises(CnnsearchError, match="--max-memory: expected a positive number"):
        search("tiny", trials=1, runs=tmp_path / "runs", workers=0, max_memory=given)
    assert not (tmp_path / "runs").exists()
