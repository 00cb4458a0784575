"""Explains mistakes in the data of an architecture that pydantic's messages leave open."""

from collections.abc import Mapping

from pydantic import BaseModel, ValidationError

from cnnsearch.blocks import FAMILIES, LAYERS
from cnnsearch.utils.validation_errors import choose_problem, explain, find_place

_BLOCKS = frozenset(b.model_fields["type"].default for each in FAMILIES.values() for b in each)
_LAYERS = frozenset(layer.model_fields["type"].default for layer in LAYERS)
_REPEATED = "{block: {type: parallel, paths: [...]}, depth: N}"


def explain_mistake(error: ValidationError, data: object, model: type[BaseModel]) -> str:
    """Returns one problem as ``key: rule``; of blocks and layers that are mixed up, the way out.

    Args:
        error: raised by validation.
        data: the data that was validated, plain lists and dicts.
        model: the model that it was validated against.
    """
    problem = choose_problem(error)
    place, parent = find_place(problem["loc"], data)
    hint = ""
    if problem["type"] == "union_tag_invalid":
        hint = _explain_type(str(problem["ctx"]["tag"]))
    elif problem["type"] == "extra_forbidden" and isinstance(parent, Mapping):
        hint = _explain_key(place, parent)
    return f"{place}: {hint}" if hint else explain(error, data, model)


def _explain_type(tag: str) -> str:
    """Explains a block where a layer is needed, or a layer in place of a block."""
    if tag in _BLOCKS:
        return (
            f"{tag!r} is a block, and only layers stand here and in paths; a block stands in a "
            f"stage: {{block: {{type: {tag}}}}}"
        )
    if tag in _LAYERS:
        return f"{tag!r} is a layer, and only a block stands here; a layer stands without block:"
    return ""


def _explain_key(place: str, parent: Mapping[str, object]) -> str:
    """Explains a key of stages beside a single layer."""
    key = place.rsplit(".", 1)[-1]
    if key != "depth" or parent.get("type") not in _LAYERS:
        return ""
    return f"a layer does not repeat; a block of its layers does: {_REPEATED}"
