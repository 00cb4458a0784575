"""The operators of a network's int8 LiteRT export, from its wiring alone: its RAM and its flash.

Phones and microcontrollers run a network operator by operator. A feature map takes memory from the
operator that writes it until the last one that reads it has run; the peak of the sum decides
whether the network fits (μNAS, arXiv:2010.14246; MCUNet, arXiv:2007.10319). Which operators there
are, and in which order they are written, is the converter's choice, so this module repeats it:

- batch normalization and ReLU are merged into a convolution whose output nothing else reads;
- swish is two operators, a normalization that stands alone a product and a sum;
- equal operators on one map are computed once;
- branches are written one after another, in the order of their first layers' names.

The export then moves operators where that lowers the peak
(:mod:`cnnsearch.architecture.execution_order`).

Tests compare the result with files that we write. Layer and group normalization, and activations
other than ReLU, swish and their kin, count as one operator.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from cnnsearch.architecture.device_ops import DeviceOps, Step
from cnnsearch.architecture.execution_order import Operator, reorder
from cnnsearch.blocks.ops import Shape

WEIGHTED: Final = ("conv", "depthwise_conv", "dense")
"""Operators that take in a constant factor, and a sum, by their weights and biases."""
RELUS: Final = ("relu", "relu6")
WITH_RELU: Final = (*WEIGHTED, "add", "multiply", "batch", "affine", "scale")
"""Operators that compute a ReLU too."""
NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("pad_far", "pad_channels"), "Pad"),
        "mirror_pad": "MirrorPad",
        "select": "GatherV2",
        "space_to_depth": "reshape",
    }
)
"""Names of operators that are no layers of a place."""
ZERO_POINT_BYTES: Final = 8
"""Of a channel; convolutions with as many channels share theirs, which are 0."""
FILE_BYTES, OPERATOR_BYTES = 1690, 78
MORE_BYTES: Final[Mapping[str, int]] = MappingProxyType(
    {
        **dict.fromkeys(WEIGHTED, 165),
        **dict.fromkeys(("factor", "term"), 65),
        **dict.fromkeys(("mul", "logistic"), 44),
        "concat": 199,
    }
)
"""Of a file, of each operator in it, and of some besides, without weights: what makes the largest
error over the files of ``benchmarks/devices/exports.csv`` smallest."""


@dataclass(frozen=True)
class DeviceNetwork:
    """What a device runs.

    Attributes:
        operators: in the order in which the converter writes them.
        weights: bytes.
    """

    operators: Sequence[Operator]
    weights: int

    @property
    def peak_bytes(self) -> int:
        """The largest sum of live maps in the order of the export, the image included."""
        return reorder(self.operators).peak

    @property
    def flash_bytes(self) -> int:
        """About the size of the file."""
        more = sum([MORE_BYTES.get(kind, 0) for kind, _, _ in self.operators])
        return FILE_BYTES + self.weights + len(self.operators[1:]) * OPERATOR_BYTES + more


def lower(op: DeviceOps, logits: Shape) -> DeviceNetwork:
    """Returns the operators that the converter makes of the steps that lead to ``logits``."""
    last = logits.step  # type: ignore[attr-defined]
    order = _sort(op.steps, _find_children(op.steps, last))
    lowering = _Lowering(op.steps, order)
    lowering.run(last)
    return DeviceNetwork(lowering.operators, lowering.weights)


def _find_children(steps: Sequence[Step], last: int) -> list[list[int]]:
    """Returns the steps that read each one, of those that ``last`` depends on."""
    children: list[list[int]] = [[] for _ in steps]
    for number in range(last, -1, -1):
        if number == last or children[number]:
            for read in steps[number][2]:
                after = children[read]
                if not after or after[-1] != number:  # it may read a map twice
                    after.append(number)
    return children


def _sort(steps: Sequence[Step], children: Sequence[Sequence[int]]) -> list[int]:
    """Returns the converter's order: reverse postorder, branches by name."""
    order: list[int] = []
    seen = bytearray(len(steps))
    stack = [0]
    while stack:
        number = stack.pop()
        if number < 0:
            order.append(~number)
        elif not seen[number]:
            seen[number] = 1
            stack.append(~number)
            after = children[number]
            stack += after if len(after) < 2 else sorted(after, key=lambda n: _name(steps[n]))
    return order[::-1]


def _name(step: Step) -> str:
    place, layer, number = step.name
    return NAMES.get(layer) or f"{place}.{layer}{'' if number == 1 else f'_{number}'}/"


class _Lowering:
    """Writes operators step by step.

    Args:
        steps: in wiring order.
        order: in which they run.
    """

    def __init__(self, steps: Sequence[Step], order: Sequence[int]) -> None:
        self.operators: list[Operator] = []
        self.weights = 0
        self._steps, self._order = steps, order
        self._first = self._find_first()
        self._readers: list[list[int]] = [[] for _ in steps]
        for number in order:
            if self._first[number] == number:
                for read in steps[number][2]:
                    self._readers[self._first[read]].append(number)
        self._made = [0] * len(steps)
        self._takes_relu = bytearray(len(steps))
        self._rules: Mapping[str, Callable[[int, Step, int], int]] = {
            "image": self._lower_image,
            "batch": self._lower_factor,
            "affine": self._lower_factor,
            "scale": self._lower_factor,
            "swish": self._lower_swish,
            "global_pool": self._lower_global_pool,
            "space_to_depth": self._lower_space_to_depth,
            "local_response_norm": self._lower_local_response_norm,
            "global_response": self._lower_global_response_norm,
        }

    def run(self, last: int) -> None:
        """Lowers all steps, and what follows the logits."""
        channels = set()
        for number in self._order:
            if self._first[number] == number:
                step = self._steps[number]
                self._made[number] = self._lower(number, step)
                self.weights += step[3]
                if step[0] in WEIGHTED:
                    channels.add(step[1] // step[5])
        self.weights += ZERO_POINT_BYTES * sum(channels)
        size = self._steps[last].size
        self._write("dequantize", 4 * size, self._write("softmax", size, self._made[last]))

    def _find_first(self) -> list[int]:
        """Returns the first of equal steps for each: the converter computes it once."""
        first = list(range(len(self._steps)))
        known: dict[object, int] = {}
        for number in self._order:
            kind, size, inputs, weights, _, _ = self._steps[number]
            if not weights:
                read = tuple([first[each] for each in inputs])
                first[number] = known.setdefault((kind, size, read), number)
        return first

    def _write(self, kind: str, size: int, *inputs: int) -> int:
        self.operators.append((kind, size, inputs))
        return len(self.operators) - 1

    def _lower(self, number: int, step: Step) -> int:
        kind, size, inputs, _, _, _ = step
        before = self._first[inputs[0]] if inputs else 0
        read = self._made[before]
        if kind == "flatten" or (
            kind in RELUS and self._takes_relu[before] and len(self._readers[before]) == 1
        ):
            return read
        self._takes_relu[number] = kind in WITH_RELU
        if rule := self._rules.get(kind):
            return rule(number, step, read)
        if len(inputs) == 1:
            return self._write(kind, size, read)
        return self._write(kind, size, *[self._made[self._first[each]] for each in inputs])

    def _lower_factor(self, number: int, step: Step, read: int) -> int:
        """Merges a factor, and a sum, into a convolution before it, if no ReLU is in between."""
        before = self._first[step.inputs[0]]
        if len(self._readers[before]) == 1 and self._steps[before].kind in WEIGHTED:
            return read
        if step.kind == "scale" and self._feeds_weights(number):
            return read
        found = self._write("factor", step.size, read)
        return self._write("term", step.size, found) if step.kind == "batch" else found

    def _feeds_weights(self, number: int) -> bool:
        """Whether only convolutions read a map: their weights absorb a factor before them."""
        return all(self._steps[each].kind in WEIGHTED for each in self._readers[number])

    def _lower_image(self, number: int, step: Step, read: int) -> int:
        """Scales and normalizes the pixels; the weights absorb the factor of a single channel."""
        found = self._write("input", step.size)
        is_grey = step.weights == 1 and self._feeds_weights(number)
        for kind in ("quantize", "mul", "sub", *([] if is_grey else ["mul"])):
            found = self._write(kind, step.size, found)
        return found

    def _lower_global_pool(self, number: int, step: Step, read: int) -> int:
        is_done = self._steps[step.inputs[0]].positions == 1
        return read if is_done else self._write(step.kind, step.size, read)

    def _lower_swish(self, number: int, step: Step, read: int) -> int:
        return self._write("mul", step.size, read, self._write("logistic", step.size, read))

    def _lower_space_to_depth(self, number: int, step: Step, read: int) -> int:
        for kind in ("reshape", "transpose", "reshape"):
            read = self._write(kind, step.size, read)
        return read

    def _square(self, read: int, size: int) -> int:
        """Squares a map in float."""
        wide = self._write("square", 4 * size, self._write("dequantize", 4 * size, read))
        return self._write("quantize", size, wide)

    def _lower_local_response_norm(self, number: int, step: Step, read: int) -> int:
        """Adds up the squares of five neighbouring channels, slices of a padded map."""
        size = step.size
        squares = self._write("pad", size + 4 * step.positions, self._square(read, size))
        total = self._write("slice", size, squares)
        for _ in range(4):
            total = self._write("add", size, total, self._write("slice", size, squares))
        total = self._write("add", size, self._write("mul", size, total))
        wide = self._write("pow", 4 * size, self._write("dequantize", 4 * size, total))
        return self._write("mul", size, read, self._write("quantize", size, wide))

    def _lower_global_response_norm(self, number: int, step: Step, read: int) -> int:
        size, channels = step.size, step.size // step.positions
        energy = self._write("sum", channels, self._square(read, size))
        energy = self._write("sqrt", channels, energy)
        mean = self._write("add", 1, self._write("mean", 1, energy))
        gate = self._write("div", channels, energy, mean)
        found = self._write("mul", size, self._write("mul", size, read, gate))
        return self._write("add", size, self._write("add", size, found), read)
