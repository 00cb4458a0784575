"""Messages between the driver and a trial's process: plain, picklable data."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.data.dataset import Dataset
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.latency import LatencyTask
from cnnsearch.training.objectives import DEFAULT_OBJECTIVE, find_objective

FailureKind = Literal["nan", "out_of_memory", "crash", "timeout", "over_budget"]


class CandidateFailure(Exception):
    """A candidate that cannot be trained: a result of the search, not an error in cnnsearch.

    Args:
        kind: of failure.
        reason: one line for the user.
    """

    def __init__(self, kind: FailureKind, reason: str) -> None:
        super().__init__(kind, reason)
        self.kind, self.reason = kind, reason

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"


def check_finite(loss: float, name: str, epoch: int) -> float:
    """Returns a loss.

    Raises:
        CandidateFailure: it is NaN or infinite.
    """
    if not math.isfinite(loss):
        raise CandidateFailure("nan", f"the {name} became {loss} in epoch {epoch}")
    return loss


@dataclass(frozen=True)
class Measurement:
    """The result of a training. Metrics are those of the best epoch, whose weights are kept.

    Attributes:
        validation: metrics of the whole validation split by key: ``val_loss``, the mean
            cross-entropy in nats, and that of each objective; empty: nothing was held out.
        accuracy: on the augmented training batches of that epoch, while the weights moved.
        loss: what was minimized, in that epoch: smoothing and auxiliary heads included.
        epochs: the last epoch trained; early stopping makes it smaller than requested.
        initial_epoch: epochs that an earlier trial had already trained.
        best_epoch: counted from 1.
        steps: steps per epoch.
        batch_norm_momentum: of the moving statistics.
        seconds: building, tracing, training and evaluating, in all sessions.
        peak_memory_mb: largest resident memory of the process, in MiB.
        params_trained: weights that were trainable in the first epoch.
        latency_ms: measured before the training; None: it was not.
    """

    validation: Mapping[str, float]
    accuracy: float
    loss: float
    epochs: int
    initial_epoch: int
    best_epoch: int
    steps: int
    batch_norm_momentum: float
    seconds: float
    peak_memory_mb: float
    params_trained: int | None = None
    latency_ms: float | None = None

    @property
    def metrics(self) -> dict[str, float]:
        """All metrics by key, as the run's database and MLflow store them."""
        own = {name: value for name, value in vars(self).items() if value is not None}
        return {**own.pop("validation"), **own}

    @property
    def val_accuracy(self) -> float | None:
        """Accuracy on the validation split, in [0, 1]; None: nothing was held out."""
        return self.validation.get("val_accuracy")

    def score(self, objective: str = DEFAULT_OBJECTIVE) -> float:
        """Returns what a search ranks by; the training accuracy if nothing was held out."""
        chosen = find_objective(objective)
        value = self.validation.get(chosen.metric)
        return self.accuracy if value is None else chosen.score(value)


@dataclass(frozen=True)
class Pretrained:
    """Pretrained weights that a candidate starts from.

    Attributes:
        weights: file of :func:`cnnsearch.training.checkpoint.save_weights`.
        mean: per channel, of pixels scaled to [0, 1], that the weights were trained with.
        std: per channel, likewise.
        freeze: whether only the head is trained.
        digest: of the weights; features of a frozen body are cached under it.
        cache: folder for such features; None: they are not cached.
    """

    weights: Path
    mean: tuple[float, ...]
    std: tuple[float, ...]
    freeze: bool
    digest: str = ""
    cache: Path | None = None


@dataclass(frozen=True)
class TrialTask:
    """One training; pickled, it is what a worker process receives.

    Attributes:
        trial_id: the oracle's name for it.
        architecture: of the dataset's classes; the model resizes images to its input size.
        recipe: how to train.
        dataset: only train and validation splits are read.
        directory: for checkpoints and the log; a checkpoint found there is resumed.
        epochs: the last epoch to train, counted from 1; the schedule ends there.
        initial_epoch: epochs already trained by the trial that this one continues.
        seed: of weights, batch order, augmentation and dropout; on CPUs it determines every number.
        continues: directory of a trial whose weights and optimizer state this one starts from.
        pretrained: weights to start from; None: random initialization.
        objective: chooses the best epoch.
        class_weights: of each class in the loss; empty: all 1.
        accumulate: micro-batches per step, whose gradients are averaged; more than 1 after the
            whole batch ran out of memory.
        attempt: counted from 1; retries after a failure increase it.
        latency: what is measured before the training; None: nothing.
    """

    trial_id: str
    architecture: Architecture
    recipe: TrainingRecipe
    dataset: Dataset
    directory: Path
    epochs: int
    initial_epoch: int = 0
    seed: int = 0
    continues: Path | None = None
    pretrained: Pretrained | None = None
    objective: str = DEFAULT_OBJECTIVE
    class_weights: tuple[float, ...] = ()
    accumulate: int = 1
    attempt: int = 1
    latency: LatencyTask | None = None


@dataclass(frozen=True)
class EpochEnd:
    """An epoch was trained and evaluated.

    Attributes:
        trial_id: of which trial.
        epoch: counted from 1.
        metrics: loss, accuracy, those of the validation split, learning_rate, seconds.
        replayed: trained by an earlier session, which may have been killed before it reported it.
        activities: seconds by activity since the epoch before; empty if replayed.
        age: seconds since its end, when it was reported.
    """

    trial_id: str
    epoch: int
    metrics: dict[str, float] = field(default_factory=dict)
    replayed: bool = False
    activities: Mapping[str, float] = field(default_factory=dict)
    age: float = 0.0


@dataclass(frozen=True)
class Waiting:
    """A trial is paused and will continue by itself.

    Attributes:
        trial_id: of which trial.
        reason: one line for the user.
    """

    trial_id: str
    reason: str


@dataclass(frozen=True)
class Completed:
    """The training finished."""

    measurement: Measurement


@dataclass(frozen=True)
class Failed:
    """The candidate failed; the search continues with others."""

    kind: FailureKind
    reason: str

    @property
    def is_suspicious(self) -> bool:
        """Whether many of them in a row mean that something is wrong with the search."""
        return self.kind != "over_budget"


@dataclass(frozen=True)
class Fault:
    """An error that no other candidate would avoid, such as a read-only folder: ends the search."""

    message: str


Outcome = Completed | Failed | Fault


@dataclass(frozen=True)
class TrialEnd:
    """The last event of a trial."""

    trial_id: str
    outcome: Outcome


Event = EpochEnd | Waiting | TrialEnd


def as_candidate_failure(error: BaseException) -> CandidateFailure | None:
    """Returns the failure of the candidate that ``error`` stands for; None: it is another error."""
    if isinstance(error, CandidateFailure):
        return error
    text = str(error)
    exhausted = type(error).__name__ == "ResourceExhaustedError" or "RESOURCE_EXHAUSTED" in text
    if isinstance(error, MemoryError) or exhausted:
        lines = text.strip().splitlines() or ["no memory left"]
        return CandidateFailure("out_of_memory", lines[0].strip()[:200])
    return None
