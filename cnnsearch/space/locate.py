"""Finds the hyperparameters of a space that give a network, or come nearest to it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.errors import CnnsearchError
from cnnsearch.space.choices import Parameter, Value
from cnnsearch.space.search_space import SearchSpace

ROUNDS = 6
"""Passes over all hyperparameters; the distance rarely falls after the third."""
MOST_VALUES = 64
"""Values of a range that are tried."""
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
    """Finds a network by changing one hyperparameter at a time, from the first options on.

    Image size, channels and classes are the network's. What is not found this way may still be in
    the space; what is found is.
    """
    height, width, channels = network.input
    fitted = space.adapt(classes=network.classes, channels=channels, image=(height, width))
    target = _flatten(network)
    values = fitted.complete({})
    best = _measure(fitted, values, target)
    for _ in range(ROUNDS):
        before = best
        for parameter in list(fitted.list_active(values)):
            best, values = _improve(fitted, parameter, values, target, best)
        if best in (0, before):
            break
    found = fitted.decode(values).architecture
    shown = {key: value for key, value in values.items() if not key.startswith("recipe.")}
    is_exact = found.fingerprint == network.fingerprint
    return Location(shown, is_exact, () if is_exact else tuple(_compare(target, _flatten(found))))


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
    for value in _list_values(parameter):
        tried = space.complete({**values, parameter.name: value})
        distance = _measure(space, tried, target)
        if distance < best:
            best, values = distance, tried
    return best, values


def _list_values(parameter: Parameter) -> tuple[Value, ...]:
    if parameter.kind == "int":
        return tuple(range(int(parameter.low), int(parameter.high) + 1))[:MOST_VALUES]
    return parameter.list_edges()


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
