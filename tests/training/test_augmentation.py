"""What augmentation draws: only what is asked for, within its bounds, by the seed alone."""

import numpy as np
import pytest

from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.augmentation import COLOURS, Draw, draw_augmentation

SIZE = (24, 32)


def drawn(seed: int = 0, count: int = 64, **recipe: object) -> Draw:
    asked = TrainingRecipe.from_data(recipe)
    return draw_augmentation(asked, count, SIZE, np.random.default_rng(seed))


def test_a_plain_recipe_draws_nothing() -> None:
    assert drawn() == {}


def test_the_seed_decides() -> None:
    asked = {"mixup": 0.2, "cutmix": 1.0, "erasing": 0.5, "randaugment": {"layers": 2}}
    one, same, other = (drawn(seed, **asked) for seed in (1, 1, 2))
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not np.array_equal(one["affine"], other["affine"])
    assert {array.dtype.name for array in one.values()} == {"float32", "int32"}


def test_erasing_takes_its_share_of_images_and_stays_inside() -> None:
    boxes = drawn(count=4000, erasing=0.25)["erase"]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    assert (area > 0).mean() == pytest.approx(0.25, abs=0.03)
    assert boxes.min() >= 0
    assert boxes[:, 2].max() <= SIZE[0]
    assert boxes[:, 3].max() <= SIZE[1]
    assert area.max() <= SIZE[0] * SIZE[1] * 0.4


def test_the_share_of_cutmix_is_what_is_left_of_the_image() -> None:
    for seed in range(20):
        found = drawn(seed, cutmix=1.0)
        top, left, bottom, right = found["box"]
        cut = (bottom - top) * (right - left) / (SIZE[0] * SIZE[1])
        assert found["share"] == pytest.approx(1 - cut, abs=1e-6)
        assert found["keep"] == 1.0


def test_mixup_keeps_and_shares_alike() -> None:
    found = drawn(mixup=0.4)
    assert found["keep"] == found["share"]
    assert not found["box"].any()
    assert sorted(found["order"]) == list(range(64))


def test_of_both_mixtures_each_has_its_turn() -> None:
    cut = [bool(drawn(seed, mixup=1.0, cutmix=1.0)["box"].any()) for seed in range(40)]
    assert 8 < sum(cut) < 32


def test_randaugment_of_no_strength_changes_nothing_but_contrast_stretching() -> None:
    found = drawn(count=500, randaugment={"layers": 1, "magnitude": 0})
    neutral = np.tile([1, 0, 0, 0, 1, 0, 0, 0], (500, 1))
    np.testing.assert_allclose(found["affine"], neutral, atol=1e-5)
    rows = dict(zip(COLOURS, found["colour"][0], strict=True))
    stretched = rows.pop("autocontrast")
    assert 0 < stretched.mean() < 0.2
    solarize = rows.pop("solarize")
    assert (solarize == 256).all()
    assert all((row == 1).all() for row in rows.values())


def test_randaugment_does_one_thing_a_layer() -> None:
    found = drawn(count=800, randaugment={"layers": 1, "magnitude": 8})
    neutral = {"solarize": 256.0, "autocontrast": 0.0}
    changed = np.stack(
        [row != neutral.get(n, 1.0) for n, row in zip(COLOURS, found["colour"][0], strict=True)]
    )
    moved = (np.abs(found["affine"] - [1, 0, 0, 0, 1, 0, 0, 0]) > 1e-4).any(axis=1)
    assert ((changed.sum(axis=0) + moved) <= 1).all()
    assert changed.any(axis=1).all()
    assert 0.3 < moved.mean() < 0.5
