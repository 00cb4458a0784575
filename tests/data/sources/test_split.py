import random
from dataclasses import dataclass

import pytest

from cnnsearch.data.sources.arrays import ArrayExamples
from cnnsearch.data.sources.split import (
    assign_by_content,
    assign_rows,
    count_held_out,
    sort_naturally,
)


@dataclass(frozen=True, kw_only=True)
class Numbered(ArrayExamples):
    kind = name = "x"
    classes: list[int]

    def read_classes(self) -> list[int]:
        return self.classes

    def read_images(self) -> None:  # type: ignore[override]
        raise NotImplementedError


def examples(labels: list[int]) -> Numbered:
    return Numbered(length=len(labels), classes=labels)


@pytest.mark.parametrize(
    ("count", "fractions", "expected"),
    [
        (10, (0.2, 0.2), (2, 2)),
        (3, (0.2, 0.2), (1, 1)),
        (3, (0.45, 0.45), (1, 1)),
        (4, (0.45, 0.45), (1, 2)),
        (2, (0.2, 0.2), (1, 0)),
        (1, (0.2, 0.2), (0, 0)),
        (2, (0.0, 0.2), (0, 1)),
        (1, (0.0, 0.2), (0, 0)),
        (5, (0.0, 0.0), (0, 0)),
        (1000, (0.1, 0.3), (100, 300)),
    ],
)
def test_shares_of_a_class(
    count: int, fractions: tuple[float, float], expected: tuple[int, int]
) -> None:
    assert count_held_out(count, *fractions) == expected


def test_train_is_never_left_empty() -> None:
    for count in range(1, 60):
        for validation, test in ((0.2, 0.2), (0.5, 0.49), (0.01, 0.98), (0.9, 0.0)):
            first, second = count_held_out(count, validation, test)
            assert count - first - second >= 1
            assert min(first, second) >= 0
            if count >= 3:
                assert first >= 1 and bool(second) == bool(test)


def test_splits_are_a_partition_and_stratified() -> None:
    labels = [row % 7 for row in range(700)]
    train, validation, test = assign_rows(examples(labels), 0.1, 0.2, seed=1)
    assert sorted(train + validation + test) == list(range(700))
    for rows, each in ((train, 70), (validation, 10), (test, 20)):
        assert [sum(labels[row] == c for row in rows) for c in range(7)] == [each] * 7


def test_the_seed_decides() -> None:
    listed = examples([row % 2 for row in range(100)])
    assert assign_rows(listed, 0.2, 0.2, seed=5) == assign_rows(listed, 0.2, 0.2, seed=5)
    assert assign_rows(listed, 0.2, 0.2, seed=5) != assign_rows(listed, 0.2, 0.2, seed=6)


def test_the_order_of_listing_does_not() -> None:
    listed = examples([row % 2 for row in range(100)])
    order = list(range(100))
    random.Random(0).shuffle(order)
    shuffled = listed.take(order)
    splits = (assign_rows(part, 0.2, 0.2, 3) for part in (listed, shuffled))
    for rows, others in zip(*splits, strict=True):
        assert {listed.keys[row] for row in rows} == {shuffled.keys[row] for row in others}


def test_an_image_keeps_its_split_when_a_class_is_added() -> None:
    few = examples([row % 2 for row in range(100)])
    more = examples([row % 2 for row in range(100)] + [2] * 50)
    before, after = (assign_rows(part, 0.2, 0.2, 3)[1] for part in (few, more))
    assert before == [row for row in after if row < 100]


def test_names_sort_as_people_count() -> None:
    names = ["b10", "a", "b9", "B1", "10", "9", "b", "²"]
    assert sorted(names, key=sort_naturally) == ["9", "10", "a", "b", "B1", "b9", "b10", "²"]


def assign(contents: list[str], labels: list[int], seed: int = 0) -> dict[str, int]:
    splits = assign_by_content(contents, labels, 0.2, 0.2, seed)
    assert sorted(row for rows in splits for row in rows) == list(range(len(contents)))
    return {contents[row]: number for number, rows in enumerate(splits) for row in rows}


def test_no_image_moves_when_40_are_added_to_a_class_of_200() -> None:
    contents = [f"image {i}" for i in range(400)]
    labels = [i % 2 for i in range(400)]
    for seed in range(20):
        before = assign(contents, labels, seed)
        after = assign([f"new {i}" for i in range(40)] + contents, [0] * 40 + labels, seed)
        assert before == {content: after[content] for content in contents}


def test_the_assignment_by_name_moved_images() -> None:
    few = examples([row % 2 for row in range(400)])
    more = examples([row % 2 for row in range(400)] + [0] * 40)
    moved = 0
    for seed in range(20):
        before, after = (assign_rows(part, 0.2, 0.2, seed) for part in (few, more))
        moved += len(set(before[2]) & set(after[0]))
    assert moved


def test_shares_are_right_on_average() -> None:
    contents = [f"image {i}" for i in range(2000)]
    counts = [0, 0, 0]
    for seed in range(10):
        for number in assign(contents, [0] * 2000, seed).values():
            counts[number] += 1
    assert counts == pytest.approx([12000, 4000, 4000], abs=150)


@pytest.mark.parametrize(("count", "expected"), [(1, {0}), (2, {0, 1}), (3, {0, 1, 2})])
def test_the_smallest_classes_have_an_image_in_as_many_splits_as_they_can(
    count: int, expected: set[int]
) -> None:
    for seed in range(50):
        contents = [f"image {i}" for i in range(count)]
        assert set(assign(contents, [0] * count, seed).values()) == expected


def test_copies_are_in_one_split() -> None:
    contents = [f"image {i % 50}" for i in range(100)]
    splits = assign_by_content(contents, [0] * 100, 0.2, 0.2, 1)
    seen = [{contents[row] for row in rows} for rows in splits]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
