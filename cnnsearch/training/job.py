"""One training that is asked for."""

from dataclasses import dataclass
from pathlib import Path

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.data.dataset import Dataset
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training import checkpoint
from cnnsearch.training.messages import Pretrained


@dataclass(frozen=True)
class Job:
    """One training that is asked for; the attributes are the arguments of ``training.train``.

    ``pretrained`` has weights to start from, and the pixels' mean and deviation they expect;
    ``objective`` chooses the best epoch; ``class_weights`` are those of the loss, empty for none;
    ``accumulate`` is the number of parts in which a batch is trained.
    """

    architecture: Architecture
    recipe: TrainingRecipe
    data: Dataset
    epochs: int
    initial_epoch: int = 0
    seed: int = 0
    folder: Path | None = None
    continues: Path | None = None
    pretrained: Pretrained | None = None
    objective: str = "accuracy"
    class_weights: tuple[float, ...] = ()
    accumulate: int = 1

    @property
    def begun(self) -> int:
        """Epoch from which on the training that this one goes on with has moved all weights."""
        if self.recipe.unfreeze_after is None:
            return 1
        for folder in (self.folder, self.continues):
            if folder is not None and (saved := checkpoint.read(folder / checkpoint.STATE)):
                return int(saved.header.get("begun", 1))
        return 1

    @property
    def head_weights(self) -> list[float]:
        """The weight of each output's loss, in the order in which heads are wired."""
        heads = sorted(self.architecture.auxiliary, key=lambda head: head.after)
        return [1.0, *(head.weight for head in heads)]
