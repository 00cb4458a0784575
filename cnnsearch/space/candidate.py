"""A point of a search space."""

from dataclasses import dataclass
from functools import cached_property

from cnnsearch.architecture.architecture import Architecture, compute_hash
from cnnsearch.architecture.work import Work, count_work
from cnnsearch.space.backbone import Backbone
from cnnsearch.space.recipe import TrainingRecipe


@dataclass(frozen=True)
class Candidate:
    """One point of a space: an architecture, the recipe that trains it, and where it starts.

    Attributes:
        architecture: the network.
        recipe: how it is trained.
        backbone: whose weights it starts from; None: from random weights, or those of a search.
    """

    architecture: Architecture
    recipe: TrainingRecipe
    backbone: Backbone | None = None

    @property
    def family(self) -> str:
        """The name of its backbone, else the families of its stages."""
        return self.backbone.network if self.backbone else self.architecture.family

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits, equal exactly where wiring, recipe and backbone are equal."""
        rate = self.recipe.drop_path  # replaces the architecture's
        changes = {} if rate is None else {"drop_path": rate}
        wired = self.architecture.model_copy(update=changes)
        recipe = self.recipe.drop_unused().identify()
        return compute_hash({"architecture": wired.fingerprint, "recipe": recipe, **self._start()})

    @property
    def data_hash(self) -> str:
        """16 hexadecimal digits of the data; seeds of trainings are derived from it."""
        data = {"architecture": self.architecture.data_hash, "recipe": self.recipe.identify()}
        return compute_hash({**data, **self._start()})

    @cached_property
    def work(self) -> Work:
        """What its training time depends on.

        Raises:
            ArchitectureError: the architecture cannot be wired; names the place and the rule.
        """
        return count_work(self.architecture)

    def drop_backbone(self) -> "Candidate":
        """Returns the same network with random weights, all of them trained."""
        if self.backbone is None:
            return self
        recipe = self.recipe.train_all()
        if self.recipe.trainable == "head" and not recipe.shift:
            recipe = recipe.model_copy(update={"shift": None})  # was 0 for a frozen backbone
        return Candidate(self.architecture, recipe)

    def _start(self) -> dict[str, object]:
        return {"backbone": self.backbone.to_data()} if self.backbone else {}
