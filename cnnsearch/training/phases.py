"""Phases of a training: which weights are trained, how fast, and on images of which size."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training import checkpoint
from cnnsearch.training.messages import TrialTask


@dataclass(frozen=True)
class Phase:
    """Consecutive epochs with the same settings.

    Attributes:
        trainable: ``all``, ``head``, ``norms`` or a number of last stages.
        rate: factor of the recipe's learning rate.
        first: epoch at which its schedule begins, counted from 1; may lie before the phase.
        last: last epoch of the phase.
        ends: epoch at which its schedule ends; may lie after the phase.
        scale: of the network's input side.
        rounds: whether values are rounded as an int8 file rounds them.
    """

    trainable: str | int
    rate: float
    first: int
    last: int
    ends: int
    scale: float = 1.0
    rounds: bool = False

    @property
    def epochs(self) -> int:
        """Epochs of its schedule."""
        return self.ends - self.first + 1


def plan_phases(
    recipe: TrainingRecipe, freeze: bool, epochs: int, unfrozen: int = 1
) -> tuple[Phase, ...]:
    """Returns the phases of a training, in order.

    Unfreezing starts a new optimizer and schedule; growing images and rounding change neither.
    Weights that are trained already stay so when a training is prolonged.

    Args:
        recipe: its ``trainable``, ``unfreeze_after``, ``unfreeze_rate``, ``resizing`` and
            ``quantize_aware``.
        freeze: whether only the head is trained, if the recipe's ``trainable`` is ``all``.
        epochs: of the training.
        unfrozen: epoch from which an earlier, shorter training trained all weights; 1: none.
    """
    trainable = "head" if freeze and recipe.trainable == "all" else recipe.trainable
    phases = [Phase(trainable, 1.0, 1, epochs, epochs)]
    if trainable != "all" and recipe.unfreeze_after is not None and epochs > 1:
        last = unfrozen - 1 or _choose_last_epoch(recipe.unfreeze_after, epochs)
        phases = [
            Phase(trainable, 1.0, 1, last, last),
            Phase("all", recipe.unfreeze_rate, last + 1, epochs, epochs),
        ]
    if recipe.resizing is not None and epochs > 1:
        last, start = _choose_last_epoch(recipe.resizing.until, epochs), recipe.resizing.start
        phases = [part for phase in phases for part in _split(phase, last, {"scale": start}, {})]
    if recipe.quantize_aware is not None and epochs > 1:
        last = _choose_last_epoch(1 - recipe.quantize_aware, epochs)
        phases = [part for phase in phases for part in _split(phase, last, {}, {"rounds": True})]
    return tuple(phases)


def _choose_last_epoch(share: float, epochs: int) -> int:
    """Returns the last epoch before a change, with at least one epoch on either side."""
    return min(epochs - 1, max(1, round(share * epochs)))


def _split(
    phase: Phase, last: int, before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[Phase]:
    """Splits a phase behind epoch ``last``, with changes to what is before and after it."""
    first, second = replace(phase, **before), replace(phase, **after)
    if phase.last <= last:
        return [first]
    return [second] if phase.first > last else [replace(first, last=last), second]


def read_unfrozen_epoch(task: TrialTask) -> int:
    """Returns the epoch from which the training to resume trained all weights; 1: not yet."""
    if task.recipe.unfreeze_after is None:
        return 1
    for folder in (task.directory, task.continues):
        if folder is not None and (saved := checkpoint.read(folder / checkpoint.STATE)):
            return int(saved.header.get("begun", 1))
    return 1
