import random
from collections import Counter
from itertools import islice

import pytest

from cnnsearch.oracles.points import (
    complete,
    enumerate_points,
    is_active,
    iterate_grid,
    list_levels,
    make_stream,
    mutate,
)
from cnnsearch.space.choices import Parameter

from .helpers import choice, mixed_space, small_space


def test_a_stream_depends_on_seed_number_and_label_alone() -> None:
    draws = {(s, n): make_stream(s, n).random() for s in range(50) for n in range(50)}
    assert len(set(draws.values())) == 2500
    assert make_stream(3, 4).random() == draws[3, 4] != make_stream(3, 4, "other").random()
    assert make_stream(0, 1).random() == pytest.approx(0.4979801656, abs=1e-9)  # in any process


@pytest.mark.parametrize("changes", [1, 2, 5])
def test_a_mutant_is_a_complete_point_that_differs(changes: int) -> None:
    space, rng = mixed_space(), random.Random(0)
    for _ in range(500):
        parent = space.sample(rng)
        before = dict(parent)
        child = mutate(space.parameters, parent, rng, changes)
        assert parent == before != child
        assert list(child) == [p.name for p in space.parameters if is_active(p, child)]
        assert all(p.holds(child[p.name]) for p in space.parameters if p.name in child)


def test_one_change_leaves_the_rest_alone() -> None:
    space, rng = mixed_space(), random.Random(1)
    parents = {
        p.name
        for p in space.parameters
        if any(p.name == n for q in space.parameters for n, _ in q.when)
    }
    for _ in range(300):
        parent = space.sample(rng)
        child = mutate(space.parameters, parent, rng)
        changed = {n for n in parent if n in child and parent[n] != child[n]}
        assert len(changed) == 1 or changed & parents
        if not changed & parents:
            assert set(parent) == set(child)


def test_mutations_reach_every_value() -> None:
    kernel, depth = choice("kernel", 1, 3, 5, 7), Parameter("depth", "int", low=1, high=6)
    rng = random.Random(0)
    seen = Counter(
        tuple(mutate((kernel, depth), {"kernel": 3, "depth": 2}, rng).items()) for _ in range(500)
    )
    assert {v for point in seen for n, v in point if n == "kernel"} == {1, 3, 5, 7}
    assert {v for point in seen for n, v in point if n == "depth"} == {1, 2, 3, 4, 5, 6}


def test_nothing_to_mutate() -> None:
    fixed = (choice("only", "a"), Parameter("n", "int", low=3, high=3))
    assert mutate(fixed, {"only": "a", "n": 3}, random.Random(0)) == {"only": "a", "n": 3}
    assert mutate((), {}, random.Random(0)) == {}


def test_a_change_of_family_drops_and_draws_what_depends_on_it() -> None:
    parameters = small_space().parameters
    point = complete(parameters, {"family": "residual", "kernel": 3, "pool": "max"}, lambda p: 4)
    assert point == {"family": "residual", "width": 4}


def test_points_are_enumerated_lazily_and_in_order() -> None:
    parameters = small_space().parameters
    grid = {p.name: list_levels(p, 10) for p in parameters}
    everything = list(iterate_grid(parameters, grid))
    assert everything[0] == {"family": "plain", "kernel": 3, "pool": "max"}
    assert everything[1] == {"family": "plain", "kernel": 3, "pool": "mean"}
    assert everything[-1] == {"family": "residual", "width": 4}
    assert len(everything) == 10
    for i, point in enumerate(everything):
        assert list(iterate_grid(parameters, grid, after=point)) == everything[i + 1 :]


def test_enumerating_an_enormous_grid_starts_at_once() -> None:
    parameters = tuple(choice(f"c{i}", *range(10)) for i in range(100))
    grid = {p.name: list_levels(p, 10) for p in parameters}
    assert [p["c99"] for p in islice(iterate_grid(parameters, grid), 12)] == [*range(10), 0, 1]


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        (Parameter("x", "float", low=0, high=1), (0.0, 0.25, 0.5, 0.75, 1.0)),
        (Parameter("x", "float", low=1e-4, high=1.0, log=True), (1e-4, 1e-3, 1e-2, 1e-1, 1.0)),
        (Parameter("n", "int", low=2, high=6), (2, 3, 4, 5, 6)),
        (Parameter("n", "int", low=0, high=100), (0, 25, 50, 75, 100)),
        (Parameter("n", "int", low=16, high=256, log=True), (16, 32, 64, 128, 256)),
        (Parameter("n", "int", low=3, high=3), (3,)),
        (choice("c", "a", "b"), ("a", "b")),
    ],
)
def test_levels(parameter: Parameter, expected: tuple[object, ...]) -> None:
    found = list_levels(parameter, 5)
    assert found == (expected if parameter.kind == "choice" else pytest.approx(expected))
    assert all(parameter.holds(value) for value in found)


def test_all_points_of_small_finite_spaces_only() -> None:
    assert len(enumerate_points(small_space().parameters, 10) or []) == 10
    assert enumerate_points(small_space().parameters, 9) is None
    assert enumerate_points(mixed_space().parameters, 1000) is None
    assert enumerate_points((Parameter("n", "int", low=1, high=10**9),), 1000) is None
    assert enumerate_points((), 10) == [{}]
