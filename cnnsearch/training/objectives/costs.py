"""Counted costs: objectives that are known before a candidate is trained."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class CountedCost:
    """A cost of a candidate; less is better.

    Attributes:
        name: for ``--objective``; that of the attribute of a trial that holds it.
        label: in words.
    """

    name: str
    label: str

    def read(self, counted: object) -> int | None:
        """Returns the cost of a trial or a feasibility; None where it cannot be counted."""
        cost: int | None = getattr(counted, self.name)
        return cost


COSTS: Final = (CountedCost("macs", "MACs"), CountedCost("params", "parameters"))
