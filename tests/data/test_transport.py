"""Data sets that travel as arrays: the same images, labels and numbers at the other end."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cnnsearch.data import Dataset
from cnnsearch.data.transport import is_here, pack, unpack
from cnnsearch.data.views import join_validation, take_share

VIEWS = ("whole", "joined", "share", "streamed")


def view(data: Dataset, kind: str) -> Dataset:
    made = {
        "whole": lambda: data,
        "joined": lambda: join_validation(data),
        "share": lambda: take_share(data, 0.3, 7),
        "streamed": lambda: take_share(data.fit_memory(1), 0.5, 1),
    }
    return made[kind]()


@pytest.mark.parametrize("kind", VIEWS)
def test_what_arrives_is_what_was_sent(digits: Dataset, tmp_path: Path, kind: str) -> None:
    sent = view(digits, kind)
    parts = list(pack(sent, size=4096))
    assert len(parts) > 4 and all(part.images.nbytes <= 4096 for part in parts)
    arrived = unpack(sent, parts, tmp_path)
    for name in ("train", "validation"):
        one, other = getattr(sent, name), getattr(arrived, name)
        assert (one.name, one.count, one.shape) == (other.name, other.count, other.shape)
        if one.count:
            rows = np.arange(one.count)[::-1]
            np.testing.assert_array_equal(one.read(rows), other.read(rows))
            np.testing.assert_array_equal(one.labels(), other.labels())
    assert arrived.train.streamed == (kind == "streamed")
    assert arrived.fingerprint == sent.fingerprint and arrived.mean == sent.mean


def test_it_is_written_once(digits: Dataset, tmp_path: Path) -> None:
    first = unpack(digits, pack(digits), tmp_path)
    again = unpack(digits, iter(()), tmp_path)
    assert first == again
    assert not list(tmp_path.glob(".partial-*"))


def test_a_machine_without_the_cache_lacks_the_images(digits: Dataset) -> None:
    elsewhere = replace(digits.train, directory=Path("nowhere") / "train")
    assert is_here(digits) and is_here(join_validation(digits)) and is_here(take_share(digits, 0.5))
    assert not is_here(replace(digits, train=elsewhere))
    assert not is_here(join_validation(take_share(replace(digits, train=elsewhere), 1.0)))
