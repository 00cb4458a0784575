"""Files of trained weights: which are accepted, for which networks, and what is said of others."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnsearch.engine.initial_weights import (
    check_weights_file,
    find_network_name,
    prepare_space,
    resize_space,
)
from cnnsearch.engine.settings import Settings
from cnnsearch.errors import CnnsearchError, DataError, SpaceError
from cnnsearch.space.files import list_published_files
from cnnsearch.space.published import application_architecture, list_published
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training import checkpoint
from tests.training.test_finetuning import LARGE, NETWORK, values

# Keras's own saving converts its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.mark.parametrize("classes", [5, pytest.param(None, marks=pytest.mark.slow)])
def test_a_file_may_have_another_classifier_or_none(classes: int | None, tmp_path: Path) -> None:
    import keras

    from cnnsearch.training.pretrained import load_application, save_pretrained

    options = {"include_top": False} if classes is None else {"classes": classes}
    other = keras.applications.MobileNet(
        weights=None, alpha=0.25, input_shape=(224, 224, 3), **options
    )
    other.save_weights(tmp_path / "other.weights.h5")
    save_pretrained(NETWORK, str(tmp_path / "other.weights.h5"), tmp_path / "out.npz")
    kept = checkpoint.read(tmp_path / "out.npz")
    assert kept is not None
    stem = dict(zip(kept.header["paths"], kept.arrays, strict=True))["stem.0.conv/kernel"]
    np.testing.assert_array_equal(stem, values(other.get_layer("conv1").kernel))
    with pytest.raises(DataError, match=r"'conv_preds' \(kernel\) needs 1x1x256x1000"):
        load_application(NETWORK, tmp_path / "other.weights.h5")


def test_a_model_of_other_shapes_names_the_first_layer(tmp_path: Path) -> None:
    from cnnsearch.training.finetuning import load_initial_weights
    from cnnsearch.training.messages import Pretrained
    from cnnsearch.training.model import build
    from tests.conftest import architecture

    checkpoint.save_weights(build(architecture()), tmp_path / "w.npz")
    start = Pretrained(tmp_path / "w.npz", (0.5,), (0.5,), False)
    load_initial_weights(start, build(architecture(classes=3)))
    wider = build(architecture(stem=[{"type": "conv", "filters": 24}]))
    with pytest.raises(CnnsearchError, match=r"'stem\.0\.conv/kernel'.*3x3x1x16, needs 3x3x1x24"):
        load_initial_weights(start, wider)


def test_dense_layers_of_another_size_are_new(tmp_path: Path) -> None:
    from cnnsearch.training.finetuning import load_initial_weights, set_trainable
    from cnnsearch.training.messages import Pretrained
    from cnnsearch.training.model import build
    from tests.conftest import architecture

    head = {"layers": [{"type": "flatten"}, {"type": "dense_layer", "units": 6}]}
    given, small = (architecture(head=head, input=[side, side, 1]) for side in (8, 4))
    source = build(given)
    checkpoint.save_weights(source, tmp_path / "w.npz")
    start = Pretrained(tmp_path / "w.npz", (0.5,), (0.5,), True)
    same, other = build(given), build(small)
    load_initial_weights(start, same)
    load_initial_weights(start, other)
    inner = "head.0.dense" if "head.0.dense" in {x.name for x in same.layers} else "head.dense"
    kernel = values(source.get_layer(inner).kernel)
    np.testing.assert_array_equal(values(same.get_layer(inner).kernel), kernel)
    set_trainable(other, "head")
    assert len(other.trainable_variables) == 4
    stem = values(source.get_layer("stem.0.conv").kernel)
    np.testing.assert_array_equal(values(other.get_layer("stem.0.conv").kernel), stem)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(network.name, marks=LARGE if network.params > 3e7 else ())
        for network in list_published()
        if network.keras_applications
    ],
)
def test_every_application_is_recognised_by_its_wiring(name: str) -> None:
    space = SearchSpace.load(name)
    assert find_network_name(space) == name
    styled = prepare_space(space, Settings.create(space.text, name, weights="imagenet"))
    assert (
        styled.decode_first().architecture.fingerprint == application_architecture(name).fingerprint
    )
    assert find_network_name(styled) == name


def test_only_published_networks_have_weights() -> None:
    with pytest.raises(SpaceError, match=r"no weights for 'resnet-18', did you mean .*it has vgg"):
        find_network_name(SearchSpace.load("resnet-18"))
    with pytest.raises(SpaceError, match=r"'residual' leaves .* open, but trained weights"):
        find_network_name(SearchSpace.load("residual"))
    text = list_published_files()[NETWORK].read_text("utf-8")
    with pytest.raises(SpaceError, match="no weights for"):
        find_network_name(SearchSpace.from_text(re.sub("filters: 8", "filters: 16", text)))


def test_images_of_another_size() -> None:
    assert resize_space(SearchSpace.load("efficientnet"), (96, 64)).input == (96, 64, 3)
    with pytest.raises(SpaceError, match=r"--image 16x16: vgg-11\.yaml: it cannot be"):
        resize_space(SearchSpace.load("vgg-11"), (16, 16))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("input: [{choice: [8, 16]}, 16, 1]", "searches the size"),
        ("input: [$side, $side, 1]\nvariables: {side: {choice: [8, 16]}}", "searches the size"),
        ("input: [16, 16, 1]\nscaling: {phi: 1}", "follows from its scaling"),
    ],
)
def test_a_space_that_chooses_sizes_is_not_resized(changed: str, said: str) -> None:
    space = SearchSpace.from_text(f"{changed}\nclasses: 3\nstages: [{{block: basic, width: 8}}]")
    with pytest.raises(SpaceError, match=f"--image: .*{said}"):
        resize_space(space, (32, 32))


def test_what_is_asked_is_checked_first(tmp_path: Path) -> None:
    base = Settings.create("", "s")
    with pytest.raises(CnnsearchError, match="--freeze: needs --weights"):
        base.replace(freeze=True)
    with pytest.raises(CnnsearchError, match="--image: expected a side"):
        base.replace(image="big")
    (tmp_path / "mine.weights.h5").touch()
    with pytest.raises(DataError, match=r"no such file, did you mean 'mine\.weights\.h5'"):
        check_weights_file(base.replace(weights=str(tmp_path / "mine.weight.h5")))
    check_weights_file(base.replace(weights="imagenet"))


@pytest.mark.parametrize(
    ("recipe", "asked", "said"),
    [
        ("unfreeze_after: 0.5", {}, "recipe.unfreeze_after: 0.5, but all weights move from the st"),
        (
            "trainable: norms",
            {"freeze": True, "weights": "imagenet"},
            "--freeze: trains the head alone, but recipe.tr",
        ),
        ("trainable: head, unfreeze_after: 0.5", {}, None),
        ("trainable: {choice: [all, head]}, unfreeze_after: 0.5", {}, None),
        ("epochs: 2", {"changes": ("trainable=norms", "unfreeze_after=0.5")}, None),
    ],
)
def test_what_is_trained_does_not_contradict_itself(
    recipe: str, asked: dict[str, Any], said: str | None
) -> None:
    text = (
        f"input: [8, 8, 1]\nclasses: 10\nstem: [{{type: conv, filters: 4}}]\nrecipe: {{{recipe}}}"
    )
    space = SearchSpace.from_text(text, "s.yaml")
    settings = Settings.create(text, "s.yaml", **asked)
    if said is None:
        assert prepare_space(space, settings) is space
        return
    with pytest.raises(SpaceError, match=re.escape(said)):
        prepare_space(space, settings)
