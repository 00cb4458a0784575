"""Candidates of a conditional space as arrays, and how alike two of them are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cnnsearch.oracles.points import is_fixed, to_unit

if TYPE_CHECKING:
    from cnnsearch.space.choices import Parameter

Array = npt.NDArray[np.float64]
CACHED = 10_000  # encoded points kept in memory
LEVELS = 16  # steps in which a number's range is compared


@dataclass(frozen=True)
class Points:
    """Encoded candidates.

    Attributes:
        levels: (N, D), the values; the dot product of two rows is the sum of their likenesses.
        active: (N, P), 1 where a hyperparameter is active.
    """

    levels: Array
    active: Array


class Encoder:
    """Encodes the active values of candidates.

    The likeness of two values is 1 if they are equal. That of unordered options is 0 otherwise;
    that of numbers and ordered options is 1 minus their distance in the range.

    Args:
        parameters: The space's hyperparameters, of which those with a single value are ignored.
    """

    def __init__(self, parameters: "Sequence[Parameter]") -> None:
        free = [p for p in parameters if not is_fixed(p)]
        self._places = {p.name: (k, _place_values(p)) for k, p in enumerate(free)}
        # The last row of each is for an inactive hyperparameter, which is like nothing.
        codes = [_make_codes(p) for p in free]
        self._codes = [np.vstack([code, np.zeros_like(code[:1])]) for code in codes]
        self._rows: dict[tuple[tuple[str, Any], ...], list[int]] = {}  # of points seen before

    def encode(self, points: Sequence[Mapping[str, Any]]) -> Points:
        """Returns the arrays of candidates; values that the space does not have are inactive."""
        chosen = np.array([self._find_rows(values) for values in points], int)
        chosen = chosen.reshape(len(points), len(self._codes))
        levels = [codes[chosen[:, column]] for column, codes in enumerate(self._codes)]
        empty = np.zeros((len(points), 0))
        return Points(np.concatenate([empty, *levels], axis=1), (chosen >= 0).astype(float))

    def _find_rows(self, values: Mapping[str, Any]) -> list[int]:
        """Returns the row of each hyperparameter's code; -1 where it is inactive."""
        key = tuple(values.items())
        if key not in self._rows:
            if len(self._rows) >= CACHED:
                self._rows.clear()
            row = self._rows[key] = [-1] * len(self._codes)
            for name, value in values.items():
                if name in self._places:
                    column, place = self._places[name]
                    row[column] = place(value)
        return self._rows[key]


def _place_values(parameter: "Parameter") -> Callable[[Any], int]:
    """Returns a function from a value to the row of its code; -1 if there is none."""
    if parameter.kind != "choice":
        steps = _count_levels(parameter) - 1
        return lambda v: round(to_unit(parameter, v) * steps) if parameter.holds(v) else -1
    rows = {(type(option), option): row for row, option in enumerate(parameter.options)}
    return lambda value: rows.get((type(value), value), -1)


def _count_levels(parameter: "Parameter") -> int:
    if parameter.kind == "int":
        return min(LEVELS, int(parameter.high - parameter.low) + 1)
    return LEVELS


def _make_codes(parameter: "Parameter") -> Array:
    """Returns the row of each option, or of each level of a range."""
    if parameter.kind == "choice" and not parameter.ordered:
        return np.eye(len(parameter.options))
    if parameter.kind != "choice":
        return _make_thermometer(np.arange(_count_levels(parameter)))
    ranked = sorted(parameter.options)
    return _make_thermometer(np.array([ranked.index(option) for option in parameter.options]))


def _make_thermometer(places: "npt.NDArray[np.int64]") -> Array:
    """Returns rows whose dot product is 1 minus the distance of their places, of 1 at most."""
    below = np.arange(len(places) - 1) < places[:, None]
    rows: Array = np.concatenate([below, ~below], axis=1) / np.sqrt(len(places) - 1)
    return rows


def compare(a: Points, b: Points) -> Array:
    """Returns the (N, M) mean likeness over the parameters that are active in either candidate."""
    both = a.active @ b.active.T
    either = a.active.sum(axis=1)[:, None] + b.active.sum(axis=1)[None, :] - both
    likeness: Array = (a.levels @ b.levels.T) / np.maximum(either, 1.0)
    return likeness
