"""A published network with trained weights as a value of a search space."""

import random
from pathlib import Path

import pytest

from cnnsearch.architecture.cost import Budget, count
from cnnsearch.errors import SpaceError
from cnnsearch.space.backbone import Backbone
from cnnsearch.space.baseline import make_baseline
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.published import application_architecture, load_published
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.space.search_space import SearchSpace

TEXT = """
input: [64, 64, 3]
classes: 5
backbone: {choice: [mobilenet-v2, {resnet-50: {weights: a.h5}}, {resnet-50: {weights: b.h5}}, none]}
stem: [{type: conv, filters: {choice: [8, 16]}, stride: 2}]
stages: [{block: basic, width: 16, depth: {int: [1, 3]}, stride: 2}]
head: {dropout: {choice: [0.0, 0.25]}}
recipe: {trainable: {choice: [head, 2, norms, all]}, unfreeze_after: 0.5}
"""


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return SearchSpace.from_text(TEXT, "s.yaml")


def decode(space: SearchSpace, **values: object) -> Candidate:
    return space.decode(space.complete({k.replace("__", "."): v for k, v in values.items()}))  # type: ignore[misc]


def test_a_backbone_is_the_published_body_with_the_spaces_input_and_head(
    space: SearchSpace,
) -> None:
    found = decode(space, backbone="resnet-50-1", head__dropout=0.25)
    assert found.backbone == Backbone("resnet-50", "a.h5")
    assert found.family == "resnet-50"
    known = application_architecture("resnet-50").adapt(classes=5, image=(64, 64))
    head = found.architecture.head
    assert (head.dropout, head.layers) == (0.25, known.head.layers)
    plain = found.architecture.model_copy(update={"head": known.head})
    assert plain.fingerprint == known.fingerprint != load_published("resnet-50").fingerprint


def test_heads_keep_what_a_space_leaves_open() -> None:
    text = "input: [32, 32, 3]\nclasses: 3\nbackbone: mobilenet-v3-small\nhead: {dropout: 0.1}"
    head = SearchSpace.from_text(text).decode_first().architecture.head
    assert [layer.type for layer in head.layers] == ["global_pool", "conv"]
    other = SearchSpace.from_text(text.replace("dropout: 0.1", "layers: [{type: flatten}]"))
    assert [x.type for x in other.decode_first().architecture.head.layers] == ["flatten"]


def test_a_body_has_no_stochastic_depth_of_its_own() -> None:
    text = "input: [32, 32, 3]\nclasses: 3\nbackbone: efficientnet-b0"
    found = SearchSpace.from_text(text).decode_first()
    assert found.architecture.drop_path == 0 < load_published("efficientnet-b0").drop_path


def test_own_stages_have_hyperparameters_only_without_a_backbone(space: SearchSpace) -> None:
    rng, seen = random.Random(0), set()
    for _ in range(40):
        values = space.sample(rng)
        own = {name for name in values if name.startswith(("stem", "stages"))}
        assert bool(own) == (values["backbone"] == "none")
        found = space.decode(values)
        assert (found.backbone is None) == (values["backbone"] == "none")
        seen.add(found.backbone)
    assert len(seen) == 4
    assert set(space.list_backbones()) == seen - {None}
    # three bodies and six of the space's own, each with two heads and four ways of freezing
    assert space.size == (3 + 2 * 3) * 2 * 4


def test_what_is_frozen_has_an_effect_only_on_a_backbone(space: SearchSpace) -> None:
    frozen, scratch = (
        decode(space, backbone=name, recipe__trainable="head") for name in ("mobilenet-v2", "none")
    )
    assert (frozen.recipe.trainable, frozen.recipe.unfreeze_after) == ("head", 0.5)
    assert frozen.recipe.shift == 0, "features of images that do not move can be cached"
    assert scratch.recipe == TrainingRecipe()
    same = decode(space, backbone="none", recipe__trainable="norms")
    assert same.fingerprint == scratch.fingerprint
    assert decode(space, backbone="mobilenet-v2", recipe__trainable="norms").recipe.shift is None


def test_weights_are_part_of_a_candidates_identity(space: SearchSpace) -> None:
    a, b = (decode(space, backbone=f"resnet-50-{n}") for n in (1, 2))
    assert a.architecture == b.architecture
    assert a.fingerprint != b.fingerprint
    assert a.data_hash != b.data_hash
    random_start = Candidate(a.architecture, a.recipe)
    assert random_start.fingerprint not in (a.fingerprint, b.fingerprint)


def test_a_rate_that_nothing_unfreezes_with_is_no_other_candidate(small: object) -> None:
    rates = [TrainingRecipe(unfreeze_rate=rate) for rate in (0.1, 0.3)]
    never = {Candidate(small, recipe).fingerprint for recipe in rates}  # type: ignore[arg-type]
    assert len(never) == 1
    later = [r.model_copy(update={"unfreeze_after": 0.5}) for r in rates]
    assert len({Candidate(small, each).fingerprint for each in later}) == 2  # type: ignore[arg-type]


def test_the_baseline_is_plain_and_trains_all_its_weights(space: SearchSpace) -> None:
    found = make_baseline(space, Budget())
    assert found is not None
    assert found.backbone is None
    assert found.recipe == TrainingRecipe()
    frozen = "input: [32, 32, 3]\nclasses: 3\nbackbone: mobilenet-v2\nrecipe: {trainable: head}"
    alone = make_baseline(SearchSpace.from_text(frozen), Budget())
    assert alone is not None
    assert alone.recipe == TrainingRecipe()


def test_costs_are_those_of_the_network(space: SearchSpace) -> None:
    found = count(decode(space, backbone="mobilenet-v2").architecture)
    known = load_published("mobilenet-v2").adapt(classes=5, image=(64, 64))
    assert (found.params, found.macs) == (count(known).params, count(known).macs)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("backbone: mobilenet-v9", "no weights for 'mobilenet-v9', did you mean 'mobilenet-v2'"),
        ("backbone: resnet-18", "no weights for 'resnet-18', did you mean"),
        ("backbone: {a: 1, b: 2}", "backbone: expected a network"),
        ("backbone: [mobilenet-v2]", "backbone: expected a network"),
        ("backbone: {resnet-50: 3}", "backbone.resnet-50: expected {weights: FILE}, got 3"),
        ("backbone: {resnet-50: {weight: f}}", "resnet-50.weight: unknown key"),
        ("backbone: {resnet-50: {weights: 3}}", "weights: expected imagenet or a file, got 3"),
        ("backbone: mobilenet-v2\nstages: []", "stages: has no effect beside a backbone"),
        ("backbone: none", "backbone: none needs a stem or stages"),
        ("backbone: mobilenet-v2\nscaling: {phi: 1}", "scaling: trained weights fit one size"),
        ("backbne: mobilenet-v2", "backbne: unknown key, did you mean 'backbone'"),
    ],
)
def test_mistakes_are_explained(text: str, rule: str) -> None:
    with pytest.raises(SpaceError) as error:
        SearchSpace.from_text(f"input: [32, 32, 3]\nclasses: 3\n{text}", "s.yaml")
    assert rule in str(error.value)
    assert "\n" not in str(error.value)


def test_a_keras_tuner_model_would_be_without_its_weights(space: SearchSpace) -> None:
    with pytest.raises(SpaceError, match="HyperModel does not load"):
        space.hypermodel()


def test_the_schema_knows_it() -> None:
    from cnnsearch.space.json_schema import space_schema

    options = space_schema()["properties"]["backbone"]
    assert "mobilenet-v2" in str(options)
    assert "resnet-18" not in str(options)


def test_a_space_file_is_found_beside_its_weights(tmp_path: Path) -> None:
    from cnnsearch.engine.backbones import check_backbones
    from cnnsearch.engine.settings import Settings
    from cnnsearch.errors import DataError

    file = tmp_path / "s.yaml"
    file.write_text("input: [32, 32, 3]\nclasses: 3\nbackbone: {resnet-50: {weights: a.h5}}")
    space = SearchSpace.load(file)
    settings = Settings.create(space.text, space.source)
    with pytest.raises(DataError, match=r"backbone.resnet-50.weights: there is no file a\.h5"):
        check_backbones(space, settings)
    (tmp_path / "a.h5").touch()
    check_backbones(space, settings)
    with pytest.raises(SpaceError, match=r"--weights: .* names the weights of its own"):
        check_backbones(space, settings.replace(weights="imagenet"))
