"""The JSON Schema of a space file, so that an editor completes and checks it."""

from collections.abc import Mapping
from typing import Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.compound_scaling import Scaling
from cnnsearch.space.published import list_published
from cnnsearch.space.recipe import TrainingRecipe

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NUMBERS = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
_WHOLE = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}
_FIXED = ("type", "name", "description")


def space_schema() -> dict[str, Any]:
    """Returns the schema of search space files: any value may be a choice or a variable."""
    schema = Architecture.model_json_schema(mode="validation")
    definitions = schema.pop("$defs", {})
    for model in (TrainingRecipe, Scaling):
        own = model.model_json_schema(mode="validation")
        definitions.update(own.pop("$defs", {}))
        definitions[model.__name__] = own
    _allow_bare_words(definitions)
    for definition in definitions.values():
        _allow_choices(definition)
    _allow_choices(schema)
    schema["properties"]["recipe"] = {"$ref": "#/$defs/TrainingRecipe"}
    schema["properties"]["scaling"] = _vary({"$ref": "#/$defs/Scaling"})
    schema["properties"]["variables"] = {
        "type": "object",
        "description": "Named values; $name or $name * 2 refers to them anywhere.",
    }
    schema["required"].remove("input")
    schema["properties"]["image"] = _vary(_describe_image())
    schema["properties"]["backbone"] = _vary(_describe_backbone())
    title = {"$schema": DIALECT, "title": "cnnsearch search space"}
    return {**title, **schema, "$defs": {**definitions, **_define_ranges()}}


def _describe_image() -> dict[str, Any]:
    side = {"type": "integer", "minimum": 1}
    sides = {"type": "array", "items": side, "minItems": 2, "maxItems": 2}
    return {
        "description": "In place of input: side of the images, or their height and width.",
        "anyOf": [side, sides],
    }


def _describe_backbone() -> dict[str, Any]:
    names = [each.name for each in list_published() if each.keras_applications]
    weights = {"type": "string", "description": "imagenet, or a file of keras.applications."}
    chosen = {
        "type": "object",
        "properties": {"weights": _vary(weights)},
        "additionalProperties": False,
    }
    return {
        "description": "A published network with trained weights; none: the space's own stages.",
        "anyOf": [
            {"enum": [*names, "none", None]},
            {
                "type": "object",
                "properties": dict.fromkeys(names, chosen),
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": False,
            },
        ],
    }


def _define_ranges() -> dict[str, Any]:
    reference = {"type": "string", "pattern": r"^\$[A-Za-z_]\w*(\s*\*\s*\d+(\.\d+)?)?$"}
    kinds = {
        "int": (_WHOLE, "A whole number between two, both included."),
        "float": (_NUMBERS, "A number between two."),
        "log": (_NUMBERS, "A number between two, uniform in its logarithm."),
    }
    ranges = [
        {
            "type": "object",
            "properties": {kind: {**numbers, "description": text}},
            "required": [kind],
            "additionalProperties": False,
        }
        for kind, (numbers, text) in kinds.items()
    ]
    return {"Varying": {"anyOf": [reference, *ranges]}}


def _allow_bare_words(definitions: dict[str, Any]) -> None:
    """Lets a stage name its block by its type alone, where the type needs nothing else."""
    needs = {name: model.get("required", ()) for name, model in definitions.items()}
    for kind in ("Stage", "LinearStages"):
        stage = definitions[kind]["properties"]
        types = stage["block"]["discriminator"]["mapping"]
        words = [word for word, where in types.items() if not needs[where.rpartition("/")[2]]]
        stage["block"] = {"anyOf": [stage["block"], {"enum": words}]}


def _allow_choices(schema: dict[str, Any]) -> None:
    """Lets every property of an object schema be a choice of what it was, a range or a variable."""
    for name, value in schema.get("properties", {}).items():
        if name not in _FIXED:
            schema["properties"][name] = _vary(value)


def _vary(value: Mapping[str, Any]) -> dict[str, Any]:
    annotations = {key: value[key] for key in ("title", "description", "default") if key in value}
    plain = {key: item for key, item in value.items() if key not in annotations}
    if plain.get("type") == "array":
        for key in ("items", "prefixItems"):
            inside = plain.get(key)
            if isinstance(inside, Mapping):
                plain[key] = _vary(inside)
            elif isinstance(inside, list):
                plain[key] = [_vary(item) for item in inside]
    option = {"anyOf": [dict(plain), {"$ref": "#/$defs/Varying"}]}
    choice = {
        "type": "object",
        "properties": {"choice": {"type": "array", "items": option, "minItems": 1}},
        "required": ["choice"],
        "additionalProperties": False,
    }
    return {**annotations, "anyOf": [dict(plain), choice, {"$ref": "#/$defs/Varying"}]}
