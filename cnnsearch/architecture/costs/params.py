"""Trainable parameters."""

from typing import ClassVar

from cnnsearch.architecture.costs.base import CostKind


class Params(CostKind):
    """Kernels, biases, normalization's gamma and beta."""

    name: ClassVar[str] = "params"
    key: ClassVar[str] = "params"
    label: ClassVar[str] = "parameters"
    heading: ClassVar[str] = "params"
    title: ClassVar[str] = "parameters"
    description: ClassVar[str] = "Largest number of parameters: 300K, 1M."
    is_basic: ClassVar[bool] = True
