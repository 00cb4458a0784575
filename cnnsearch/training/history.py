"""The history of a training, and its best epoch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from cnnsearch.training.objectives import DEFAULT_OBJECTIVE, find_objective

Metrics = dict[str, float]


class Epoch(NamedTuple):
    """A trained epoch.

    Attributes:
        number: from 1.
        metrics: of training and validation.
        replayed: whether an earlier session trained it.
        activities: seconds by activity since the epoch before; empty if replayed.
        age: seconds since its end; training has gone on while its checkpoint was written.
    """

    number: int
    metrics: Metrics
    replayed: bool
    activities: Mapping[str, float]
    age: float = 0.0


@dataclass
class Progress:
    """The progress of a training; the attributes' names are keys of the checkpoint's header.

    Attributes:
        epoch: the last one trained, counted from 1.
        initial_epoch: epochs that the trial it continues had trained.
        best_epoch: by the objective, then by validation loss; the last one if nothing is held out
            for validation; 0: none yet.
        seconds: spent so far.
        history: metrics of each epoch of this trial.
        objective: name of one of :data:`cnnsearch.training.objectives.OBJECTIVES`.
        begun: first epoch of the current schedule: later than 1 once all weights are trainable.
    """

    epoch: int
    initial_epoch: int
    best_epoch: int = 0
    seconds: float = 0.0
    history: dict[int, Metrics] = field(default_factory=dict)
    objective: str = DEFAULT_OBJECTIVE
    begun: int = 1

    def record_epoch(self, epoch: int, metrics: Metrics) -> None:
        """Adds the metrics of an epoch and updates the best one."""
        self.history[epoch], self.epoch = metrics, epoch
        best = self.history.get(self.best_epoch)
        held_out = find_objective(self.objective).per_epoch.metric in metrics
        if best is None or not held_out or self._rank(metrics) > self._rank(best):
            self.best_epoch = epoch

    def _rank(self, metrics: Metrics) -> tuple[float, float]:
        objective = find_objective(self.objective).per_epoch
        return objective.score(metrics[objective.metric]), -metrics["val_loss"]

    def to_data(self) -> dict[str, Any]:
        """Returns plain data for JSON, whose keys cannot be integers."""
        return {**vars(self), "history": [[e, m] for e, m in self.history.items()]}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Reads the output of :meth:`to_data`."""
        return cls(**{**data, "history": {epoch: metrics for epoch, metrics in data["history"]}})
