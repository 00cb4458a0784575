"""Fingerprints are of what is wired: no network counts as two candidates, no two as one."""

import random
from collections import defaultdict
from inspect import signature
from typing import Any

import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import Budget
from cnnsearch.architecture.counting import CountingOps
from cnnsearch.blocks.geometry import get_sides
from cnnsearch.blocks.ops import Ops, Shape
from cnnsearch.errors import ArchitectureError
from cnnsearch.oracles import create_oracle
from cnnsearch.oracles.feasibility import FeasibilityCheck
from cnnsearch.oracles.points import mutate
from cnnsearch.oracles.protocol import DONE, Proposal
from cnnsearch.space.files import list_spaces
from cnnsearch.space.search_space import SearchSpace
from tests.oracles.helpers import Store

DEPTHS = """
input: [8, 8, 1]
classes: 3
stages:
  - {block: {type: plain, kernel: {choice: [1, 3]}}, depth: {int: [0, 1]}, width: {choice: [4, 8]}}
"""


class Map(Shape):
    """A shape that knows which call made it: two maps of one shape are not the same map."""

    maker = -1

    def __repr__(self) -> str:
        return f"map {self.maker} of {tuple(self)}"


class Transcript(CountingOps):
    """Writes down every call with the style's defaults filled in, but for those without effect."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture.style)
        self.calls: list[object] = []
        self.rate = 0.0
        architecture.wire(self, Map(*architecture.input))

    def scope(self, name: str, drop_path: float = 0.0) -> Any:
        self.rate = drop_path
        return super().scope(name, drop_path)

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in vars(Ops) or name in ("scope", "shape", "style") or name[0] == "_":
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            bound = signature(found).bind(*arguments, **options)
            bound.apply_defaults()
            written = self._write(name, dict(bound.arguments))
            made = found(*arguments, **options)
            if not written:
                return next(iter(bound.arguments.get("xs", [bound.arguments.get("x")])))
            made = Map(*made)
            made.maker = written
            return made

        return call

    def _write(self, name: str, options: dict[str, Any]) -> int:
        """Returns the number of the call; 0 for one without effect."""
        style = self.style
        nothing = {
            "drop_path": not self.rate,
            "dropout": not options.get("rate"),
            "normalize": (options.get("kind") or style.norm) == "none",
            **dict.fromkeys(("add", "mean", "concat"), len(options.get("xs", ())) == 1),
        }
        if nothing.get(name):
            return 0
        if name in ("conv", "depthwise_conv"):
            options["kernel"] = get_sides(options["kernel"])
            options["norm"] = options["norm"] and style.norm
            if options["bias"] is None:
                options["bias"] = style.conv_bias
            if isinstance(options["activation"], bool):
                options["activation"] = style.activation if options["activation"] else "linear"
        rate = self.rate if name == "drop_path" else 0.0
        self.calls.append((name, rate, str(sorted(options.items()))))
        return len(self.calls)


@pytest.mark.parametrize("name", list_spaces())
def test_equal_wiring_and_equal_fingerprints_are_the_same_thing(name: str) -> None:
    space, rng = SearchSpace.load(name), random.Random(0)
    by_wiring: dict[str, set[str]] = defaultdict(set)
    by_fingerprint: dict[str, set[str]] = defaultdict(set)
    for _ in range(40):
        values = space.sample(rng)
        for _ in range(3):
            candidate = space.decode(values)
            try:
                calls = str((Transcript(candidate.architecture).calls, candidate.recipe))
            except ArchitectureError:
                continue
            by_wiring[calls].add(candidate.fingerprint)
            by_fingerprint[candidate.fingerprint].add(calls)
            values = mutate(space.parameters, values, rng)
    assert by_wiring
    assert all(len(prints) == 1 for prints in by_wiring.values())
    assert all(len(wirings) == 1 for wirings in by_fingerprint.values())


@pytest.mark.parametrize("name", ["inception", "efficientnet", "separable", "mixed"])
def test_what_an_absent_stage_would_be_makes_no_other_candidate(name: str) -> None:
    """Of random candidates with a stage of depth 0, up to 99 % counted as several before."""
    space, rng = SearchSpace.load(name), random.Random(0)
    depths = [p.name for p in space.parameters if p.name.endswith(".depth") and p.low == 0]
    found = 0
    for values in (space.sample(rng) for _ in range(60)):
        absent = [depth.removesuffix("depth") for depth in depths if values.get(depth) == 0]
        own = [n for n in values if n.startswith(tuple(absent)) and not n.endswith(".depth")]
        if not absent or not own:
            continue
        drawn = space.sample(random.Random(found))
        other = {**values, **{n: drawn[n] for n in own if n in drawn}}
        if set(space.list_active(other)) != set(space.list_active(values)) or other == values:
            continue
        found += 1
        one, two = space.decode(values), space.decode(other)
        if one.architecture.data_hash != two.architecture.data_hash:
            assert one.fingerprint == two.fingerprint
    assert found


def test_a_grid_trains_each_network_once() -> None:
    """Eight points, five networks: four of the points have no stage at all."""
    space = SearchSpace.from_text(DEPTHS)
    oracle = create_oracle(
        "grid", space, check=FeasibilityCheck(space, Budget()), store=Store(), max_trials=None,
        epochs=1, seed=0,
    )  # fmt: skip
    trained = []
    while isinstance(proposal := oracle.propose("slot"), Proposal):
        trained.append(str(space.decode(proposal.values).architecture.stages))
        oracle.complete(proposal.trial_id, 0.5)
    assert proposal is DONE
    assert len(trained) == 5
    assert oracle.draws.duplicates == 3


def test_a_resumed_search_of_version_0_1_repeats_no_network() -> None:
    """Its fingerprints were of the data: those of its trials are computed anew."""
    space = SearchSpace.from_text(DEPTHS)
    store = Store()

    def open_search() -> Any:
        return create_oracle(
            "grid", space, check=FeasibilityCheck(space, Budget()), store=store, max_trials=None,
            epochs=1, seed=0,
        )  # fmt: skip

    oracle = open_search()
    first = oracle.propose("slot")
    oracle.complete(first.trial_id, 0.5)
    store.state = (store.state or "").replace('"version": 2', '"version": 1')
    store.trials = {
        k: v.replace(first.fingerprint, "0123456789abcdef") for k, v in store.trials.items()
    }
    oracle, networks = open_search(), [first.fingerprint]
    while isinstance(proposal := oracle.propose("slot"), Proposal):
        networks.append(proposal.fingerprint)
        oracle.complete(proposal.trial_id, 0.5)
    assert len(networks) == len(set(networks)) == 5
