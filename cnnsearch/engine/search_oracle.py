"""The oracle of a search: what its settings propose, within their bounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnnsearch.data import Dataset
from cnnsearch.engine.first_candidates import choose_first
from cnnsearch.engine.latency_model import LatencyCheck, LatencyModel
from cnnsearch.engine.session import fit_space
from cnnsearch.engine.settings import Settings
from cnnsearch.engine.time_limit import TimeCheck, TimeLimit
from cnnsearch.oracles import create_oracle
from cnnsearch.oracles.feasibility import FeasibilityCheck
from cnnsearch.oracles.protocol import CheckFeasibility, Earlier, Store
from cnnsearch.space.published_points import PublishedPoint, find_points
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.objectives import find_costs

if TYPE_CHECKING:
    from cnnsearch.oracles.search_oracle import SearchOracle


def make_oracle(
    settings: Settings,
    space: SearchSpace,
    store: Store,
    time_limit: TimeLimit | None = None,
    latency_model: LatencyModel | None = None,
    earlier: Earlier = (),
    points: Sequence[PublishedPoint] = (),
) -> "SearchOracle":
    """Returns the oracle of the settings' strategy, on a space that fits the data.

    Without a ``time_limit`` no candidate is rejected for the time that it would train, without a
    ``latency_model`` none for its latency. The search starts with the best of each ``earlier`` one,
    or else with some of ``points``, the published networks of the space.
    """
    costs = find_costs(settings.training.objective)
    check: CheckFeasibility = FeasibilityCheck(space, settings.search.budget, costs)
    if latency_model is not None:
        check = LatencyCheck(check, space, latency_model, settings.search.max_latency)
    if time_limit is not None:
        check = TimeCheck(check, space, time_limit)
    return create_oracle(
        settings.search.strategy,
        space,
        check=check,
        store=store,
        max_trials=settings.search.trials,
        epochs=count_epochs(settings, space),
        seed=settings.search.seed,
        options=settings.search.options,
        costs=costs,
        earlier=earlier,
        first=[
            *(dict(max(results, key=lambda result: result.score).values) for results in earlier),
            *(point.values for point in choose_first(settings, points, check)),
        ],
    )


def count_epochs(settings: Settings, space: SearchSpace) -> int:
    """Returns the epochs of a candidate, the largest number of a multi-fidelity strategy."""
    return settings.training.epochs or space.decode_first().recipe.epochs


@dataclass(frozen=True)
class ReadOnlyStore:
    """Reads another store and never writes to it: for simulating further proposals.

    Attributes:
        store: the one that is read.
    """

    store: Store

    def load_oracle(self) -> tuple[str | None, list[str]]:
        return self.store.load_oracle()

    def save_oracle(
        self, state: str, trials: Mapping[str, str], order: Mapping[str, int]
    ) -> None: ...


class NullStore:
    """Stores nothing: for an oracle whose proposals are not trained."""

    def load_oracle(self) -> tuple[str | None, list[str]]:
        return None, []

    def save_oracle(
        self, state: str, trials: Mapping[str, str], order: Mapping[str, int]
    ) -> None: ...


def check_first_proposal(
    settings: Settings,
    space: SearchSpace,
    dataset: Dataset,
    latency_model: LatencyModel | None = None,
) -> None:
    """Draws the search's first candidate before anything of the run is written.

    Raises:
        BudgetError: no candidate of the space meets the budget.
        SpaceError: no candidate of the space can be wired.
    """
    fitted = fit_space(space, dataset)
    points = find_points(fitted)
    oracle = make_oracle(settings, fitted, NullStore(), latency_model=latency_model, points=points)
    oracle.propose("rehearsal")
