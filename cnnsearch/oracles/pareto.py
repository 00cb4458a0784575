"""Evolution towards a Pareto front, with the ranking of NSGA-II (Deb et al., 2002)."""

from collections.abc import Mapping
from typing import ClassVar

from cnnsearch.architecture.costs import MACS
from cnnsearch.oracles.evolution import POPULATION, RegularizedEvolution
from cnnsearch.oracles.protocol import Setup
from cnnsearch.oracles.strategy import History, Trial
from cnnsearch.training.objectives.front import Point, compute_crowding, peel_fronts


class ParetoEvolution(RegularizedEvolution):
    """Mutates candidates that few others beat in the metric and in all costs at once.

    Candidates of the first front are fitter than those that only they dominate, and so on; on the
    same front, those that are far from their neighbours. The population is the fittest of all
    trials. As in ``evolution`` there are no generations, so a slot never waits.
    """

    name = "pareto"
    summary = "for several objectives: evolution of the candidates on and near the Pareto front"
    paper = ""
    multi_objective: ClassVar[bool] = True

    def choose_parameters(self, setup: Setup) -> Mapping[str, int]:
        """Returns four founders and a tournament of five."""
        return {"founders": 4, "tournament": 5, "values_per_mutation": 10}

    def find_population(self, history: History) -> list[tuple[float, Trial]]:
        """Returns the fittest trials, each after its negative place."""
        points = [_locate(trial, history) for trial in history.completed]
        order: list[int] = []
        for front in peel_fronts(points):
            distances = compute_crowding([points[i] for i in front])
            by_distance = sorted(zip(distances, front, strict=True), key=lambda each: -each[0])
            order += [i for _, i in by_distance]
            if len(order) >= POPULATION:
                break
        return [(-place, history.completed[i]) for place, i in enumerate(order[:POPULATION])]


def _locate(trial: Trial, history: History) -> Point:
    """Returns a trial's score and its costs, negated."""
    feasibility = history.check(trial.values)
    costs = (cost.read(feasibility.cost) or 0 for cost in history.costs or (MACS,))
    return (trial.score or 0.0, *(-float(cost) for cost in costs))
