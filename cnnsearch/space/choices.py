"""Choices inside plain data: what may vary, when, and the substitution of values.

``{choice: [...]}``, ``{int: [low, high]}``, ``{float: [low, high]}``, ``{log: [low, high]}`` stand
wherever a value stands; ``$name`` and ``$name * 2`` repeat a variable. ``compiler.py`` reads them
into nodes, once; decoding is a walk over the nodes.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cnnsearch.errors import SpaceError
from cnnsearch.utils.validation_errors import shorten

Value = str | int | float | bool
Conditions = tuple[tuple[str, Value], ...]

MOST_VALUES = 64
"""Whole numbers of a range that are tried one by one."""


@dataclass(frozen=True)
class Parameter:
    """One hyperparameter of a space.

    Attributes:
        name: the path of the value in the file; below a chosen option, its label is part of it.
        kind: ``choice`` among ``options``, or a number between ``low`` and ``high``, both included.
        options: all str, all int, all float or all bool.
        low: smallest value of a range.
        high: largest value of a range.
        log: whether the range is sampled uniformly in its logarithm.
        ordered: whether neighbouring options are alike (numbers).
        when: the choices under which the parameter exists at all; every one has to hold.
    """

    name: str
    kind: Literal["choice", "int", "float"]
    options: tuple[Value, ...] = ()
    low: float = 0
    high: float = 0
    log: bool = False
    ordered: bool = False
    when: Conditions = ()

    def sample(self, rng: random.Random) -> Value:
        """Returns a random value."""
        if self.kind == "choice":
            return self.options[rng.randrange(len(self.options))]
        if self.kind == "int":
            return rng.randint(int(self.low), int(self.high))
        if self.log:
            exponent = rng.random()
            return float(self.low * (self.high / self.low) ** exponent)
        return self.low + (self.high - self.low) * rng.random()

    def list_edges(self) -> tuple[Value, ...]:
        """Returns the values worth checking: all options, or both ends of the range."""
        if self.kind == "choice":
            return self.options
        return (int(self.low), int(self.high)) if self.kind == "int" else (self.low, self.high)

    def list_values(self) -> tuple[Value, ...]:
        """Returns all options, the first 64 whole numbers, or both ends of a real range."""
        if self.kind == "int":
            return tuple(range(int(self.low), int(self.high) + 1))[:MOST_VALUES]
        return self.list_edges()

    def list_ends(self) -> tuple[Value, ...]:
        """Returns the smallest and the largest number, or all options where they have no order."""
        if not self.ordered:
            return self.list_edges()
        return tuple(dict.fromkeys(of(self.options) for of in (min, max)))

    def holds(self, value: object) -> bool:
        """Whether ``value`` is one of the parameter's."""
        if self.kind == "choice":
            return any(value == option and type(value) is type(option) for option in self.options)
        if self.kind == "int" and not (isinstance(value, int) and not isinstance(value, bool)):
            return False
        return isinstance(value, int | float) and self.low <= value <= self.high


class Node:
    """Compiled data; :meth:`decode` gives plain data back."""

    def decode(self, values: Mapping[str, Value], variables: Mapping[str, Any]) -> Any:
        """Returns plain data with every choice replaced by its value."""
        raise NotImplementedError

    def count_points(self) -> int:
        """Returns how many different results the discrete choices give."""
        return 1


@dataclass(frozen=True)
class Constant(Node):
    """A value without choices."""

    value: Any

    def decode(self, values: Mapping[str, Value], variables: Mapping[str, Any]) -> Any:
        return self.value


@dataclass(frozen=True)
class Items(Node):
    """A list with choices somewhere inside."""

    nodes: tuple[Node, ...]

    def decode(self, values: Mapping[str, Value], variables: Mapping[str, Any]) -> Any:
        return [node.decode(values, variables) for node in self.nodes]

    def count_points(self) -> int:
        return _multiply_points(self.nodes)


@dataclass(frozen=True)
class Keys(Node):
    """A mapping with choices somewhere inside."""

    nodes: tuple[tuple[str, Node], ...]

    def decode(self, values: Mapping[str, Value], variables: Mapping[str, Any]) -> Any:
        return {key: node.decode(values, variables) for key, node in self.nodes}

    def count_points(self) -> int:
        return _multiply_points([node for _, node in self.nodes])


@dataclass(frozen=True)
class Chosen(Node):
    """A choice among options, or a number from a range (no options)."""

    parameter: Parameter
    options: tuple[Node, ...] = ()

    def decode(self, values: Mapping[str, Value], variables: Mapping[str, Any]) -> Any:
        parameter = self.parameter
        if parameter.name not in values:
            raise SpaceError(f"{parameter.name}: no value is given for this hyperparameter")
        value = values[parameter.name]
        if not parameter.holds(value):
            raise SpaceError(f"{parameter.name}: {shorten(value)} is not one of its values")
        if parameter.kind != "choice":
            return value
        return self.options[parameter.options.index(value)].decode(values, variables)

    def count_points(self) -> int:
        if self.parameter.kind == "int":
            return int(self.parameter.high) - int(self.parameter.low) + 1
        return sum(option.count_points() for option in self.options) if self.options else 1


@dataclass(frozen=True)
class Reference(Node):
    """``$name``, or ``$name * 2``: the value of a variable, multiplied."""

    path: str
    name: str
    factor: float | None = None

    def decode(self, values: Mapping[str, Value], variables: Mapping[str, Any]) -> Any:
        value = variables[self.name]
        if self.factor is None:
            return value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise SpaceError(f"{self.path}: ${self.name} is no number, got {shorten(value)}")
        product = value * self.factor
        return max(1, round(product)) if isinstance(value, int) else product


def add_key(mapping: Node, key: str, node: Node) -> Node:
    """Returns a compiled mapping with one key more."""
    if isinstance(mapping, Keys):
        return Keys((*mapping.nodes, (key, node)))
    plain = mapping.decode({}, {})
    return Keys((*((name, Constant(value)) for name, value in plain.items()), (key, node)))


def _multiply_points(nodes: Sequence[Node]) -> int:
    size = 1
    for node in nodes:
        size *= node.count_points()
    return size


def list_active(
    parameters: Sequence[Parameter], values: Mapping[str, Value]
) -> Iterator[Parameter]:
    """Yields the parameters that exist under ``values``, parents first."""
    for parameter in parameters:
        if not parameter.when or all(values.get(n) == value for n, value in parameter.when):
            yield parameter


def list_corners(parameters: Sequence[Parameter]) -> list[dict[str, Value]]:
    """Returns every combination of the parameters' ends, parents first; inactive ones left out."""
    found: list[dict[str, Value]] = [{}]
    for p in parameters:
        found = [
            {**values, **more}
            for values in found
            for more in (
                [{p.name: end} for end in p.list_ends()]
                if all(values.get(n, v) == v for n, v in p.when)
                else [{}]
            )
        ]
    return found
