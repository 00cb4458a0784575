"""The reference of blocks and layers says what the code does."""

from typing import Any

import pytest
from pydantic import ValidationError

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.compound_scaling import Scaling
from cnnsearch.architecture.cost import count
from cnnsearch.architecture.linear_widths import LinearStages
from cnnsearch.architecture.stages import AuxiliaryHead, Head, Stage
from cnnsearch.blocks import FAMILIES, LAYERS, Style
from cnnsearch.blocks.attention import OPTIONS
from cnnsearch.errors import SpaceError
from cnnsearch.space.backbone_choice import KEY
from cnnsearch.space.parts import IMAGE, OTHERS
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.space.reference import Entry, find_entry, find_example, list_entries

BLOCKS = [block for family in FAMILIES.values() for block in family]
SECTIONS = [Architecture, Style, Stage, LinearStages, Head, AuxiliaryHead, Scaling]
MODELS: list[Any] = [*BLOCKS, *LAYERS, None, *SECTIONS, TrainingRecipe]  # None: attention

ENTRIES = {entry.name: entry for entry in list_entries()}


def test_every_block_layer_and_key_is_listed_once() -> None:
    assert len(ENTRIES) == len(MODELS)
    for entry, model in zip(ENTRIES.values(), MODELS, strict=True):
        assert entry.summary.endswith(".")
        names = {option.name for option in entry.options}
        own = {IMAGE, KEY, *OTHERS} if model is Architecture else set()
        if model is None:
            assert names == {name for gate in OPTIONS for name in gate.model_fields}
        else:
            assert names == {*model.model_fields, *own} - {"type"}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=lambda entry: entry.name)
def test_texts_are_complete_and_without_markup(entry: Entry) -> None:
    for option in entry.options:
        assert option.text, f"{option.name} is not explained"
    for text in (entry.summary, entry.details, *(option.text for option in entry.options)):
        assert not any(word in text for word in ("``", ":class:", ":meth:", "likewise", "None"))


def test_the_positions_of_attention_are_those_of_each_block() -> None:
    attention = ENTRIES["attention"]
    assert "end (the default) or middle: basic, bottleneck," in attention.details
    assert "end (the default): shuffle_v2." in attention.details
    texts = {option.name: option.text for option in attention.options}
    assert texts["kernel"].startswith("eca: ") and texts["of"].startswith("squeeze_excite: ")
    for block in BLOCKS:
        options = ENTRIES[block.model_fields["type"].default].options
        (text,) = (option.text for option in options if option.name == "attention")
        assert [place for place in ("end", "middle") if f" {place}" in text.split(";")[1]] == [
            *sorted(block.attention_places)
        ]


@pytest.mark.parametrize("model", [model for model in MODELS if model is not None])
def test_a_whole_number_just_outside_its_range_is_refused(model: Any) -> None:
    """The ranges in words, tried on the models themselves."""
    (entry,) = (e for e, m in zip(ENTRIES.values(), MODELS, strict=True) if m is model)
    needed = {o.name: 8 for o in entry.options if o.default == "required" and "whole" in o.values}
    for option in entry.options:
        words = option.values.split()
        if words[:4] != ["a", "whole", "number", "from"]:
            continue
        low = int(words[4])
        with pytest.raises(ValidationError, match=option.name):
            model(**{**needed, option.name: low - 1})


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_has_an_example_unless_it_needs_paths(block: Any) -> None:
    network = find_example(block)
    if network is None:
        assert block.model_fields["type"].default == "parallel"
    else:
        assert count(network).params > 0 and network.depth == 1


def test_a_name_finds_its_entry() -> None:
    assert len(ENTRIES) == len(MODELS)
    assert find_entry("bottleneck").kind == "residual" and find_entry("conv").kind == "layer"
    with pytest.raises(SpaceError, match=r"named 'botleneck', did you mean 'bottleneck'"):
        find_entry("botleneck")


def test_an_option_that_is_a_mapping_shows_its_keys_as_they_are_written() -> None:
    (attention,) = (option for option in ENTRIES["basic"].options if option.name == "attention")
    assert attention.values.startswith("{type: squeeze_excite, position, ratio")
    assert "{type: eca, " in attention.values
