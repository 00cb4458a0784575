"""A trial's model starts from trained weights, all but the classifier; which of them move."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cnnsearch.errors import ArchitectureError, RunError
from cnnsearch.training import checkpoint
from cnnsearch.training.messages import Pretrained

HEAD, AUXILIARY = "head", "auxiliary"
"""What the names of layers in a head begin with."""


def start_from(pretrained: Pretrained, model: Any) -> None:
    """Gives a model the weights to start from.

    The classifier stays as it is, at random. So do a head's other dense layers if the images' size
    gives them other shapes (VGG).

    Args:
        pretrained: the weights, of the same network at any number of classes.
        model: as :func:`cnnsearch.training.model.build` built it.

    Raises:
        RunError: there is no such file.
        ArchitectureError: the weights do not fit; names the first layer that differs.
    """
    saved = _read(pretrained.weights)
    weighted = [layer for layer in model.layers if layer.weights]
    for variable in _variables(x for x in weighted if not x.name.startswith((HEAD, AUXILIARY))):
        _check(variable, saved)
        variable.assign(saved[variable.path])
    inner = list(_variables([x for x in weighted if x.name.startswith(HEAD)][:-1]))
    if all(_fits(variable, saved) for variable in inner):
        for variable in inner:
            variable.assign(saved[variable.path])


def train_only(model: Any, what: str) -> None:
    """Lets the weights move that ``what`` names, and no others.

    Args:
        model: as :func:`cnnsearch.training.model.build` built it.
        what: ``all``, ``head``, or ``norms``: scale and offset of normalization, and the head.

    Raises:
        ArchitectureError: there is nothing of that kind to train.
    """
    if what == "head":
        freeze_body(model)
        return
    for layer in model.layers:
        layer.trainable = what == "all" or _is_norm(layer) or layer.name.startswith(HEAD)
    if what == "norms" and not any(_is_norm(layer) for layer in model.layers):
        raise ArchitectureError(f"model {model.name!r} has no normalization that could be trained")


def _is_norm(layer: Any) -> bool:
    kind = type(layer).__name__
    return kind.endswith("Normalization") and bool(layer.weights) and kind != "Normalization"


def freeze_body(model: Any) -> None:
    """Makes every layer but the head's untrainable; batch normalization then keeps its statistics.

    Raises:
        ArchitectureError: the model has no layers in a head.
    """
    if not any(layer.name.startswith(HEAD) and layer.weights for layer in model.layers):
        raise ArchitectureError(f"model {model.name!r} has no head that could be trained alone")
    for layer in model.layers:
        layer.trainable = layer.name.startswith(HEAD)


def _read(path: Path) -> dict[str, Any]:
    found = checkpoint.read(path)
    if found is None:
        raise RunError(f"{path}: there are no weights")
    return dict(zip(found.header["paths"], found.arrays, strict=True))


def _variables(layers: Iterable[Any]) -> Iterable[Any]:
    return (variable for layer in layers for variable in layer.weights)


def _fits(variable: Any, saved: dict[str, Any]) -> bool:
    return variable.path in saved and saved[variable.path].shape == tuple(variable.shape)


def _check(variable: Any, saved: dict[str, Any]) -> None:
    if variable.path not in saved:
        raise ArchitectureError(f"there are no weights for layer {variable.path!r}")
    if not _fits(variable, saved):
        shapes = ("x".join(map(str, x.shape)) for x in (saved[variable.path], variable))
        raise ArchitectureError(f"layer {variable.path!r}: weights of {', needs '.join(shapes)}")
