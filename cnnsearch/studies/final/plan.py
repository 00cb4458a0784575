"""The plan of a final training: the ``final`` section of its ``run.json``."""

from itertools import product
from typing import Annotated, Any, NamedTuple, Self

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from cnnsearch.engine.option_group import Options
from cnnsearch.errors import CnnsearchError, RunError, suggest
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.studies.final.entrants import Entrant

KIND = "final"
REFERENCES = ("all", "random", "published", "none")


def _check_positive(number: int) -> int:
    if number < 1:
        raise ValueError("expected at least 1")
    return number


Positive = Annotated[int, AfterValidator(_check_positive)]


class FinalOptions(Options):
    """The options that decide the outcome of a final training; another value needs another run.

    Attributes:
        source: ``RUN:TRIAL``, ``RUN:best`` or a network.
        run: the search; None: the network is no search's.
        top: how many of the leaderboard.
        seeds: trainings per network.
        epochs: of each; None: not yet derived from the search.
        data: another data set than the search's.
        hold_out: whether validation images are held out.
        drop_copies: whether training images are left out whose pixels a held-out split has; the
            search may have left them out anyway.
        changes: of the recipe, ``key=value``.
        references: the requested baselines; None: all that are possible.
        mirror: whether predictions averaged over mirrored images are evaluated too.
    """

    model_config = ConfigDict(populate_by_name=True)

    source: str = Field(alias="from")
    run: str | None = None
    top: Positive = 1
    seeds: Positive = 3
    epochs: Positive | None = None
    data: str | None = None
    hold_out: bool = Field(default=False, alias="hold-out")
    drop_copies: bool = Field(default=False, alias="drop-copies")
    changes: tuple[str, ...] = ()
    references: str | None = None
    mirror: bool = False

    @property
    def which(self) -> str:
        """A trial's id or ``best``; without a search the network."""
        return self.source if self.run is None else self.source.partition(":")[2]

    @field_validator("references")
    @classmethod
    def _check_references(cls, value: str | None) -> str | None:
        if value not in (None, *REFERENCES):
            known, hint = ", ".join(REFERENCES), suggest(value, REFERENCES)
            raise CnnsearchError(f"--references: expected {known}, got {value!r}{hint}")
        return value

    @model_validator(mode="after")
    def _check_top(self) -> Self:
        if self.top > 1 and self.which != "best":
            raise CnnsearchError(f"--top {self.top}: goes with best, not with {self.which!r}")
        return self

    def check_same(self, run: RunDirectory) -> None:
        """Refuses to resume ``run`` with other options than it was started with."""
        if run.manifest.get("kind") != KIND:
            raise RunError(f"run {run.name!r} is no final training: choose another --name")
        began = FinalPlan.read(run)
        for name, field in FinalOptions.model_fields.items():
            old, new = getattr(began, name), getattr(self, name)
            if old != new and not (name == "epochs" and new is None):
                key = field.alias or name
                flag = {"from": "which network or --run", "changes": "--set"}.get(key, f"--{key}")
                raise RunError(
                    f"run {run.name!r} was begun with another value of {flag}: {old!r}, "
                    f"now {new!r}; choose another --name"
                )


class Slot(NamedTuple):
    """One training: its trial id, the index of its entrant, and its seed."""

    trial_id: str
    entrant: int
    seed: int


class FinalPlan(FinalOptions):
    """The options with their networks, winners first, and notes on missing baselines."""

    notes: tuple[str, ...] = ()
    entrants: Annotated[tuple[Entrant, ...], Field(min_length=1)]
    epochs: Positive

    @classmethod
    def read(cls, run: RunDirectory) -> "FinalPlan":
        """Reads a run's plan; a :class:`RunError` names the run, the key and the rule."""
        try:
            return cls.model_validate(dict(run.manifest[KIND]))
        except CnnsearchError as error:
            raise RunError(f"run {run.name!r}: run.json: {KIND}: {error}") from None

    def to_data(self) -> dict[str, Any]:
        """Returns plain data for ``run.json``."""
        data = self.model_dump(mode="json", by_alias=True, exclude={"entrants"})
        return {**data, "entrants": [entrant.to_data() for entrant in self.entrants]}

    def list_slots(self) -> list[Slot]:
        """Returns every training, seed by seed: first seed of all networks, then the second."""
        pairs = product(range(self.seeds), range(len(self.entrants)))
        return [Slot(f"{n:04d}", entrant, seed) for n, (seed, entrant) in enumerate(pairs, start=1)]
