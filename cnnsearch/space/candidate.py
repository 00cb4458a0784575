"""A point of a search space."""

from dataclasses import dataclass

from cnnsearch.architecture.architecture import Architecture, compute_hash
from cnnsearch.space.recipe import TrainingRecipe


@dataclass(frozen=True)
class Candidate:
    """One point of a space: an architecture and the recipe that trains it."""

    architecture: Architecture
    recipe: TrainingRecipe

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits, equal exactly where wiring and recipe are equal."""
        rate = self.recipe.drop_path  # replaces the architecture's
        changes = {} if rate is None else {"drop_path": rate}
        wired = self.architecture.model_copy(update=changes)
        return compute_hash({"architecture": wired.fingerprint, "recipe": self.recipe.identify()})

    @property
    def data_hash(self) -> str:
        """16 hexadecimal digits of the data; seeds of trainings are derived from it."""
        data = {"architecture": self.architecture.data_hash, "recipe": self.recipe.identify()}
        return compute_hash(data)
