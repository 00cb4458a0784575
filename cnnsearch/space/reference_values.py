"""What a JSON Schema allows and what a default is, in words."""

from collections.abc import Mapping
from typing import Any

from cnnsearch.blocks import LAYERS

_LARGE = 10**6
"""Bounds from here on only keep out what no machine can hold."""
_MOST_WORDS = 4
"""Kinds of values that are named one by one."""
_LAYERS = frozenset(layer.model_fields["type"].default for layer in LAYERS)


def describe_values(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Returns what a JSON Schema allows, in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        found = definitions.get(name, {})
        return describe_values(found, definitions) if "enum" in found else _describe_mapping(found)
    if "anyOf" in schema or "oneOf" in schema:
        several = schema.get("anyOf") or schema["oneOf"]
        words = dict.fromkeys(describe_values(each, definitions) for each in several)
        if len(words) > _MOST_WORDS:
            return _name_union(schema)
        text = " or ".join(words)
        return text.replace(f"a list of 2, {next(iter(words))}", "two of them")
    if "enum" in schema:
        return ", ".join(map(write_value, schema["enum"]))
    if "const" in schema:
        return write_value(schema["const"])
    return _describe_type(schema, definitions)


def _name_union(schema: Mapping[str, Any]) -> str:
    """Returns what the members of a union have in common."""
    types = {*schema.get("discriminator", {}).get("mapping", ())}
    if not types:
        return "one of several, see the schema"
    return "a layer" if types <= _LAYERS else "a block"


def _describe_mapping(schema: Mapping[str, Any]) -> str:
    """Returns the keys of a mapping, its fixed ``type`` with the value."""
    keys = schema.get("properties", {})
    names = [
        f"{key}: {write_value(v['const'])}" if "const" in v else key for key, v in keys.items()
    ]
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


def write_value(value: Any) -> str:
    """Returns a value as YAML has it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:g}" if value == 0 or abs(value) >= 0.001 else f"{value:.0e}"
    if isinstance(value, dict):
        inside = ", ".join(f"{key}: {write_value(item)}" for key, item in value.items())
        return f"{{{inside}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(write_value, value))}]"
    return str(value)
