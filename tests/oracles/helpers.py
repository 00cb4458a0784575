"""A small space, a store in memory and a driver, as the tests of every strategy need them."""

import json
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cnnsearch.architecture.cost import Cost
from cnnsearch.oracles import create_oracle
from cnnsearch.oracles.points import is_active
from cnnsearch.oracles.protocol import DONE, WAIT, Feasibility, Proposal
from cnnsearch.space.choices import Parameter


@dataclass
class Space:
    parameters: tuple[Parameter, ...]

    def sample(self, rng: random.Random) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for parameter in self.parameters:
            if is_active(parameter, values):
                values[parameter.name] = parameter.sample(rng)
        return values


@dataclass
class Store:
    """Keeps text only, so that whatever comes back went through JSON."""

    state: str | None = None
    trials: dict[str, str] = field(default_factory=dict)
    order: dict[str, int] = field(default_factory=dict)
    saves: int = 0

    def load_oracle(self) -> tuple[str | None, list[str]]:
        return self.state, [self.trials[i] for i in sorted(self.trials, key=self.order.__getitem__)]

    def save_oracle(self, state: str, trials: Mapping[str, str], order: Mapping[str, int]) -> None:
        assert set(trials) == set(order)
        self.state = state
        self.trials.update(trials)
        self.order.update(order)
        self.saves += 1

    def copy(self) -> "Store":
        return Store(self.state, dict(self.trials), dict(self.order))


def choice(name: str, *options: Any, when: Any = ()) -> Parameter:
    ordered = not isinstance(options[0], str | bool)
    return Parameter(name, "choice", options=options, ordered=ordered, when=when)


def mixed_space() -> Space:
    """Every kind of parameter, with conditions on a choice, a bool, and on both."""
    vgg, res = (("family", "plain"),), (("family", "residual"),)
    return Space(
        (
            choice("family", "plain", "residual", "separable"),
            choice("squeeze", False, True),
            Parameter("depth", "int", low=1, high=4),
            Parameter("width", "int", low=8, high=256, log=True),
            Parameter("rate", "float", low=1e-4, high=1e-1, log=True),
            Parameter("dropout", "float", low=0.0, high=0.5),
            choice("kernel", 3, 5, 7, when=vgg),
            choice("expansion", 2, 4, when=res),
            choice("ratio", 4, 8, 16, when=(("squeeze", True),)),
            choice("deep", "a", "b", when=(*res, ("expansion", 4), ("squeeze", True))),
        )
    )


def small_space() -> Space:
    """Ten points: three kernels, each with two pools, or four widths without pools."""
    return Space(
        (
            choice("family", "plain", "residual"),
            choice("kernel", 3, 5, 7, when=(("family", "plain"),)),
            choice("pool", "max", "mean", when=(("family", "plain"),)),
            Parameter("width", "int", low=1, high=4, when=(("family", "residual"),)),
        )
    )


def counted(params: int, macs: int) -> tuple[Cost, float]:
    """The last two fields of a feasibility."""
    return Cost(params, params, macs, 0), math.log(max(params, 1)) + math.log(macs)


def accept(values: Mapping[str, Any]) -> Feasibility:
    name = json.dumps(values, sort_keys=True)
    return Feasibility(True, None, lambda: name, *counted(10, 100))


def macs(values: Mapping[str, Any]) -> int:
    return int(values.get("width", 16)) * int(values.get("depth", 1)) * 100


def budget(limit: int) -> Callable[[Mapping[str, Any]], Feasibility]:
    def check(values: Mapping[str, Any]) -> Feasibility:
        cost = macs(values)
        fits = cost <= limit
        name = json.dumps(values, sort_keys=True)
        return Feasibility(
            fits, None if fits else "budget", lambda: name, *counted(cost // 10, cost)
        )

    return check


def score(values: Mapping[str, Any]) -> float:
    """A smooth score in [0, 1] of the mixed or the small space."""
    text = json.dumps(values, sort_keys=True)
    noise = random.Random(text).random() / 100
    return (
        0.5
        + 0.1 * values.get("depth", 1) / 4
        - abs(math.log10(values.get("rate", 1e-2)) + 2) / 10
        + noise
    )


def make(strategy: str, space: Space | None = None, **options: Any) -> Any:
    settings = {"check": accept, "store": Store(), "max_trials": 30, "epochs": 9, "seed": 7}
    return create_oracle(strategy, space or mixed_space(), **{**settings, **options})


def finish(oracle: Any, proposal: Proposal, failing: float = 0.0) -> None:
    """Ends a trial as a function of its candidate alone."""
    fate = random.Random(f"{proposal.fingerprint}/{proposal.epochs}/fate").random()
    if fate < failing:
        oracle.fail(proposal.trial_id, "loss is nan")
    else:
        oracle.complete(proposal.trial_id, score(proposal.values) + proposal.epochs / 1000)


def drive(
    oracle: Any, *, slots: int = 1, failing: float = 0.0, limit: int = 10_000, ending: int = 0
) -> list[Proposal]:
    """Runs the search: fills the slots, then ends the trial that ``ending`` draws."""
    rng = random.Random(ending)
    running: dict[str, Proposal] = {}
    seen: list[Proposal] = []
    while True:
        answer: Any = None
        for slot in (f"slot{i}" for i in range(slots)):
            if slot in running or len(seen) >= limit:
                continue
            answer = oracle.propose(slot)
            if isinstance(answer, Proposal):
                running[slot] = answer
                seen.append(answer)
        if not running:
            assert answer is DONE or len(seen) >= limit, answer
            return seen
        assert answer is not WAIT or running
        slot = rng.choice(sorted(running))
        finish(oracle, running.pop(slot), failing)
