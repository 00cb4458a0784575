"""Which weights move in which epochs of a training, and how fast."""

from dataclasses import dataclass

from cnnsearch.recipe import TrainingRecipe


@dataclass(frozen=True)
class Phase:
    """Epochs in which the same weights are trained.

    Attributes:
        trainable: ``all``, ``head`` or ``norms``.
        rate: factor of the recipe's learning rate.
        first: epoch, counted from 1.
        last: epoch; the schedule ends there.
    """

    trainable: str
    rate: float
    first: int
    last: int


def phases(recipe: TrainingRecipe, freeze: bool, epochs: int) -> tuple[Phase, ...]:
    """Returns the phases of a training, one or two.

    Args:
        recipe: says what is trained, and when and how fast the rest follows.
        freeze: whether the head alone is trained, if the recipe leaves it at ``all``.
        epochs: of the training.
    """
    what = "head" if freeze and recipe.trainable == "all" else recipe.trainable
    if what == "all" or recipe.unfreeze_after is None or epochs < 2:
        return (Phase(what, 1.0, 1, epochs),)
    border = min(epochs - 1, max(1, round(recipe.unfreeze_after * epochs)))
    return (
        Phase(what, 1.0, 1, border),
        Phase("all", recipe.unfreeze_rate, border + 1, epochs),
    )
