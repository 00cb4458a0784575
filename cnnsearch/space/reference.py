"""Describes every block, layer and section of a space file from the code: options, defaults."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.compound_scaling import Scaling
from cnnsearch.architecture.cost import count
from cnnsearch.architecture.linear_widths import LinearStages
from cnnsearch.architecture.stages import AuxiliaryHead, Head, Stage
from cnnsearch.blocks import FAMILIES, LAYERS, Block, Style
from cnnsearch.blocks.attention import OPTIONS
from cnnsearch.errors import CnnsearchError, SpaceError, suggest
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.space.reference_values import describe_values, write_value

_IN_YAML: Final = MappingProxyType({"None": "null", "True": "true", "False": "false"})
_REQUIRED = "required"
_SECTIONS: Final[Mapping[str, type[BaseModel]]] = MappingProxyType(
    {
        "network": Architecture,
        "style": Style,
        "stage": Stage,
        "linear_stages": LinearStages,
        "head": Head,
        "auxiliary": AuxiliaryHead,
        "scaling": Scaling,
    }
)
"""Sections of a space file, in the order of the reference."""


@dataclass(frozen=True)
class Option:
    """One key of a block, a layer or a section.

    Attributes:
        name: the key.
        values: which are allowed, in words.
        default: in YAML's words; ``required`` if there is none.
        text: what it does, as far as the code says.
    """

    name: str
    values: str
    default: str
    text: str


@dataclass(frozen=True)
class Entry:
    """A page of the reference.

    Attributes:
        name: the ``type`` in a space file, or the section.
        kind: the block's family, ``layer``, ``section`` or ``recipe``.
        summary: the first line of its documentation, with the paper.
        options: its keys.
        details: the rest of its documentation.
    """

    name: str
    kind: str
    summary: str
    options: tuple[Option, ...]
    details: str = ""


_SPACE_KEYS = (
    Option("image", "a side, or [height, width]", "null",
           "size of the images, in place of input; may be a choice"),
    Option("backbone", "a published network, or none", "null",
           "trained weights to start from, in place of the stages"),
    Option("variables", "a mapping", "{}",
           "named values, whole blocks too; $name or $name * 2 stands for one anywhere below"),
    Option("recipe", "a mapping", "{}", "how candidates are trained; see recipe"),
    Option("scaling", "a mapping", "null", "compound scaling; see scaling"),
)  # fmt: skip
"""Keys of a space file that an architecture does not have."""


def list_entries() -> tuple[Entry, ...]:
    """Returns all blocks by family, all layers, attention, the sections, then the recipe."""
    return tuple(describe() for describe in _list_names().values())


def find_entry(name: str) -> Entry:
    """Returns the entry of that name.

    Raises:
        SpaceError: there is none.
    """
    names = _list_names()
    if name not in names:
        hint = suggest(name, names) or " (cnnsearch blocks lists them)"
        raise SpaceError(f"there is no block, layer or section named {name!r}{hint}")
    return names[name]()


def _list_names() -> dict[str, Callable[[], Entry]]:
    """Returns what makes each entry, by name; only the schemas of those wanted are made."""
    models: list[tuple[type[BaseModel], str]]
    models = [(block, family) for family, each in FAMILIES.items() for block in each]
    models += [(layer, "layer") for layer in LAYERS]
    return {
        **{str(m.model_fields["type"].default): partial(_describe, m, kind) for m, kind in models},
        "attention": _describe_attention,
        **{name: partial(_describe, m, "section", name) for name, m in _SECTIONS.items()},
        "recipe": partial(_describe, TrainingRecipe, "recipe", "recipe"),
    }


def find_example(block: type[Block]) -> Architecture | None:
    """Returns a network of one such block with its defaults; None where it needs other values."""
    name = block.model_fields["type"].default
    for stage in ({"width": 64}, {}, {"growth": 16}):
        data = {"input": [32, 32, 32], "classes": 10, "stages": [{"block": name, **stage}]}
        try:
            network = Architecture.from_data(data, name)
            count(network)
        except CnnsearchError:
            continue
        return network.model_copy(update={"name": name})
    return None


def _describe(model: type[BaseModel], kind: str, name: str = "") -> Entry:
    introduction = (inspect.getdoc(model) or "").partition("Attributes:\n")[0].split("\n\n")
    summary, *details = (_clean(paragraph) for paragraph in introduction)
    options = _list_options(model)
    if model is Architecture:
        options += _SPACE_KEYS
    return Entry(
        name or str(model.model_fields["type"].default), kind, summary, options,
        " ".join(filter(None, details)),
    )  # fmt: skip


def _list_options(model: type[BaseModel]) -> tuple[Option, ...]:
    texts: dict[str, str] = {}
    for base in reversed(model.__mro__):
        texts |= _read_attributes(inspect.cleandoc(base.__dict__.get("__doc__") or ""))
    if issubclass(model, Block):
        texts["attention"] = _describe_places(model)
    schema = model.model_json_schema(mode="validation")
    definitions = schema.get("$defs", {})
    if "$ref" in schema:  # a model that may contain itself
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    required = schema.get("required", ())
    return tuple(
        Option(
            key,
            describe_values(value, definitions),
            _REQUIRED if key in required else write_value(value.get("default")),
            texts.get(key, ""),
        )
        for key, value in schema.get("properties", {}).items()
        if key != "type"
    )


def _describe_places(block: type[Block]) -> str:
    """Returns where a block can be gated, and what gate that replaces."""
    first, *others = block.attention_places or ("",)
    words = " or ".join([f"{first} (its default)", *others])
    text = f"a gate over its channels; position: {words}" if first else "a gate behind the block"
    if first and "squeeze_ratio" in block.model_fields:
        text += "; replaces the gate of squeeze_ratio"
    return f"{text}; see attention"


def _describe_attention() -> Entry:
    """Returns the options of all gates as one entry; an option of one gate only names it."""
    gates = {gate.model_fields["type"].default: _list_options(gate) for gate in OPTIONS}
    found = {option.name: option for options in gates.values() for option in options}
    for name, options in gates.items():
        others = {o.name for gate, each in gates.items() if gate != name for o in each}
        for option in options:
            if option.name not in others:
                found[option.name] = replace(option, text=f"{name}: {option.text}")
    kinds = Option("type", ", ".join(gates), _REQUIRED, "the gate; both are layers too")
    summary = "A gate over a block's channels: attention: {type: squeeze_excite, ratio: 0.25}."
    return Entry("attention", "section", summary, (kinds, *found.values()), _list_places())


def _list_places() -> str:
    """Returns which blocks have which positions."""
    blocks = [block for family in FAMILIES.values() for block in family]
    names: dict[tuple[str, ...], list[str]] = {}
    for block in blocks:
        names.setdefault(block.attention_places, []).append(block.model_fields["type"].default)
    parts = [
        f"{' or '.join([f'{places[0]} (the default)', *places[1:]])}: {', '.join(each)}."
        for places, each in names.items()
        if places
    ]
    return f"Positions: {' '.join(parts)} Any other block is gated behind its output."


def _read_attributes(documentation: str) -> dict[str, str]:
    """Returns the texts of the section ``Attributes`` of a docstring."""
    _, _, section = documentation.partition("Attributes:\n")
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8,}.*)*)", section, flags=re.MULTILINE)
    return {name: _clean(text) for name, text in found}


def _clean(text: str) -> str:
    """Returns a docstring's paragraph as one line, values as YAML writes them."""
    line = " ".join(text.replace("``", "").split())
    return re.sub(r"\b(None|True|False)(?=[:;.]|$| ties)", lambda m: _IN_YAML[m[0]], line)
