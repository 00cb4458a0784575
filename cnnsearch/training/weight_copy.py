"""Copies weights between two Keras models of one function, whatever their layers are called.

Two builds of one network differ in names, in the order in which layers were made, in how a
separable convolution is split, in whether a 1x1 convolution is a dense layer. Their graphs of
weights are the same: both are walked from the output back to the input, and meet weight by weight.
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
    """One array of a model: the layer it belongs to, and what it does there."""

    layer: str
    role: str
    variable: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        return tuple(self.variable.shape)

    def __str__(self) -> str:
        return f"{self.layer!r} ({self.role} {'x'.join(map(str, self.shape))})"


def weights_in_order(model: keras.Model) -> list[Weight]:
    """Returns the weights on the way to a model's first output, in an order names have no part in.

    Deeper layers come first. Where branches are added or multiplied, the one with fewer weights
    behind it comes first; where they are concatenated, they come as they are concatenated.
    Preprocessing layers are left out.
    """
    behind = _counts(model.outputs[0])
    found: list[Weight] = []
    for tensor in _postorder(model.outputs[0], behind):
        found += _own(_operation(tensor))
    return found


def copy_weights(source: keras.Model, ours: keras.Model, *, head: bool = True) -> None:
    """Copies every weight of ``source`` into ``ours``, which computes the same function.

    Args:
        source: any functional model.
        ours: the model that is written to.
        head: whether the classifier, the last layer with weights, is copied too.

    Raises:
        ArchitectureError: the weights do not fit; names the first layer that differs. Nothing is
            copied then.
    """
    givers, takers = weights_in_order(source), weights_in_order(ours)
    if not head:
        givers, takers = _headless(givers), _headless(takers)
    for giver, taker in zip(givers, takers, strict=False):
        if not _fit(giver, taker):
            raise ArchitectureError(f"weights of {giver} do not fit layer {taker}")
    _same_number(givers, takers)
    for giver, taker in zip(givers, takers, strict=True):
        taker.variable.assign(giver.variable.numpy().reshape(taker.shape))


def _same_number(givers: Sequence[Weight], takers: Sequence[Weight]) -> None:
    if len(givers) > len(takers):
        raise ArchitectureError(f"there is no layer for the weights of {givers[len(takers)]}")
    if len(givers) < len(takers):
        raise ArchitectureError(f"there are no weights for layer {takers[len(givers)]}")


def _fit(giver: Weight, taker: Weight) -> bool:
    """Whether one array can be the other: the same but for sides of 1, and in the same role."""
    sizes = [[side for side in weight.shape if side > 1] for weight in (giver, taker)]
    roles = {giver.role, taker.role} - {"weight"}
    return sizes[0] == sizes[1] and len(roles) <= 1


def _headless(weights: list[Weight]) -> list[Weight]:
    return [weight for weight in weights if weight.layer != weights[-1].layer]


def _operation(tensor: Tensor) -> Any:
    return tensor._keras_history.operation


def _inputs(tensor: Tensor) -> list[Tensor]:
    operation, index, _ = tensor._keras_history
    return list(operation._inbound_nodes[index].input_tensors)


def _own(operation: Any) -> list[Weight]:
    """The weights of one operation; those of a nested model, layer by layer."""
    if isinstance(operation, keras.Model):
        return [weight for layer in operation.layers for weight in _own(layer)]
    if isinstance(operation, PREPROCESSING):
        return []
    variables = getattr(operation, "weights", [])
    kept = [v for v in variables if "seed" not in v.path]  # a dropout's random state
    return [Weight(operation.name, _role(v.name), v) for v in kept]


def _role(name: str) -> str:
    if "kernel" in name:
        return "kernel"
    return name if name in ROLES else "weight"


def _counts(output: Tensor) -> dict[int, int]:
    """How many weights lie behind each tensor, by its id; a weight shared by branches counts once.

    The sets are the bits of whole numbers: a union is one operation.
    """
    masks: dict[int, int] = {}
    bits = 0
    for tensor in _postorder(output):
        number = len(_own(_operation(tensor)))
        masks[id(tensor)] = ((1 << number) - 1) << bits
        bits += number
        for parent in _inputs(tensor):
            masks[id(tensor)] |= masks[id(parent)]
    return {key: mask.bit_count() for key, mask in masks.items()}


def _postorder(output: Tensor, behind: dict[int, int] | None = None) -> Iterator[Tensor]:
    """Yields tensors, inputs before what is made of them; without recursion, networks are deep."""
    seen: set[int] = set()
    stack = [(output, False)]
    while stack:
        tensor, ready = stack.pop()
        if ready:
            yield tensor
        elif id(tensor) not in seen:
            seen.add(id(tensor))
            stack.append((tensor, True))
            parents = _inputs(tensor)
            if behind and type(_operation(tensor)).__name__ in COMMUTATIVE:
                parents.sort(key=lambda parent: behind[id(parent)])
            stack += [(parent, False) for parent in reversed(parents)]
