"""Points of a conditional space: completing, mutating and enumerating them. No Keras Tuner here.

A point is a dict of the active hyperparameters' values, parents first.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnsearch.space.choices import Parameter

Values = dict[str, Any]
LOCAL_STEP = 0.15  # standard deviation of a local mutation, as a fraction of the range


def make_stream(seed: int, number: int, label: str = "") -> Random:
    """Returns the random stream of one trial: a function of its arguments and of nothing else.

    Hashing spaces neighbouring seeds and numbers widely apart.
    """
    digest = hashlib.sha256(f"{seed}/{number}/{label}".encode()).digest()
    return Random(int.from_bytes(digest[:16], "big"))


def is_active(parameter: "Parameter", values: Mapping[str, Any]) -> bool:
    """Whether all conditions of ``parameter`` hold in ``values``."""
    for name, value in parameter.when:  # noqa: SIM110 (all() takes twice as long)
        if name not in values or values[name] != value:
            return False
    return True


def complete(
    parameters: "Sequence[Parameter]",
    values: Mapping[str, Any],
    fill: "Callable[[Parameter], Any]",
) -> Values:
    """Drops what is no longer active in ``values`` and fills what has become active."""
    point: Values = {}
    for parameter in parameters:
        if is_active(parameter, point):
            name = parameter.name
            point[name] = values[name] if name in values else fill(parameter)
    return point


def mutate(
    parameters: "Sequence[Parameter]", values: Mapping[str, Any], rng: Random, changes: int = 1
) -> Values:
    """Changes ``changes`` active values; values that this activates are drawn afresh."""
    free = [p for p in parameters if p.name in values and not is_fixed(p)]
    changed = dict(values)
    for parameter in rng.sample(free, min(changes, len(free))):
        changed[parameter.name] = _redraw(parameter, values[parameter.name], rng)
    return complete(parameters, changed, lambda p: p.sample(rng))


def is_fixed(parameter: "Parameter") -> bool:
    """Whether a parameter has a single value."""
    if parameter.kind == "choice":
        return len(parameter.options) < 2
    return bool(parameter.low == parameter.high)


def _redraw(parameter: "Parameter", value: Any, rng: Random) -> Any:
    """Returns a value other than ``value``: half the time a near one, where there is an order."""
    near = rng.random() < 0.5
    if parameter.kind == "choice":
        if near and parameter.ordered:
            return _step_option(parameter.options, value, rng)
        return rng.choice([option for option in parameter.options if option != value])
    if near:
        step = rng.gauss(0.0, LOCAL_STEP)
        return _shift(parameter, value, step)
    drawn = parameter.sample(rng)
    return (
        drawn if drawn != value else _shift(parameter, value, rng.choice((-LOCAL_STEP, LOCAL_STEP)))
    )


def _step_option(options: Sequence[Any], value: Any, rng: Random) -> Any:
    ordered = sorted(options)
    place = ordered.index(value)
    return ordered[rng.choice([i for i in (place - 1, place + 1) if 0 <= i < len(ordered)])]


def _shift(parameter: "Parameter", value: Any, step: float) -> Any:
    """Moves a number by ``step`` of its range, reflected at the bounds."""
    place = abs(to_unit(parameter, value) + step)
    moved = from_unit(parameter, 1.0 - abs(1.0 - min(place, 2.0)))
    if moved != value or parameter.kind == "float":
        return moved
    up = value + 1 if step > 0 else value - 1
    return up if parameter.low <= up <= parameter.high else 2 * value - up


def to_unit(parameter: "Parameter", value: float) -> float:
    """Returns the place (0 = low, 1 = high) of a number in its range."""
    low, high = float(parameter.low), float(parameter.high)
    if parameter.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def from_unit(parameter: "Parameter", place: float) -> Any:
    """Returns the number at ``place`` (0 = low, 1 = high) of a range, rounded if it is an int's."""
    low, high = float(parameter.low), float(parameter.high)
    value = low * (high / low) ** place if parameter.log else low + place * (high - low)
    value = min(max(value, low), high)
    return round(value) if parameter.kind == "int" else value


def list_levels(parameter: "Parameter", numbers: int) -> tuple[Any, ...]:
    """Returns the values that a grid takes: all options, or up to ``numbers`` of a range."""
    if parameter.kind == "choice":
        return tuple(parameter.options)
    if parameter.low == parameter.high:
        return (from_unit(parameter, 0.0),)
    if parameter.kind == "int" and parameter.high - parameter.low < numbers:
        return tuple(range(int(parameter.low), int(parameter.high) + 1))
    places = (i / (numbers - 1) for i in range(numbers))
    return tuple(dict.fromkeys(from_unit(parameter, place) for place in places))


def iterate_grid(
    parameters: "Sequence[Parameter]",
    grid: Mapping[str, tuple[Any, ...]],
    after: Mapping[str, Any] | None = None,
) -> Iterator[Values]:
    """Enumerates the conditional product lazily, the last parameter fastest.

    Args:
        parameters: The hyperparameters, parents first.
        grid: For each of them the values it takes.
        after: The point to continue after; None to start.
    """
    first = {p.name: grid[p.name][0] for p in parameters}
    point = (
        complete(parameters, first, _fail) if after is None else _find_next(parameters, grid, after)
    )
    while point is not None:
        yield point
        point = _find_next(parameters, grid, point)


def _find_next(
    parameters: "Sequence[Parameter]", grid: Mapping[str, tuple[Any, ...]], point: Mapping[str, Any]
) -> Values | None:
    """Increments the last value that can be, and resets everything behind it."""
    for i in reversed(range(len(parameters))):
        name = parameters[i].name
        if name in point and point[name] != grid[name][-1]:
            kept = {p.name: point[p.name] for p in parameters[:i] if p.name in point}
            kept[name] = grid[name][grid[name].index(point[name]) + 1]
            return complete(parameters, kept, lambda p: grid[p.name][0])
    return None


def _fail(parameter: "Parameter") -> Any:
    raise KeyError(parameter.name)


def enumerate_points(parameters: "Sequence[Parameter]", limit: int) -> list[Values] | None:
    """Returns every point of a finite space of at most ``limit`` points; None of any other."""
    if any(p.kind == "float" and p.low != p.high for p in parameters):
        return None
    grid = {p.name: list_levels(p, limit + 1) for p in parameters if not _is_huge(p, limit)}
    if len(grid) < len(parameters):
        return None
    found = list(islice(iterate_grid(parameters, grid), limit + 1))
    return found if len(found) <= limit else None


def _is_huge(parameter: "Parameter", limit: int) -> bool:
    return parameter.kind == "int" and bool(parameter.high - parameter.low >= limit)
