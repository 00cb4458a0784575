"""The base class of objectives."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    import numpy.typing as npt


class Objective(ABC):
    """What a search ranks candidates by: a metric of the validation split.

    Attributes:
        name: for ``--objective`` and ``run.json``.
        label: in words.
        direction: ``max`` if larger values are better, else ``min``.
        balanced: whether every class counts alike, however many images it has.
        quantized: whether it is computed once, from predictions of the best epoch in int8.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    direction: ClassVar[Literal["max", "min"]] = "max"
    balanced: ClassVar[bool] = False
    quantized: ClassVar[bool] = False

    @abstractmethod
    def compute(self, labels: "npt.NDArray[Any]", predictions: "npt.NDArray[Any]") -> float:
        """Computes the metric.

        Args:
            labels: true classes, int (N,), N at least 1.
            predictions: predicted classes, int (N,).

        Returns:
            A share in [0, 1], or a number that tables may show as a percentage.
        """

    @property
    def metric(self) -> str:
        """The key of its value among the metrics of an epoch and of a trial."""
        return f"val_{self.name}"

    @property
    def title(self) -> str:
        """Its name in a sentence."""
        return f"validation {self.label}"

    @property
    def heading(self) -> str:
        """Its name at the head of a column."""
        return f"val {self.label}"

    @property
    def per_epoch(self) -> "Objective":
        """The objective that is computed after each epoch, and by which the best one is chosen."""
        return self

    def check_installed(self) -> None:  # noqa: B027  (most need nothing)
        """Raises CnnsearchError with the pip command if something that it needs is missing."""

    def score(self, value: float) -> float:
        """Returns the score of a candidate, of which larger is always better."""
        return value if self.direction == "max" else -value
