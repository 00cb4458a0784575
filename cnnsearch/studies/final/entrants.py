"""What a final training trains: which networks, by which recipe, from which seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.data import Dataset
from cnnsearch.errors import CnnsearchError
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.space.search_space import Candidate, SearchSpace, published_files

WINNER, RANDOM, PUBLISHED = "winner", "random", "published"
"""The roles: what was asked for, and the two references beside it."""
CLOSE = 2
"""A published network of images up to so many times larger or smaller is one of the same kind."""


@dataclass(frozen=True)
class Entrant:
    """A network that takes part.

    Attributes:
        role: winner, random or published.
        label: the trial it was, as ``RUN:TRIAL``, or the published network's name.
        candidate: its architecture, fitted to the data, and the recipe it is trained by.
    """

    role: str
    label: str
    candidate: Candidate

    def to_data(self) -> dict[str, Any]:
        """Returns plain data for ``run.json``."""
        return {
            "role": self.role,
            "label": self.label,
            "architecture": self.candidate.architecture.to_data(),
            "recipe": self.candidate.recipe.to_data(),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> "Entrant":
        """Reads what :meth:`to_data` gave."""
        architecture = Architecture.from_data(dict(data["architecture"]), data["label"])
        recipe = TrainingRecipe.from_data(dict(data["recipe"]), data["label"])
        return cls(data["role"], data["label"], Candidate(architecture, recipe))


def fitted(candidate: Candidate, data: Dataset) -> Candidate:
    """Returns a candidate with the classes and channels of a data set.

    Raises:
        ArchitectureError: it cannot be wired then.
    """
    old = candidate.architecture
    size = (*old.input[:2], data.channels)
    new = old.model_copy(update={"classes": data.classes, "input": size})
    count(new)
    return Candidate(new, candidate.recipe)


def nearest_published(winner: Architecture, data: Dataset) -> tuple[str, Architecture]:
    """Returns the published network nearest in MACs, fitted to the data's classes and images.

    One made for images of about this size is preferred: others shrink to nothing here, or hardly
    shrink at all.

    Args:
        winner: gives the size of images and the MACs to be near to.
        data: classes and channels.
    """
    height, width = winner.input[:2]
    wanted = math.log(max(1, count(winner).macs))
    found: list[tuple[bool, float, str, Architecture]] = []
    for name in published_files():
        space = SearchSpace.load(name)
        kindred = 1 / CLOSE <= space.input[0] / height <= CLOSE
        space = space.adapted(classes=data.classes, channels=data.channels, image=(height, width))
        try:
            network = space.first().architecture
            away = abs(math.log(max(1, count(network).macs)) - wanted)
        except CnnsearchError:  # images of this size are too small for it
            continue
        found.append((not kindred, away, name, network))
    _, _, name, network = min(found, key=lambda each: each[:3])
    return name, network


def numbered(entrants: Sequence[Entrant], seeds: int) -> list[tuple[str, int, int]]:
    """Returns (trial id, index of the entrant, seed) of each training: a round for every seed."""
    pairs = [(i, seed) for seed in range(seeds) for i in range(len(entrants))]
    return [(f"{n:04d}", i, seed) for n, (i, seed) in enumerate(pairs, start=1)]
