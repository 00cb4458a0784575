"""Multiply-accumulates of convolution and dense layers for one image, and the FLOPs they make."""

from typing import ClassVar

from cnnsearch.architecture.costs.base import CostKind


class Macs(CostKind):
    """Multiply-accumulates; what most papers print as FLOPs."""

    name: ClassVar[str] = "macs"
    key: ClassVar[str] = "macs"
    label: ClassVar[str] = "MACs"
    heading: ClassVar[str] = "MACs"
    title: ClassVar[str] = "multiply-accumulates per image"
    description: ClassVar[str] = "Largest number of multiply-accumulates per image: 50M, 1.5G."
    is_basic: ClassVar[bool] = True


class Flops(CostKind):
    """Floating-point operations: 2 * MACs, so a bound on MACs bounds them too."""

    name: ClassVar[str] = "flops"
    key: ClassVar[str] = "flops"
    label: ClassVar[str] = "FLOPs"
    heading: ClassVar[str] = "FLOPs"
    title: ClassVar[str] = "floating-point operations per image"
    has_budget: ClassVar[bool] = False
    is_derived: ClassVar[bool] = True
    is_basic: ClassVar[bool] = True

    def read(self, counted: object) -> float | None:
        macs = Macs().read(counted)
        return None if macs is None else 2 * macs
