"""Block families and single layers.

In: a width, a stride, an interpreter of ``Ops``. Out: the wiring of one block behind a feature map.
Adding a family is one file beside this one and one line in :data:`FAMILIES`.
"""

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from cnnsearch.blocks.base import Block, Layer, Rounding
from cnnsearch.blocks.cells import Cell
from cnnsearch.blocks.convmixer import ConvMixer
from cnnsearch.blocks.convnext import ConvNeXt
from cnnsearch.blocks.convnext_v2 import ConvNeXtV2
from cnnsearch.blocks.darknet import CrossStage, Darknet
from cnnsearch.blocks.dense import Dense
from cnnsearch.blocks.fasternet import FasterNet
from cnnsearch.blocks.fire import Fire
from cnnsearch.blocks.fractal import Fractal
from cnnsearch.blocks.fused import FusedMBConv
from cnnsearch.blocks.ghost import Ghost
from cnnsearch.blocks.inception import (
    InceptionFactorized,
    InceptionNaive,
    InceptionResidual,
    InceptionV1,
    InceptionV2,
    Parallel,
)
from cnnsearch.blocks.inception_next import InceptionNeXt
from cnnsearch.blocks.inverted import InvertedResidual, MBConv
from cnnsearch.blocks.layers import LAYERS, AnyLayer
from cnnsearch.blocks.ops import Activation, Ops, Shape, Style
from cnnsearch.blocks.plain import Plain
from cnnsearch.blocks.regnet import RegNet
from cnnsearch.blocks.repvgg import MobileOne, RepVGG
from cnnsearch.blocks.res2net import Res2Net
from cnnsearch.blocks.residual import Basic, Bottleneck, PreactBasic, PreactBottleneck
from cnnsearch.blocks.separable import Separable
from cnnsearch.blocks.shuffle import ShuffleV2
from cnnsearch.blocks.starnet import StarNet
from cnnsearch.blocks.universal import UniversalInverted
from cnnsearch.blocks.xception import Xception

FAMILIES: dict[str, tuple[type[Block], ...]] = {
    "plain": (Plain,),
    "inception": (
        InceptionV1,
        InceptionNaive,
        InceptionV2,
        InceptionFactorized,
        InceptionResidual,
        Parallel,
    ),
    "residual": (Basic, Bottleneck, PreactBasic, PreactBottleneck),
    "dense": (Dense,),
    "separable": (Separable,),
    "inverted": (InvertedResidual, MBConv, FusedMBConv, UniversalInverted),
    "xception": (Xception,),
    "fire": (Fire,),
    "fractal": (Fractal,),
    "convnext": (ConvNeXt, ConvNeXtV2),
    "cells": (Cell,),
    "darknet": (Darknet, CrossStage),
    "res2net": (Res2Net,),
    "repvgg": (RepVGG, MobileOne),
    "convmixer": (ConvMixer,),
    "fasternet": (FasterNet,),
    "inception_next": (InceptionNeXt,),
    "starnet": (StarNet,),
    "regnet": (RegNet,),
    "shuffle": (ShuffleV2,),
    "ghost": (Ghost,),
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
