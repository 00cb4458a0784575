"""Adds CutMix where a final training would memorize its images."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from cnnsearch.data import Dataset
from cnnsearch.space.candidate import Candidate
from cnnsearch.studies.final.plan import FinalOptions

MANY_EPOCHS: Final = 50
FEW_IMAGES: Final = 10_000
CUTMIX: Final = 1.0
"""Alpha of Yun et al. (arXiv:1905.04899)."""
MIXING: Final = ("cutmix", "mixup")


def add_cutmix(
    candidates: Sequence[Candidate], options: FinalOptions, epochs: int, data: Dataset
) -> tuple[list[Candidate], tuple[str, ...]]:
    """Returns the winners of a search with CutMix in their recipes if it is worthwhile, and a note.

    A search cannot find out: in its short trainings CutMix costs accuracy. It pays where a training
    is so long, and its images so few, that the network would know them by heart. It is left out
    where the recipe or ``--set`` already decides about it, where pretrained weights are kept, and
    for digits and characters, of which a part may be another one.

    Args:
        candidates: the winners.
        options: of the final training.
        epochs: that each is trained.
        data: the search's, with its splits.
    """
    images = data.train.count + (0 if options.hold_out else data.validation.count)
    is_decided = any(change.startswith(MIXING) for change in options.changes)
    if epochs < MANY_EPOCHS or images >= FEW_IMAGES or is_decided or not data.flip:
        return list(candidates), ()
    changed = [_mix(each) if _is_plain(each) else each for each in candidates]
    if changed == list(candidates):
        return changed, ()
    note = (
        f"With CutMix: {epochs} epochs of {images:,} images would otherwise be learned by heart "
        "(--set cutmix=0 trains without)."
    )
    return changed, (note,)


def _is_plain(candidate: Candidate) -> bool:
    recipe = candidate.recipe
    is_mixed = recipe.cutmix > 0 or recipe.mixup > 0
    return candidate.backbone is None and recipe.trainable == "all" and not is_mixed


def _mix(candidate: Candidate) -> Candidate:
    return replace(candidate, recipe=candidate.recipe.model_copy(update={"cutmix": CUTMIX}))
