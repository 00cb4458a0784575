"""The plan of a final training: the ``final`` section of its ``run.json``."""

from itertools import product
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from cnnsearch.errors import RunError
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.studies.final.entrants import Entrant
from cnnsearch.utils.validation_errors import explain

KIND = "final"


def _check_positive(number: int) -> int:
    if number < 1:
        raise ValueError("expected at least 1")
    return number


Positive = Annotated[int, AfterValidator(_check_positive)]


class FinalOptions(BaseModel):
    """The options that decide the outcome of a final training; another value needs another run.

    Attributes:
        source: ``RUN:TRIAL``, ``RUN:best`` or a network.
        run: the search; None: the network is no search's.
        top: how many of the leaderboard.
        seeds: trainings per network.
        epochs: of each; None: not yet derived from the search.
        data: another data set than the search's.
        hold_out: whether validation images are held out.
        changes: of the recipe, ``key=value``.
        references: the requested baselines; None: all that are possible.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    source: str = Field(alias="from")
    run: str | None = None
    top: Positive = 1
    seeds: Positive = 3
    epochs: Positive | None = None
    data: str | None = None
    hold_out: bool = Field(default=False, alias="hold-out")
    changes: tuple[str, ...] = ()
    references: str | None = None

    def check_same(self, run: RunDirectory) -> None:
        """Refuses to resume ``run`` with other options than it was started with.

        Raises:
            RunError: names the run, the option and both values.
        """
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
    """The options with the networks that they stand for.

    Attributes:
        notes: why a baseline is missing.
        entrants: the networks, winners first.
    """

    notes: tuple[str, ...] = ()
    entrants: Annotated[tuple[Entrant, ...], Field(min_length=1)]
    epochs: Positive

    @classmethod
    def read(cls, run: RunDirectory) -> "FinalPlan":
        """Reads a run's plan.

        Raises:
            RunError: one line naming the run, the key and the rule.
        """
        data = dict(run.manifest[KIND])
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            message = explain(error, data, cls)
            raise RunError(f"run {run.name!r}: run.json: {KIND}.{message}") from None

    def to_data(self) -> dict[str, Any]:
        """Returns plain data for ``run.json``."""
        data = self.model_dump(mode="json", by_alias=True, exclude={"entrants"})
        return {**data, "entrants": [entrant.to_data() for entrant in self.entrants]}

    def list_slots(self) -> list[Slot]:
        """Returns every training, seed by seed: first seed of all networks, then the second."""
        pairs = product(range(self.seeds), range(len(self.entrants)))
        return [Slot(f"{n:04d}", entrant, seed) for n, (seed, entrant) in enumerate(pairs, start=1)]
