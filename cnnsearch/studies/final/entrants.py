"""The networks of a final training: winners of a search and the baselines beside them."""

import math
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.data import Dataset
from cnnsearch.errors import CnnsearchError
from cnnsearch.space.backbone import Backbone
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.files import list_published_files
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.space.search_space import SearchSpace

Role = Literal["winner", "random", "published"]
WINNER: Role = "winner"
RANDOM: Role = "random"
PUBLISHED: Role = "published"
CLOSE = 2
"""Published networks whose image size is within this factor of the winner's are preferred."""


def _read(model: type[Architecture] | type[TrainingRecipe]) -> BeforeValidator:
    """Reads plain data as it was recorded; an error names the entrant."""

    def read(value: Any, info: ValidationInfo) -> Any:
        is_read = isinstance(value, model)
        return value if is_read else model.from_data(value, info.data.get("label", "entrant"))

    return BeforeValidator(read)


class Entrant(BaseModel):
    """A network that is trained.

    Attributes:
        role: a requested network, or one of its two kinds of baseline.
        label: the trial as ``RUN:TRIAL``, or the published network's name.
        architecture: with the data's classes and channels.
        recipe: that trains it.
        backbone: whose weights it starts from.
    """

    model_config = ConfigDict(frozen=True)

    role: Role
    label: str
    architecture: Annotated[Architecture, _read(Architecture)]
    recipe: Annotated[TrainingRecipe, _read(TrainingRecipe)]
    backbone: Backbone | None = None

    @classmethod
    def create(cls, role: Role, label: str, candidate: Candidate) -> "Entrant":
        """Returns a candidate as an entrant."""
        return cls(role=role, label=label, **vars(candidate))

    @property
    def candidate(self) -> Candidate:
        """Architecture, recipe and backbone."""
        return Candidate(self.architecture, self.recipe, self.backbone)

    @property
    def title(self) -> str:
        """The role in words: winner, random baseline or published baseline."""
        return self.role if self.role == WINNER else f"{self.role} baseline"

    def to_data(self) -> dict[str, Any]:
        """Returns plain data for ``run.json``."""
        data = self.model_dump(include={"role", "label"})
        return {
            **data,
            "architecture": self.architecture.to_data(),
            "recipe": self.recipe.to_data(),
            **({"backbone": self.backbone.to_data()} if self.backbone else {}),
        }


def fit_candidate(candidate: Candidate, data: Dataset) -> Candidate:
    """Returns a candidate with the classes and channels of a data set.

    Raises:
        ArchitectureError: it cannot be wired then.
    """
    old = candidate.architecture
    size = (*old.input[:2], data.channels)
    new = old.model_copy(update={"classes": data.classes, "input": size})
    count(new)
    return replace(candidate, architecture=new)


def find_nearest_published(winner: Architecture, data: Dataset) -> tuple[str, Architecture]:
    """Returns the published network nearest in MACs, with the data's classes and image size.

    One made for images of about this size is preferred: the others' strides leave almost nothing
    of a small image, or almost all of a large one.
    """
    height, width = winner.input[:2]
    wanted = math.log(max(1, count(winner).macs))
    found: list[tuple[bool, float, str, Architecture]] = []
    for name in list_published_files():
        space = SearchSpace.load(name)
        is_close = 1 / CLOSE <= space.input[0] / height <= CLOSE
        space = space.adapt(classes=data.classes, channels=data.channels, image=(height, width))
        try:
            network = space.decode_first().architecture
            distance = abs(math.log(max(1, count(network).macs)) - wanted)
        except CnnsearchError:  # images of this size are too small for it
            continue
        found.append((not is_close, distance, name, network))
    _, _, name, network = min(found, key=lambda each: each[:3])
    return name, network
