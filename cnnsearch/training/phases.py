"""Which weights move in which epochs of a training, how fast, and on images of which size."""

from dataclasses import dataclass

from cnnsearch.space.recipe import TrainingRecipe


@dataclass(frozen=True)
class Phase:
    """Epochs that are trained alike.

    Attributes:
        trainable: ``all``, ``head`` or ``norms``.
        rate: factor of the recipe's learning rate.
        first: epoch at which its schedule begins, counted from 1; may lie before the phase.
        last: epoch, of the phase and at the latest of its schedule.
        ends: epoch at which its schedule ends.
        scale: of the side of the images that the network reads.
    """

    trainable: str
    rate: float
    first: int
    last: int
    ends: int
    scale: float = 1.0

    @property
    def epochs(self) -> int:
        """Epochs of its schedule."""
        return self.ends - self.first + 1


def phases(recipe: TrainingRecipe, freeze: bool, epochs: int, begun: int = 1) -> tuple[Phase, ...]:
    """Returns the phases of a training, in order.

    Weights that begin to move have an optimizer and a schedule of their own; images that grow
    change neither. What moves already stays so where a training is prolonged.

    Args:
        recipe: says what is trained, when and how fast the rest follows, and how images grow.
        freeze: whether the head alone is trained, if the recipe leaves it at ``all``.
        epochs: of the training.
        begun: epoch from which on an earlier, shorter training has moved all weights; 1: none has.
    """
    what = "head" if freeze and recipe.trainable == "all" else recipe.trainable
    sets = [Phase(what, 1.0, 1, epochs, epochs)]
    if what != "all" and recipe.unfreeze_after is not None and epochs > 1:
        border = begun - 1 or _border(recipe.unfreeze_after, epochs)
        sets = [
            Phase(what, 1.0, 1, border, border),
            Phase("all", recipe.unfreeze_rate, border + 1, epochs, epochs),
        ]
    if recipe.resizing is None or epochs < 2:
        return tuple(sets)
    grown = _border(recipe.resizing.until, epochs)
    return tuple(part for one in sets for part in _grown(one, grown, recipe.resizing.start))


def _border(share: float, epochs: int) -> int:
    """The last epoch before a change: one at least on either side."""
    return min(epochs - 1, max(1, round(share * epochs)))


def _grown(phase: Phase, border: int, scale: float) -> list[Phase]:
    """A phase in two where images grow in its midst."""
    begins = phase.last if phase.last <= border else border
    small = Phase(phase.trainable, phase.rate, phase.first, begins, phase.ends, scale)
    if phase.last <= border:
        return [small]
    return [phase] if phase.first > border else [small, phase]
