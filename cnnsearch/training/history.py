"""What a training has come to: its history, and which epoch was the best."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from cnnsearch.training.objectives import DEFAULT_OBJECTIVE, find_objective

Metrics = dict[str, float]


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        epoch: the last one trained, counted from 1.
        initial_epoch: epochs that the trial it continues had trained.
        best_epoch: by the objective on the validation split, and by validation loss among equals;
            the last one where nothing is held out for validation; 0: none yet.
        seconds: spent so far.
        history: metrics of each epoch of this trial.
        objective: name of one of :data:`cnnsearch.training.objectives.OBJECTIVES`.
        begun: epoch at which the schedule in force began: later than 1 once all weights move.
    """

    epoch: int
    initial_epoch: int
    best_epoch: int = 0
    seconds: float = 0.0
    history: dict[int, Metrics] = field(default_factory=dict)
    objective: str = DEFAULT_OBJECTIVE
    begun: int = 1

    def note(self, epoch: int, metrics: Metrics) -> None:
        """Adds an epoch."""
        self.history[epoch], self.epoch = metrics, epoch
        best = self.history.get(self.best_epoch)
        objective = find_objective(self.objective)

        def rank(metrics: Metrics) -> tuple[float, float]:
            return objective.score(metrics[objective.metric]), -metrics["val_loss"]

        if best is None or objective.metric not in metrics or rank(metrics) > rank(best):
            self.best_epoch = epoch

    def to_data(self) -> dict[str, Any]:
        """Returns plain data for JSON."""
        return {**vars(self), "history": [[e, m] for e, m in self.history.items()]}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Reads what :meth:`to_data` gave."""
        return cls(**{**data, "history": {epoch: metrics for epoch, metrics in data["history"]}})
