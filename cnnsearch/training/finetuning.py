"""Starts a model from pretrained weights, all but the classifier, and freezes layers."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cnnsearch.errors import ArchitectureError, RunError
from cnnsearch.training import checkpoint
from cnnsearch.training.messages import Pretrained

HEAD, AUXILIARY, STAGES = "head", "auxiliary", "stages"
"""Prefixes of the names of layers."""


def load_initial_weights(pretrained: Pretrained, model: Any) -> None:
    """Loads pretrained weights into a model.

    The classifier keeps its random weights. So do a head's other dense layers if the image size
    gives them other shapes (VGG).

    Args:
        pretrained: the weights, of the same network with any number of classes.
        model: of :func:`cnnsearch.training.model.build`.

    Raises:
        RunError: there is no such file.
        ArchitectureError: the weights do not fit; names the first layer that differs.
    """
    saved = _read_weights(pretrained.weights)
    weighted = [layer for layer in model.layers if layer.weights]
    body = [layer for layer in weighted if not layer.name.startswith((HEAD, AUXILIARY))]
    for variable in _list_variables(body):
        _check_fit(variable, saved)
        variable.assign(saved[variable.path])
    head = [layer for layer in weighted if layer.name.startswith(HEAD)]
    inner = list(_list_variables(head[:-1]))
    if all(_fits(variable, saved) for variable in inner):
        for variable in inner:
            variable.assign(saved[variable.path])


def set_trainable(model: Any, what: str | int) -> None:
    """Makes some layers trainable and freezes the others.

    Frozen batch normalization keeps its statistics.

    Args:
        model: of :func:`cnnsearch.training.model.build`.
        what: ``all``, ``head``, ``norms``: normalization layers and the head; or how many of the
            last stages besides the head, all there are if there are fewer.

    Raises:
        ArchitectureError: the model has no such layers.
    """
    if what == "head" and not any(_is_head(layer) and layer.weights for layer in model.layers):
        raise ArchitectureError(f"model {model.name!r} has no head that could be trained alone")
    if what == "norms" and not any(_is_norm(layer) for layer in model.layers):
        raise ArchitectureError(f"model {model.name!r} has no normalization that could be trained")
    first = _find_stage(model, what) if isinstance(what, int) else math.inf
    for layer in model.layers:
        layer.trainable = (
            what == "all"
            or _is_head(layer)
            or (what == "norms" and _is_norm(layer))
            or _read_stage(layer) >= first
        )


def _find_stage(model: Any, count: int) -> float:
    """Returns the index of the first of the last ``count`` stages, or of all there are."""
    stages = sorted({_read_stage(layer) for layer in model.layers} - {-1})
    return stages[-min(count, len(stages))] if stages else math.inf


def _read_stage(layer: Any) -> int:
    """Returns the number of a layer's stage, -1 outside of stages."""
    group, _, place = layer.name.partition(".")
    return int(place.partition(".")[0]) if group == STAGES else -1


def _is_head(layer: Any) -> bool:
    return bool(layer.name.startswith(HEAD))


def _is_norm(layer: Any) -> bool:
    kind = type(layer).__name__
    return kind.endswith("Normalization") and bool(layer.weights) and kind != "Normalization"


def _read_weights(path: Path) -> dict[str, Any]:
    found = checkpoint.read(path)
    if found is None:
        raise RunError(f"{path}: there are no weights")
    return dict(zip(found.header["paths"], found.arrays, strict=True))


def _list_variables(layers: Iterable[Any]) -> Iterable[Any]:
    return (variable for layer in layers for variable in layer.weights)


def _fits(variable: Any, saved: dict[str, Any]) -> bool:
    return variable.path in saved and saved[variable.path].shape == tuple(variable.shape)


def _check_fit(variable: Any, saved: dict[str, Any]) -> None:
    if variable.path not in saved:
        raise ArchitectureError(f"there are no weights for layer {variable.path!r}")
    if not _fits(variable, saved):
        shapes = ("x".join(map(str, x.shape)) for x in (saved[variable.path], variable))
        raise ArchitectureError(f"layer {variable.path!r}: weights of {', needs '.join(shapes)}")
