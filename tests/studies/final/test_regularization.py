"""CutMix in final trainings of many epochs on few images."""

from types import SimpleNamespace
from typing import Any

import pytest

from cnnsearch.space.backbone import Backbone
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.studies.final.plan import FinalOptions
from cnnsearch.studies.final.regularization import FEW_IMAGES, MANY_EPOCHS, add_cutmix

FOUND = SearchSpace.load("resnet-20-cifar").decode_first()
FEW = FEW_IMAGES - 200


def add(recipe: dict[str, Any], images: int = FEW, epochs: int = MANY_EPOCHS, **more: Any) -> Any:
    """Returns the alpha of CutMix and the notes."""
    split = SimpleNamespace(count=images), SimpleNamespace(count=200)
    flip = more.pop("flip", True)
    data: Any = SimpleNamespace(train=split[0], validation=split[1], flip=flip)
    backbone = more.pop("backbone", None)
    options = FinalOptions.model_validate({"source": "h:best", "run": "h", **more})
    changed = FOUND.recipe.model_copy(update=recipe)
    (found,), notes = add_cutmix(
        [Candidate(FOUND.architecture, changed, backbone)], options, epochs, data
    )
    assert found.recipe.model_copy(update={"cutmix": changed.cutmix}) == changed
    return found.recipe.cutmix, notes


def test_many_epochs_of_few_images_have_it_and_say_so() -> None:
    alpha, (note,) = add({}, images=FEW - 1)
    assert alpha == 1.0
    assert "50 epochs of 9,999 images" in note
    assert "--set cutmix=0" in note


@pytest.mark.parametrize(
    "given",
    [
        {"recipe": {}, "epochs": MANY_EPOCHS - 1},
        {"recipe": {}, "images": FEW},  # with the validation split as many as FEW_IMAGES
        {"recipe": {"mixup": 0.2}},
        {"recipe": {}, "changes": ("cutmix=0",)},
        {"recipe": {}, "changes": ("ema=0.99", "mixup=0.1")},
        {"recipe": {"trainable": "head"}},
        {"recipe": {}, "flip": False},  # digits and characters
        {"recipe": {}, "backbone": Backbone("mobilenet-v2", "imagenet")},
    ],
)
def test_others_do_not(given: dict[str, Any]) -> None:
    assert add(**given) == (0.0, ())


def test_a_held_out_validation_split_does_not_count() -> None:
    alpha, _ = add({}, images=FEW, hold_out=True)
    assert alpha == 1.0


def test_a_recipe_with_cutmix_keeps_its_own() -> None:
    assert add({"cutmix": 0.5}) == (0.5, ())
