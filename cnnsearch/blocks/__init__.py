"""Block families: what the stages of an architecture repeat.

Adding a family is one file beside this one and one line in :data:`FAMILIES`.
"""

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from cnnsearch.blocks.base import Block, Layer, Rounding
from cnnsearch.blocks.dense import Dense
from cnnsearch.blocks.inception import InceptionV1
from cnnsearch.blocks.layers import LAYERS, AnyLayer
from cnnsearch.blocks.ops import Activation, Ops, Shape, Style
from cnnsearch.blocks.plain import Plain
from cnnsearch.blocks.residual import Basic, Bottleneck
from cnnsearch.blocks.separable import Separable

FAMILIES: dict[str, tuple[type[Block], ...]] = {
    "plain": (Plain,),
    "inception": (InceptionV1,),
    "residual": (Basic, Bottleneck),
    "dense": (Dense,),
    "separable": (Separable,),
}

if TYPE_CHECKING:
    AnyBlock = Block
else:
    AnyBlock = Annotated[
        Union[tuple(block for family in FAMILIES.values() for block in family)],  # noqa: UP007
        Field(discriminator="type"),
    ]

__all__ = [
    "FAMILIES",
    "LAYERS",
    "Activation",
    "AnyBlock",
    "AnyLayer",
    "Block",
    "Layer",
    "Ops",
    "Rounding",
    "Shape",
    "Style",
]
