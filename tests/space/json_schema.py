"""As much of JSON Schema as ``cnnsearch schema`` prints; a keyword it does not know is an error."""

import re
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
TOLD = {"$schema", "$defs", "title", "description", "default", "discriminator"}


def valid(data: Any, schema: Any, root: dict[str, Any]) -> bool:
    """Whether ``data`` keeps to ``schema``."""
    if isinstance(schema, bool):
        return schema
    return all(_keeps(data, key, schema, root) for key in schema.keys() - TOLD)


def _keeps(data: Any, key: str, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    rule = schema[key]
    match key:
        case "$ref":
            return valid(data, root["$defs"][rule.removeprefix("#/$defs/")], root)
        case "anyOf":
            return any(valid(data, one, root) for one in rule)
        case "oneOf":
            return sum(valid(data, one, root) for one in rule) == 1
        case "enum":
            return data in rule
        case "const":
            return bool(data == rule)
        case "type":
            return isinstance(data, TYPES[rule]) and (rule == "boolean" or data is not bool(data))
    if isinstance(data, dict):
        return _keeps_keys(data, key, schema, root)
    if isinstance(data, list):
        return _keeps_items(data, key, schema, root)
    if isinstance(data, str):
        return key != "pattern" or bool(re.search(rule, data))
    return _keeps_bounds(data, key, rule)


def _keeps_keys(
    data: dict[str, Any], key: str, schema: dict[str, Any], root: dict[str, Any]
) -> bool:
    known = schema.get("properties", {})
    match key:
        case "properties":
            return all(valid(data[name], known[name], root) for name in known.keys() & data.keys())
        case "required":
            return set(schema[key]) <= data.keys()
        case "additionalProperties":
            return all(valid(data[name], schema[key], root) for name in data.keys() - known.keys())
    return key in KEYWORDS or _unknown(key)


def _keeps_items(data: list[Any], key: str, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    first = schema.get("prefixItems", [])
    match key:
        case "prefixItems":
            return all(valid(*pair, root) for pair in zip(data, first, strict=False))
        case "items":
            return all(valid(item, schema[key], root) for item in data[len(first) :])
        case "minItems":
            return bool(len(data) >= schema[key])
        case "maxItems":
            return bool(len(data) <= schema[key])
    return key in KEYWORDS or _unknown(key)


def _keeps_bounds(data: Any, key: str, rule: float) -> bool:
    if isinstance(data, bool) or not isinstance(data, int | float):
        return key in KEYWORDS or _unknown(key)
    match key:
        case "minimum":
            return bool(data >= rule)
        case "maximum":
            return bool(data <= rule)
        case "exclusiveMinimum":
            return bool(data > rule)
        case "exclusiveMaximum":
            return bool(data < rule)
    return key in KEYWORDS or _unknown(key)


OF_KEYS = {"properties", "required", "additionalProperties"}
OF_ITEMS = {"items", "prefixItems", "minItems", "maxItems"}
OF_NUMBERS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
KEYWORDS = OF_KEYS | OF_ITEMS | OF_NUMBERS | {"pattern"}


def _unknown(key: str) -> bool:
    raise NotImplementedError(f"the test's reader of JSON Schema does not know {key!r}")
