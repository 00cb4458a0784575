"""The twenty-dimensional function of the design's prototype, negated: higher is better."""

import math
import random
from collections.abc import Mapping
from typing import Any

from cnnsearch.space.choices import Parameter

from .helpers import Space, choice, make


def synthetic_space(dimensions: int = 20) -> Space:
    parameters = [choice("family", "vgg", "resnet", "mobile")]
    for i in range(dimensions - 1):
        kinds = (
            Parameter(f"i{i}", "int", low=1, high=16),
            Parameter(f"f{i}", "float", low=1e-5, high=1e-1, log=True),
            choice(f"c{i}", "a", "b", "c"),
            Parameter(f"r{i}", "int", low=1, high=4, when=(("family", "resnet"),)),
        )
        parameters.append(kinds[i % 4])
    return Space(tuple(parameters))


def synthetic(values: Mapping[str, Any], rng: random.Random) -> float:
    loss = {"vgg": 0.6, "resnet": 0.0, "mobile": 0.3}[values["family"]]
    for name, value in values.items():
        if name[0] == "i":
            loss += ((value - 6) / 16) ** 2
        elif name[0] == "f" and name != "family":
            loss += (math.log10(value) + 3) ** 2 / 16
        elif name[0] == "c":
            loss += {"a": 0.1, "b": 0.2, "c": 0.0}[value]
        elif name[0] == "r":
            loss += (4 - value) / 20
    return -loss + rng.gauss(0.0, 0.01)


def best_of(strategy: str, seed: int, trials: int) -> float:
    """Returns the best value that a strategy finds in so many trials."""
    oracle = make(strategy, synthetic_space(), max_trials=trials, seed=seed)
    rng = random.Random(seed)
    best = -math.inf
    for _ in range(trials):
        proposal = oracle.propose("slot")
        value = synthetic(proposal.values, rng)
        oracle.complete(proposal.trial_id, value)
        best = max(best, value)
    return best
