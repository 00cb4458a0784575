"""Turns a pydantic ``ValidationError`` into one line: the key, the rule, the value."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from cnnsearch.errors import suggest, suggest_or_list


def explain(error: ValidationError, data: object, model: type[BaseModel] | None = None) -> str:
    """Returns one problem of ``error`` as ``key: rule, got value``; unknown keys come first.

    Args:
        error: raised by validation.
        data: the data that was validated, plain lists and dicts.
        model: the model that ``data`` was validated against, for suggestions of known keys.
    """
    first = choose_problem(error)
    place, parent = find_place(first["loc"], data)
    key = place.rsplit(".", 1)[-1]
    if first["type"] == "extra_forbidden":
        known = sorted(_known_keys(model, first["loc"], parent))
        return f"{place}: unknown key{suggest_or_list(key, known)}"
    if first["type"] == "missing" and isinstance(first["loc"][-1], int):
        return f"{place}: too few values, got {first['loc'][-1]}"
    if first["type"] == "missing":
        return f"{place}: this key is missing"
    if first["type"] == "union_tag_not_found":
        return f"{place}: missing type"
    if first["type"] == "union_tag_invalid":
        return f"{place}: {_tag_rule(first)}"
    rule = str(first["msg"]).removeprefix("Value error, ")
    hint = _suggest_literal(first) if first["type"] == "literal_error" else ""
    return f"{place}: {rule[:1].lower()}{rule[1:]}, got {shorten(first['input'])}{hint}"


def choose_problem(error: ValidationError) -> Any:
    """Returns the problem that is explained: an unknown key, else the first."""
    problems = error.errors(include_url=False)
    unknown = [problem for problem in problems if problem["type"] == "extra_forbidden"]
    return (unknown or problems)[0]


def _suggest_literal(problem: Any) -> str:
    expected = str(problem["ctx"]["expected"]).replace(" or ", ", ")
    return suggest(str(problem["input"]), [word.strip(" '") for word in expected.split(",")])


def shorten(value: object, limit: int = 60) -> str:
    """Returns ``repr(value)``, cut to ``limit`` characters."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def find_place(loc: Sequence[int | str], data: object) -> tuple[str, object]:
    """Returns the key as in the file, without pydantic's own steps (union tags), and its parent."""
    steps: list[str] = []
    parent: object = data
    for position, step in enumerate(loc):
        inside = _child(data, step)
        if inside is _ABSENT and position < len(loc) - 1:
            continue
        if inside is _ABSENT and not isinstance(data, Mapping):
            continue
        steps.append(str(step))
        parent, data = data, inside
    return ".".join(steps) or "top level", parent


_ABSENT = object()


def _child(data: object, step: int | str) -> object:
    if isinstance(data, Mapping):
        return data.get(step, _ABSENT)
    if isinstance(data, Sequence) and isinstance(step, int) and not isinstance(data, str):
        return data[step] if step < len(data) else _ABSENT
    return _ABSENT


def _known_keys(
    model: type[BaseModel] | None, loc: Sequence[int | str], parent: object
) -> set[str]:
    """Returns the keys of the models that may stand at ``loc``, where an unknown key was found."""
    kind = parent.get("type") if isinstance(parent, Mapping) else None
    models = {model} if model else set()
    for step in loc[:-1]:
        inside = [m.model_fields[step].annotation for m in models if step in m.model_fields]
        models = {found for each in inside for found in _models(each)} or models
    tagged = {m for m in models if "type" in m.model_fields}
    exact = {m for m in tagged if m.model_fields["type"].default == kind}
    return {key for m in exact or models - tagged or models for key in m.model_fields}


def _models(annotation: Any) -> set[type[BaseModel]]:
    """Returns the models inside an annotation: of a list's items, of a union's members."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {model for inner in get_args(annotation) for model in _models(inner)}


def _tag_rule(first: Any) -> str:
    context = first.get("ctx", {})
    expected = [tag.strip(" '") for tag in str(context.get("expected_tags", "")).split(",")]
    tag = context.get("tag")
    return f"unknown type {tag!r}{suggest_or_list(str(tag), expected)}"
