"""Describes every block, layer and recipe key from the code: what it is, its options, defaults."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.blocks import FAMILIES, LAYERS, Block
from cnnsearch.errors import CnnsearchError, SpaceError, suggest
from cnnsearch.space.recipe import TrainingRecipe

_REQUIRED = "required"
_LARGE = 10**6
"""Bounds from here on only keep out what no machine can hold."""


@dataclass(frozen=True)
class Option:
    """One key of a block, a layer or a recipe.

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
        name: the ``type`` in a space file, or ``recipe``.
        kind: the block's family, ``layer`` or ``recipe``.
        summary: the first line of its documentation, with the paper.
        options: its keys.
    """

    name: str
    kind: str
    summary: str
    options: tuple[Option, ...]


def list_entries() -> tuple[Entry, ...]:
    """Returns all blocks by family, then all layers, then the recipe."""
    blocks = [_describe(block, family) for family, each in FAMILIES.items() for block in each]
    layers = [_describe(layer, "layer") for layer in LAYERS]
    return (*blocks, *layers, _describe(TrainingRecipe, "recipe", "recipe"))


def find_entry(name: str) -> Entry:
    """Returns the entry of that name.

    Raises:
        SpaceError: there is none.
    """
    entries = {entry.name: entry for entry in list_entries()}
    if name not in entries:
        hint = suggest(name, entries) or " (cnnsearch blocks lists them)"
        raise SpaceError(f"there is no block or layer named {name!r}{hint}")
    return entries[name]


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
    documentation = inspect.getdoc(model) or ""
    texts = _read_attributes(documentation)
    schema = model.model_json_schema(mode="validation")
    definitions = schema.get("$defs", {})
    if "$ref" in schema:  # a model that may contain itself
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    required = schema.get("required", ())
    options = tuple(
        Option(
            key,
            describe_values(value, definitions),
            _REQUIRED if key in required else _write(value.get("default")),
            texts.get(key, ""),
        )
        for key, value in schema.get("properties", {}).items()
        if key != "type"
    )
    return Entry(name or str(model.model_fields["type"].default), kind,
                 documentation.splitlines()[0].replace('``', ''), options)  # fmt: skip


def _read_attributes(documentation: str) -> dict[str, str]:
    """Returns the texts of the section ``Attributes`` of a docstring."""
    _, _, section = documentation.partition("Attributes:\n")
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8,}.*)*)", section, flags=re.MULTILINE)
    return {name: " ".join(text.replace("``", "").split()) for name, text in found}


def describe_values(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Returns what a JSON Schema allows, in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        found = definitions.get(name, {})
        return describe_values(found, definitions) if "enum" in found else _describe_mapping(found)
    if "anyOf" in schema or "oneOf" in schema:
        several = schema.get("anyOf") or schema["oneOf"]
        words = dict.fromkeys(describe_values(each, definitions) for each in several)
        text = " or ".join(words) if len(words) <= 4 else "one of several, see the schema"
        return text.replace(f"a list of 2, {next(iter(words))}", "two of them")
    if "enum" in schema:
        return ", ".join(map(_write, schema["enum"]))
    if "const" in schema:
        return _write(schema["const"])
    return _describe_type(schema, definitions)


def _describe_mapping(schema: Mapping[str, Any]) -> str:
    """Returns the keys of a mapping, its fixed ``type`` with the value."""
    keys = schema.get("properties", {})
    names = [f"{key}: {_write(v['const'])}" if "const" in v else key for key, v in keys.items()]
    return f"{{{', '.join(sorted(names, key=lambda n: not n.startswith('type:')))}}}"


def _describe_type(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if kind in ("integer", "number"):
        return _describe_range("a whole number" if kind == "integer" else "a number", schema)
    if kind == "array":
        inside = schema.get("prefixItems") or [schema.get("items") or {}]
        words = " and ".join(dict.fromkeys(describe_values(each, definitions) for each in inside))
        return f"a list, each {words}" if len(inside) == 1 else f"a list of {len(inside)}, {words}"
    names = {"boolean": "true, false", "null": "null", "string": "text", "object": "a mapping"}
    return names.get(str(kind), "any value")


def _describe_range(word: str, schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    bounds = []
    if low is not None:
        bounds.append(f"from {low:g}")
    elif above is not None:
        bounds.append("from 1" if above == 0 and "whole" in word else f"above {above:g}")
    if high is not None and high < _LARGE:
        bounds.append(f"to {high:g}")
    elif below is not None:
        bounds.append(f"below {below:g}")
    return " ".join([word, *bounds])


def _write(value: Any) -> str:
    """Returns a value as YAML has it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:g}" if value == 0 or abs(value) >= 0.001 else f"{value:.0e}"
    if isinstance(value, dict):
        inside = ", ".join(f"{key}: {_write(item)}" for key, item in value.items())
        return f"{{{inside}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_write, value))}]"
    return str(value)
