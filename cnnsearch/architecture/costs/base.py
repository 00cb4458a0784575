"""The base class of costs."""

import re
from abc import ABC
from typing import ClassVar

from cnnsearch.utils.units import format_amount, parse_amount, parse_size


class CostKind(ABC):
    """One cost of a network: what it is called, its unit, and where its amount is found.

    Every cost is shown in JSON and MLflow under its ``key``. One that ``has_budget`` can also be
    bounded (``--max-NAME``, see :class:`cnnsearch.architecture.cost.Budget`), be an objective
    beside a metric, and span a Pareto front.

    Attributes:
        name: for ``--max-NAME``, ``--objective`` and ``--against``.
        key: the attribute of a counted cost and of a trial that holds it; in JSON and MLflow too.
        label: in a sentence, behind the amount: ``parameters``.
        heading: of a column.
        title: of an axis.
        description: of the setting that bounds it.
        value: what that setting expects, for ``--help``.
        has_budget: whether it can be bounded.
        is_basic: whether every table shows it; otherwise only tables of searches that bound it or
            have it as an objective.
        is_measured: whether it cannot be counted: predicted at best before a candidate is built.
        is_derived: whether it follows from another one: narrow tables leave it out.
        of_device: whether it is counted on the operators of the export, which takes longer.
    """

    name: ClassVar[str]
    key: ClassVar[str]
    label: ClassVar[str]
    heading: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str] = ""
    value: ClassVar[str] = "COUNT"
    has_budget: ClassVar[bool] = True
    is_basic: ClassVar[bool] = False
    is_measured: ClassVar[bool] = False
    is_derived: ClassVar[bool] = False
    of_device: ClassVar[bool] = False

    @property
    def budget(self) -> str:
        """The key of the setting that bounds it."""
        return f"max_{self.name}"

    def read(self, counted: object) -> float | None:
        """Returns the cost of a count or a trial; None where it is not known."""
        found: float | None = getattr(counted, self.key, None)
        return found

    def parse(self, text: str | float, flag: str) -> float:
        """Parses an amount.

        Args:
            text: such as ``300K``.
            flag: for messages.

        Raises:
            BudgetError: the text is no such amount, or not positive.
        """
        return parse_amount(text, flag)

    def format(self, amount: float | None) -> str:
        """Formats an amount for a table."""
        return format_amount(None if amount is None else round(amount))

    def name_tick(self, amount: float) -> str:
        """Formats a round amount for an axis: ``1M``, without the zeros that a table needs."""
        text = format_amount(round(amount))
        return re.sub(r"\.?0+(?=[KMG]$)", "", text) if "." in text else text

    def describe(self, amount: float | None) -> str:
        """Formats an amount for a sentence: ``82.1K parameters``."""
        return f"{self.format(amount)} {self.label}"

    def describe_exactly(self, amount: float) -> str:
        """Formats every digit of an amount for a sentence: ``82,123 parameters``."""
        return f"{round(amount):,} {self.label}"


class MemoryKind(CostKind):
    """A cost in bytes, which may be given in binary units too."""

    value: ClassVar[str] = "SIZE"
    of_device: ClassVar[bool] = True

    def parse(self, text: str | float, flag: str) -> float:
        return parse_size(text, flag)
