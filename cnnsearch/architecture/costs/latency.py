"""Latency of one image on a device."""

import math
import re
from typing import ClassVar

from cnnsearch.architecture.costs.base import CostKind
from cnnsearch.errors import BudgetError
from cnnsearch.utils.units import format_milliseconds

_TIME = re.compile(r"\s*(\d+(?:\.\d*)?)\s*(ms|us|s)\s*")
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


class Latency(CostKind):
    """Milliseconds from image to probabilities, measured; a candidate's is predicted until then."""

    name: ClassVar[str] = "latency"
    key: ClassVar[str] = "latency_ms"
    label: ClassVar[str] = "latency"
    heading: ClassVar[str] = "latency"
    title: ClassVar[str] = "latency (ms)"
    description: ClassVar[str] = "Longest LiteRT inference of one image on this machine: 2ms."
    value: ClassVar[str] = "TIME"
    is_measured: ClassVar[bool] = True

    def parse(self, text: str | float, flag: str) -> float:
        match = _TIME.fullmatch(f"{text} ms" if isinstance(text, int | float) else text)
        amount = float(match[1]) * _UNITS[match[2]] if match else math.nan
        if not 0 < amount < math.inf:
            raise BudgetError(f"{flag}: expected a time such as 2ms, 500us or 0.1s, got {text!r}")
        return amount

    def format(self, amount: float | None) -> str:
        return "-" if amount is None else format_milliseconds(amount)

    def name_tick(self, amount: float) -> str:
        return f"{amount:g}"

    def describe_exactly(self, amount: float) -> str:
        return self.describe(amount)
