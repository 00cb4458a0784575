"""The reference of blocks and layers says what the code does."""

from typing import Any

import pytest
from pydantic import ValidationError

from cnnsearch.architecture.cost import count
from cnnsearch.blocks import FAMILIES, LAYERS
from cnnsearch.errors import SpaceError
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.space.reference import find_entry, find_example, list_entries

BLOCKS = [block for family in FAMILIES.values() for block in family]
MODELS: list[Any] = [*BLOCKS, *LAYERS, TrainingRecipe]


def test_every_block_layer_and_key_is_listed_once() -> None:
    entries = list_entries()
    assert len(entries) == len(MODELS)
    for entry, model in zip(entries, MODELS, strict=True):
        assert {option.name for option in entry.options} == {*model.model_fields} - {"type"}
        assert entry.summary.endswith(".") and "``" not in entry.summary


@pytest.mark.parametrize("model", MODELS)
def test_a_whole_number_just_outside_its_range_is_refused(model: Any) -> None:
    """The ranges in words, tried on the models themselves."""
    (entry,) = (e for e, m in zip(list_entries(), MODELS, strict=True) if m is model)
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
    names = [entry.name for entry in list_entries()]
    assert len(set(names)) == len(names)
    assert find_entry("bottleneck").kind == "residual" and find_entry("conv").kind == "layer"
    with pytest.raises(SpaceError, match=r"named 'botleneck', did you mean 'bottleneck'"):
        find_entry("botleneck")


def test_an_option_that_is_a_mapping_shows_its_keys_as_they_are_written() -> None:
    (attention,) = (option for option in find_entry("basic").options if option.name == "attention")
    assert attention.values.startswith("{type: squeeze_excite, position, ratio")
    assert "{type: eca, " in attention.values
