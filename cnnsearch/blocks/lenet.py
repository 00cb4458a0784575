"""The two layers that only LeNet-5 has."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt

from cnnsearch.blocks.node import Layer
from cnnsearch.blocks.ops import Activation, Ops, T


class Subsample(Layer):
    """Mean over windows, then one learned coefficient and bias a map (LeCun et al., 1998, S2).

    Attributes:
        size: side and stride of the windows.
        activation: what follows; None: the style's.
    """

    type: Literal["subsample"] = "subsample"
    size: Annotated[int, Field(gt=0)] = 2
    activation: Activation | None = None

    def wire(self, op: Ops[T], x: T) -> T:
        y = op.affine(op.pool(x, "avg", self.size, self.size, "valid"), bias=True)
        return op.activate(y, self.activation)


class TableConv(Layer):
    """One filter a subset of the input's maps (LeCun et al., 1998, C3 and table I).

    Attributes:
        table: for each output map, the numbers of the input maps it is connected to.
        kernel: side of the filters.
    """

    type: Literal["table_conv"] = "table_conv"
    table: Annotated[
        tuple[Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)], ...], Field(min_length=1)
    ]
    kernel: Annotated[int, Field(gt=0, le=64)] = 5

    def wire(self, op: Ops[T], x: T) -> T:
        maps = [
            op.conv(op.select(x, subset), 1, self.kernel, padding="valid") for subset in self.table
        ]
        return op.concat(maps)
