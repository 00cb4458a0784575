"""Cells of two inputs: NASNet, AmoebaNet, PNASNet; what is searched is the cell itself."""

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, model_validator

from cnnsearch.blocks.base import Block, require_width
from cnnsearch.blocks.cell_operations import (
    Operation,
    Step,
    activate_first,
    adjust_size,
    apply_operation,
)
from cnnsearch.blocks.ops import Ops, T
from cnnsearch.errors import ArchitectureError


class Sum(BaseModel):
    """One node of a cell: two earlier states, an operation on each, added up.

    Attributes:
        inputs: states: 0 is the cell before the previous one, 1 the previous one, 2 the first node.
        ops: what is applied to either. Separable convolutions are two, one behind the other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    inputs: tuple[NonNegativeInt, NonNegativeInt]
    ops: tuple[Operation, Operation]


NASNET_A: Final = (
    Sum(inputs=(1, 0), ops=("separable_5x5", "separable_3x3")),
    Sum(inputs=(0, 0), ops=("separable_5x5", "separable_3x3")),
    Sum(inputs=(1, 0), ops=("avg_pool_3x3", "identity")),
    Sum(inputs=(0, 0), ops=("avg_pool_3x3", "avg_pool_3x3")),
    Sum(inputs=(1, 1), ops=("separable_3x3", "identity")),
)


class Cell(Block):
    """A cell of sums that reads the two cells before it (Zoph et al., arXiv:1707.07012, fig. 2).

    Both inputs are brought to the stage's width by 1x1 convolutions; only operations on inputs
    stride. The output is as wide as all states that are concatenated. What leads to AmoebaNet
    (arXiv:1802.01548) and PNASNet (arXiv:1712.00559) are other nodes. Some node has to read state
    1: nothing else is sure to read the cell before.

    Attributes:
        nodes: the sums, each of states before it; by default NASNet-A's normal cell.
        output: states that are concatenated; None: the nodes that no other reads.
        skip: the next cell reads this one's first input instead of its second (NASNet-A Large).
        zero_padding: zeros beyond the edges count in pooling that strides (keras.applications).
    """

    family: ClassVar[str] = "cells"

    type: Literal["cell"] = "cell"
    nodes: Annotated[tuple[Sum, ...], Field(min_length=1, max_length=32)] = NASNET_A
    output: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)] | None = None
    skip: bool = False
    zero_padding: bool = False

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        for i, node in enumerate(self.nodes):
            if max(node.inputs) > i + 1:
                raise ValueError(f"node {i} reads state {max(node.inputs)}, which is not before it")
        if self.output and max(self.output) > len(self.nodes) + 1:
            raise ValueError(f"there is no state {max(self.output)}")
        return self

    @property
    def keeps_previous(self) -> bool:
        return self.skip

    def wire(self, op: Ops[T], x: T, width: int | None, stride: int) -> T:
        return self.wire_pair(op, x, None, width, stride)

    def wire_pair(self, op: Ops[T], x: T, previous: T | None, width: int | None, stride: int) -> T:
        step = Step(require_width(self, width), stride, self.zero_padding)
        output = self._list_output()
        needed = self._find_needed(output)
        states: dict[int, T] = {}
        if 0 in needed:
            states[0] = x if previous is None else adjust_size(op, previous, x, step.filters)
        if 1 not in needed and previous is not None and states.get(0) is not x:
            raise ArchitectureError(
                "no node that reaches the output reads state 1, the cell before"
            )
        if 1 in needed:
            states[1] = activate_first(op, x, step.filters, 1)
        for number, node in enumerate(self.nodes, start=2):
            if number in needed:
                states[number] = self._wire_node(op, node, states, step)
        return op.concat([self._bring(op, states[i], i, step) for i in output])

    def _wire_node(self, op: Ops[T], node: Sum, states: dict[int, T], step: Step) -> T:
        inside = step._replace(stride=1)
        return op.add(
            [
                apply_operation(op, name, states[i], step if i < 2 else inside)
                for i, name in zip(node.inputs, node.ops, strict=True)
            ]
        )

    def _list_output(self) -> tuple[int, ...]:
        read = {i for node in self.nodes for i in node.inputs}
        return self.output or tuple(i for i in range(2, len(self.nodes) + 2) if i not in read)

    def _find_needed(self, output: tuple[int, ...]) -> set[int]:
        """States that reach the output; the others are not wired."""
        needed = set(output)
        for number in range(len(self.nodes) + 1, 1, -1):
            if number in needed:
                needed.update(self.nodes[number - 2].inputs)
        return needed

    def _bring(self, op: Ops[T], state: T, index: int, step: Step) -> T:
        """A state as it leaves the cell: inputs that a cell puts out have to shrink as well."""
        if index > 1 or step.stride == 1:
            return state
        return apply_operation(op, "identity", state, step)
