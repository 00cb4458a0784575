"""Copies weights between two Keras models of the same function, whatever their layers' names.

Two builds of one network differ in names, in the order of creation, in whether a separable
convolution is one layer or two, in whether a 1x1 convolution is a dense layer. The graphs of their
weights are the same: walked from the output back to the input, both list the weights in one order.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras

from cnnsearch.errors import ArchitectureError

COMMUTATIVE = ("Add", "Average", "Multiply", "CustomScaleLayer", "MeanWithDropPath")
PREPROCESSING = (keras.layers.Normalization, keras.layers.Rescaling, keras.layers.Resizing)
ROLES = ("bias", "gamma", "beta", "moving_mean", "moving_variance")
Tensor = Any


class Weight(NamedTuple):
    """One array of a model, with its layer and its role there."""

    layer: str
    role: str
    variable: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        return tuple(self.variable.shape)

    def __str__(self) -> str:
        return f"{self.layer!r} ({self.role} {'x'.join(map(str, self.shape))})"


def list_weights(model: keras.Model) -> list[Weight]:
    """Returns the weights of a model's first output, in an order that does not depend on names.

    Layers near the input come first. Of branches that are added or multiplied, the one with fewer
    weights comes first; concatenated branches keep their order. Preprocessing is left out.
    """
    behind = _count_weights(model.outputs[0])
    found: list[Weight] = []
    for tensor in _iterate_tensors(model.outputs[0], behind):
        found += _list_own(_get_operation(tensor))
    return found


def copy_weights(source: keras.Model, target: keras.Model, *, head: bool = True) -> None:
    """Copies every weight of ``source`` to ``target``, which computes the same function.

    Args:
        source: any functional model.
        target: the model to write to.
        head: whether to copy the classifier, the last layer with weights, too.

    Raises:
        ArchitectureError: the weights do not fit; names the first layer that differs. Nothing has
            been copied then.
    """
    givers, takers = list_weights(source), list_weights(target)
    if not head:
        givers, takers = _drop_head(givers), _drop_head(takers)
    for giver, taker in zip(givers, takers, strict=False):
        if not _fits(giver, taker):
            raise ArchitectureError(f"weights of {giver} do not fit layer {taker}")
    _check_counts(givers, takers)
    for giver, taker in zip(givers, takers, strict=True):
        taker.variable.assign(giver.variable.numpy().reshape(taker.shape))


def _check_counts(givers: Sequence[Weight], takers: Sequence[Weight]) -> None:
    if len(givers) > len(takers):
        raise ArchitectureError(f"there is no layer for the weights of {givers[len(takers)]}")
    if len(givers) < len(takers):
        raise ArchitectureError(f"there are no weights for layer {takers[len(givers)]}")


def _fits(giver: Weight, taker: Weight) -> bool:
    """Whether shapes agree but for sides of 1, and roles agree where both are known."""
    sizes = [[side for side in weight.shape if side > 1] for weight in (giver, taker)]
    roles = {giver.role, taker.role} - {"weight"}
    return sizes[0] == sizes[1] and len(roles) <= 1


def _drop_head(weights: list[Weight]) -> list[Weight]:
    return [weight for weight in weights if weight.layer != weights[-1].layer]


def _get_operation(tensor: Tensor) -> Any:
    return tensor._keras_history.operation


def _list_inputs(tensor: Tensor) -> list[Tensor]:
    operation, index, _ = tensor._keras_history
    return list(operation._inbound_nodes[index].input_tensors)


def _list_own(operation: Any) -> list[Weight]:
    """Returns the weights of one operation; of a nested model, layer by layer."""
    if isinstance(operation, keras.Model):
        return [weight for layer in operation.layers for weight in _list_own(layer)]
    if isinstance(operation, PREPROCESSING):
        return []
    variables = getattr(operation, "weights", [])
    kept = [v for v in variables if "seed" not in v.path]  # a dropout's random state
    return [Weight(operation.name, _find_role(v.name), v) for v in kept]


def _find_role(name: str) -> str:
    if "kernel" in name:
        return "kernel"
    return name if name in ROLES else "weight"


def _count_weights(output: Tensor) -> dict[int, int]:
    """Counts the weights that each tensor, by its id, depends on; shared ones count once.

    Sets of weights are bits of an integer, so that a union is one operation.
    """
    masks: dict[int, int] = {}
    bits = 0
    for tensor in _iterate_tensors(output):
        number = len(_list_own(_get_operation(tensor)))
        masks[id(tensor)] = ((1 << number) - 1) << bits
        bits += number
        for parent in _list_inputs(tensor):
            masks[id(tensor)] |= masks[id(parent)]
    return {key: mask.bit_count() for key, mask in masks.items()}


def _iterate_tensors(output: Tensor, behind: dict[int, int] | None = None) -> Iterator[Tensor]:
    """Yields tensors, each after its inputs; without recursion, because networks are deep."""
    seen: set[int] = set()
    stack = [(output, False)]
    while stack:
        tensor, ready = stack.pop()
        if ready:
            yield tensor
        elif id(tensor) not in seen:
            seen.add(id(tensor))
            stack.append((tensor, True))
            parents = _list_inputs(tensor)
            if behind and type(_get_operation(tensor)).__name__ in COMMUTATIVE:
                parents.sort(key=lambda parent: behind[id(parent)])
            stack += [(parent, False) for parent in reversed(parents)]
