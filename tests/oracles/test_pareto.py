"""What is particular to the strategy for several objectives."""

from typing import Any

from cnnsearch.architecture.costs import MACS, PARAMS
from cnnsearch.oracles.pareto import ParetoEvolution
from cnnsearch.oracles.protocol import Feasibility
from cnnsearch.training.objectives import find_costs
from cnnsearch.training.objectives.front import compute_hypervolume

from .helpers import Space, choice, counted, make

SPACE = Space(tuple(choice(f"c{i}", *range(6)) for i in range(8)))


def check(values: Any) -> Feasibility:
    """The score rises with every value; MACs with the first four, parameters with the others."""
    macs, params = (1 + sum(list(values.values())[part]) for part in (slice(4), slice(4, 8)))
    return Feasibility(True, None, lambda: str(values), *counted(params, macs))


def score(values: Any) -> float:
    """Two of the values gain much and cost as much as the others."""
    return (sum(values.values()) + 5 * values["c0"] + 5 * values["c4"]) / 100


def find_volume(strategy: str, seed: int, trials: int = 80) -> float:
    oracle = make(strategy, SPACE, check=check, max_trials=trials, seed=seed)
    points = []
    for _ in range(trials):
        proposal = oracle.propose("slot")
        oracle.complete(proposal.trial_id, score(proposal.values))
        points.append((score(proposal.values), -float(check(proposal.values).macs or 0)))
    return compute_hypervolume(points, (0.0, -21.0))


def test_its_front_dominates_more_than_random_searchs() -> None:
    volumes = {name: sum(find_volume(name, s) for s in range(6)) for name in ("pareto", "random")}
    assert volumes["pareto"] > volumes["random"]


def test_parents_are_sorted_by_all_objectives() -> None:
    """None comes before one that is at least as good in score and parameters."""
    oracle = make("pareto", SPACE, check=check, max_trials=9, costs=find_costs("accuracy, params"))
    scores = [0.9, 0.5, 0.4]
    params: list[float] = []
    for each in scores:
        proposal = oracle.propose("slot")
        params.append(PARAMS.read(check(proposal.values).cost) or 0)
        oracle.complete(proposal.trial_id, each)
    order = [trial for _, trial in ParetoEvolution().find_population(oracle.make_history())]
    best = {
        trial.id: (trial.score or 0.0, PARAMS.read(check(trial.values).cost) or 0)
        for trial in order
    }
    for place, trial in enumerate(order):
        mine = best[trial.id]
        for other in order[place + 1 :]:
            theirs = best[other.id]
            assert not (theirs[0] >= mine[0] and theirs[1] <= mine[1]), (mine, theirs)


def test_without_costs_it_weighs_macs() -> None:
    plain, named = (
        make("pareto", SPACE, check=check, max_trials=12, costs=costs) for costs in ((), (MACS,))
    )
    for _ in range(12):
        proposals = [oracle.propose("slot") for oracle in (plain, named)]
        assert proposals[0].values == proposals[1].values
        for oracle, proposal in zip((plain, named), proposals, strict=True):
            oracle.complete(proposal.trial_id, score(proposal.values))
