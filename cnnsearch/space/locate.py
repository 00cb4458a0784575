"""Finds the hyperparameters of a space that give a network, or come nearest to it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.errors import ArchitectureError, CnnsearchError
from cnnsearch.space.choices import Parameter, Value
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.space.unify import unify

ROUNDS = 6
"""Passes over all hyperparameters; the distance rarely falls after the third."""
ABSENT = "absent"


@dataclass(frozen=True)
class Location:
    """Where a network lies in a space.

    Attributes:
        values: of the hyperparameters of the architecture.
        is_exact: whether they give the very network.
        differences: what is left: the place, its value in the network, its value in the space.
    """

    values: Mapping[str, Value]
    is_exact: bool
    differences: tuple[tuple[str, str, str], ...]


def locate(network: Architecture, space: SearchSpace) -> Location:
    """Finds a network by changing one hyperparameter at a time, then by wiring part after part.

    Image size, channels and classes are the network's. What is found neither way may still be in
    the space; what is found is.
    """
    height, width, channels = network.input
    fitted = space.adapt(classes=network.classes, channels=channels, image=(height, width))
    target = _flatten(network)
    values = _approach(fitted, target)
    if not _gives(fitted, values, network):
        values = _unify(fitted, network) or values
    found = fitted.decode(values).architecture
    shown = {key: value for key, value in values.items() if not key.startswith("recipe.")}
    is_exact = found.fingerprint == network.fingerprint
    return Location(shown, is_exact, () if is_exact else tuple(_compare(target, _flatten(found))))


def _gives(space: SearchSpace, values: Mapping[str, Value], network: Architecture) -> bool:
    return space.decode(values).architecture.fingerprint == network.fingerprint


def _unify(space: SearchSpace, network: Architecture) -> dict[str, Value] | None:
    """Returns values found by the wiring, with the stochastic depth that it leaves out."""
    try:
        found = unify(network, space)
    except ArchitectureError:  # a network that cannot be wired
        return None
    if found is None:
        return None
    rates = [p for p in space.parameters if p.name == "drop_path"]
    tried = [{**found, p.name: value} for p in rates for value in p.list_values()] or [found]
    return next((v for v in map(space.complete, tried) if _gives(space, v, network)), None)


def _approach(space: SearchSpace, target: Mapping[str, Any]) -> dict[str, Value]:
    """Returns the values found by changing one hyperparameter at a time."""
    values = space.complete({})
    best = _measure(space, values, target)
    for _ in range(ROUNDS):
        before = best
        for parameter in list(space.list_active(values)):
            best, values = _improve(space, parameter, values, target, best)
        if best in (0, before):
            break
    return values


def _improve(
    space: SearchSpace,
    parameter: Parameter,
    values: dict[str, Value],
    target: Mapping[str, Any],
    best: int,
) -> tuple[int, dict[str, Value]]:
    """Returns the best distance over one hyperparameter's values, and all values with it."""
    if parameter.name.startswith("recipe."):
        return best, values
    for value in parameter.list_values():
        tried = space.complete({**values, parameter.name: value})
        distance = _measure(space, tried, target)
        if distance < best:
            best, values = distance, tried
    return best, values


def _measure(space: SearchSpace, values: Mapping[str, Value], target: Mapping[str, Any]) -> int:
    """Returns how many places differ."""
    try:
        found = _flatten(space.decode(values).architecture)
    except CnnsearchError:
        return len(target) + 1000
    return sum(target.get(key, ABSENT) != found.get(key, ABSENT) for key in {*target, *found})


def _flatten(network: Architecture) -> dict[str, Any]:
    data = network.model_dump(mode="json", exclude={"name", "description"})
    return dict(_list_leaves(data, ""))


def _list_leaves(data: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(data, Mapping | list):
        pairs = data.items() if isinstance(data, Mapping) else enumerate(data)
        for key, value in pairs:
            yield from _list_leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, data


def _compare(target: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for key in dict.fromkeys([*target, *found]):
        wanted, there = target.get(key, ABSENT), found.get(key, ABSENT)
        if wanted != there:
            yield key, str(wanted), str(there)
