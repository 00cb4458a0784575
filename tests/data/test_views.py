"""Splits made of others: joined, and a share of one."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from cnnsearch.data import Dataset, load, save_source
from cnnsearch.data.views import (
    drop_copies,
    find_copies,
    find_test_copies,
    join_validation,
    take_few,
    take_share,
)
from cnnsearch.errors import DataError


@pytest.fixture
def digits(tmp_path: Path) -> Dataset:
    return load("digits", image=(8, 8), channels=None, cache=tmp_path / "cache")


def test_joined_has_train_and_then_validation(digits: Dataset) -> None:
    joined = pickle.loads(pickle.dumps(join_validation(digits)))
    first, count = digits.train.count, digits.train.count + digits.validation.count
    assert (joined.train.count, joined.validation.count) == (count, 0)
    assert joined.test == digits.test
    assert joined.fingerprint != digits.fingerprint
    every = np.concatenate([digits.train.images(), digits.validation.images()])
    np.testing.assert_array_equal(joined.train.images(), every)
    rows = np.array([count - 1, 0, first, first - 1, 5])
    np.testing.assert_array_equal(joined.train.read(rows), every[rows])
    labels = np.concatenate([digits.train.labels(), digits.validation.labels()])
    np.testing.assert_array_equal(joined.train.labels(), labels)


def test_a_share_has_every_class_in_its_proportion(digits: Dataset) -> None:
    part = take_share(digits, 0.25, seed=3).train
    whole = np.bincount(digits.train.labels())
    assert np.abs(np.bincount(part.labels()) - whole * 0.25).max() <= 0.5
    assert part.count == len(part.labels()) == len(part.images())
    rows = np.array([part.count - 1, 0, 7])
    np.testing.assert_array_equal(part.read(rows), part.images()[rows])


def test_a_share_is_decided_by_its_seed_and_leaves_the_rest(digits: Dataset) -> None:
    one, same, other = (take_share(digits, 0.1, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.train.images(), same.train.images())
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert not np.array_equal(one.train.images(), other.train.images())
    assert (one.validation, one.test, one.mean) == (digits.validation, digits.test, digits.mean)
    assert take_share(digits, 1.0) is digits


def test_a_few_images_are_spread_over_each_split(digits: Dataset) -> None:
    few = pickle.loads(pickle.dumps(take_few(digits, 20, 10**6)))
    assert few.train.count == 20 and few.validation.count == digits.validation.count
    rows = few.train.select_rows()
    assert rows[0] == 0 and rows[-1] == digits.train.count - 1 and len(set(rows)) == 20
    np.testing.assert_array_equal(
        few.train.read(np.array([1, 0])), digits.train.images()[rows[[1, 0]]]
    )
    np.testing.assert_array_equal(few.validation.images(), digits.validation.images())
    assert few.fingerprint != digits.fingerprint
    assert take_few(digits, 20, 0).validation.count == 0


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5, float("nan")])
def test_a_share_is_more_than_nothing_and_at_most_all(digits: Dataset, share: float) -> None:
    with pytest.raises(DataError, match="more than 0 and at most 1"):
        take_share(digits, share)


def test_streamed_reads_what_mapped_reads(digits: Dataset) -> None:
    streamed = digits.fit_memory(1000)
    assert streamed.train.streamed
    assert streamed.validation.streamed
    assert streamed.fingerprint == digits.fingerprint
    rows = np.array([1000, 3, 3, 0, 512])
    for data in (streamed, join_validation(streamed), take_share(streamed, 1.0)):
        np.testing.assert_array_equal(data.train.read(rows), digits.train.images()[rows])
    test = np.arange(digits.test.count)
    np.testing.assert_array_equal(streamed.test.read(test), digits.test.images())


def test_a_small_set_is_mapped_and_shared(digits: Dataset) -> None:
    bytes_ = digits.train.nbytes + digits.validation.nbytes
    assert digits.fit_memory(4 * bytes_) is digits
    assert digits.fit_memory(4 * bytes_ - 1).train.streamed


def test_streaming_a_file_that_was_cut_is_one_line(digits: Dataset) -> None:
    file = digits.train.directory / "images.npy"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"cannot be read .*ends too early"):
        digits.fit_memory(1000).train.read(np.array([900]))


def test_copies_of_held_out_images_are_dropped_and_warned_about(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, held, last = (rng.integers(0, 256, (n, 6, 6, 3), np.uint8) for n in (40, 9, 7))
    held[[2, 5]], last[3] = x[[4, 10]], x[20]
    pairs = ((x, np.arange(40) % 2), (held, np.arange(9) % 2), (last, np.arange(7) % 2))
    source = save_source(pairs, tmp_path)
    data = load(source, image=(6, 6), channels=None, cache=tmp_path)
    (warning,) = data.warnings
    assert warning.startswith("2 of 9 validation images have the pixels of a training image")
    (warning,) = find_test_copies(data)
    assert warning.startswith("1 of 7 test images has the pixels of a training image")
    for with_test, gone in ((False, [4, 10]), (True, [4, 10, 20])):
        less = pickle.loads(pickle.dumps(drop_copies(data, with_test=with_test)))
        kept = np.delete(np.arange(40), gone)
        np.testing.assert_array_equal(less.train.images(), data.train.images()[kept])
        np.testing.assert_array_equal(less.train.labels(), data.train.labels()[kept])
        assert less.train.count == len(kept) and less.fingerprint != data.fingerprint
        assert find_copies(less.train, (data.validation,)).sum() == 0
        assert drop_copies(less, with_test=with_test) is less
    half = take_share(less, 0.5)
    assert half.train.count == len(half.train.digests()) == len(half.train.labels())
