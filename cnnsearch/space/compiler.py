"""Compiles plain data with choices in it into nodes, and reports errors in it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final

from cnnsearch.errors import SpaceError, suggest
from cnnsearch.space.choices import (
    Chosen,
    Conditions,
    Constant,
    Items,
    Keys,
    Node,
    Parameter,
    Reference,
    Value,
)
from cnnsearch.utils.validation_errors import shorten

KINDS = ("choice", "int", "float", "log")
ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("loguniform", "log_uniform", "log_float", "qloguniform"), "log"),
        **dict.fromkeys(("uniform", "quniform", "real"), "float"),
        **dict.fromkeys(("randint", "integer", "range", "uniform_int"), "int"),
        **dict.fromkeys(("choices", "categorical", "options", "one_of", "values"), "choice"),
    }
)
"""What other tools call the kinds."""
MAX_DEPTH = 40
MAX_NODES = 10_000
MAX_PARAMETERS = 256
MAX_OPTIONS = 1000
LARGEST = 10**18
_REFERENCE = re.compile(r"\$([A-Za-z_]\w*)(?:\s*\*\s*(\d+(?:\.\d+)?))?")


@dataclass
class Compiler:
    """Compiles data into nodes and collects the parameters, parents first.

    Attributes:
        source: the file, for messages.
        variables: the names that may be referred to; a variable sees those above it.
    """

    source: str
    variables: list[str] = field(default_factory=list)
    parameters: list[Parameter] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    _names: set[str] = field(default_factory=set)
    nodes: int = 0

    def compile(self, data: object, path: str, when: Conditions = (), depth: int = 0) -> Node:
        """Returns the node of ``data``.

        Args:
            data: plain data as YAML gives it.
            path: its place in the file.
            when: the choices that it depends on.
            depth: how deep it is nested.

        Raises:
            SpaceError: one line: file, key, rule and value.
        """
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            rule = f"more than {MAX_DEPTH} levels deep or {MAX_NODES} values in all"
            raise self.make_error(path[:80], rule, "")
        if isinstance(data, Mapping):
            return self._compile_mapping(data, path, when, depth)
        if isinstance(data, list | tuple):
            nodes = [
                self.compile(item, f"{path}.{i}", when, depth + 1) for i, item in enumerate(data)
            ]
            return (
                Items(tuple(nodes)) if _varies(nodes) else Constant([_get_value(n) for n in nodes])
            )
        if isinstance(data, str):
            return self._compile_text(data, path)
        if not isinstance(data, str | int | float | bool | None):
            raise self.make_error(
                path, "expected text, a number, true, false, a list or a mapping", data
            )
        if isinstance(data, int) and abs(data) > LARGEST:
            raise self.make_error(path, f"a whole number beyond {LARGEST:.0e}", "")
        return Constant(data)

    def _compile_text(self, text: str, path: str) -> Node:
        if not "".join(text.split()).isprintable():
            raise self.make_error(path, "expected text that can be printed", text)
        return self._compile_reference(text, path) if text.startswith("$") else Constant(text)

    def make_error(self, path: str, rule: str, value: object) -> SpaceError:
        """Returns the error that ``rule`` is broken at ``path``."""
        got = f", got {shorten(value)}" if value != "" else ""
        return SpaceError(f"{self.source}: {path}: {rule}{got}")

    def _compile_mapping(
        self, data: Mapping[Any, Any], path: str, when: Conditions, depth: int
    ) -> Node:
        if not all(isinstance(key, str) for key in data):
            raise self.make_error(
                path, "keys are words", next(k for k in data if not isinstance(k, str))
            )
        kind = next((key for key in data if key in KINDS), None)
        if kind is not None:
            if len(data) > 1:
                raise self.make_error(
                    path, f"no other key is allowed beside {kind!r}", sorted(data)
                )
            return self._compile_choice_or_range(kind, data[kind], path, when, depth)
        self._check_kind(data, path)
        nodes = [
            (key, self.compile(value, f"{path}.{key}" if path else key, when, depth + 1))
            for key, value in data.items()
        ]
        if _varies([node for _, node in nodes]):
            return Keys(tuple(nodes))
        return Constant({key: _get_value(node) for key, node in nodes})

    def _check_kind(self, data: Mapping[str, Any], path: str) -> None:
        """Refuses a mapping that is a misspelt choice or range: one key, and a list."""
        key, value = next(iter(data.items()), ("", None))
        if len(data) != 1 or not isinstance(value, list):
            return
        near = get_close_matches(key, KINDS, n=1, cutoff=0.8)
        meant = ALIASES.get(key) or (near[0] if near else None)
        if meant is not None:
            raise self.make_error(
                path, f"unknown kind of choice {key!r}, did you mean {meant!r}?", ""
            )

    def _compile_choice_or_range(
        self, kind: str, data: object, path: str, when: Conditions, depth: int
    ) -> Node:
        if path in self._names:
            raise self.make_error(path, "two choices have this one name", "")
        self._names.add(path)
        if len(self.parameters) == MAX_PARAMETERS:
            raise self.make_error(path, f"more than {MAX_PARAMETERS} hyperparameters in all", "")
        if kind == "choice":
            return self._compile_choice(data, path, when, depth)
        parameter = self._compile_range(kind, data, path, when)
        self.parameters.append(parameter)
        return Chosen(parameter)

    def _compile_choice(self, data: object, path: str, when: Conditions, depth: int) -> Node:
        if not isinstance(data, list) or not data:
            raise self.make_error(f"{path}.choice", "expected a list of at least one option", data)
        if len(data) > MAX_OPTIONS:
            raise self.make_error(f"{path}.choice", f"expected at most {MAX_OPTIONS:,}", len(data))
        labels = make_labels(data)
        for label in labels:
            if labels.count(label) > 1:
                raise self.make_error(f"{path}.choice", "an option is there twice", label)
        ordered = all(isinstance(x, int | float) and not isinstance(x, bool) for x in labels)
        parameter = Parameter(path, "choice", tuple(labels), ordered=ordered, when=when)
        self.parameters.append(parameter)
        options = [
            self.compile(option, f"{path}.{label}", (*when, (path, label)), depth + 1)
            for option, label in zip(data, labels, strict=True)
        ]
        return Chosen(parameter, tuple(options))

    def _compile_range(self, kind: str, data: object, path: str, when: Conditions) -> Parameter:
        place = f"{path}.{kind}"
        numbers = isinstance(data, list) and len(data) == 2 and all(map(_is_number, data))
        if not isinstance(data, list) or not numbers:
            raise self.make_error(place, "expected [lowest, highest], two numbers", data)
        low, high = data
        if kind == "int" and not (isinstance(low, int) and isinstance(high, int)):
            raise self.make_error(place, "expected two whole numbers", data)
        if low > high:
            raise self.make_error(place, "the lowest number comes first", data)
        if kind == "log" and low <= 0:
            raise self.make_error(place, "a logarithmic range has to be above zero", data)
        if kind == "int":
            return Parameter(path, "int", low=low, high=high, when=when)
        return Parameter(
            path, "float", low=float(low), high=float(high), log=kind == "log", when=when
        )

    def _compile_reference(self, text: str, path: str) -> Node:
        match = _REFERENCE.fullmatch(text.strip())
        if match is None:
            raise self.make_error(path, "expected $name or $name * number", text)
        if match[1] not in self.variables:
            raise SpaceError(f"{self.source}: {path}: {self._explain_undefined(match[1])}")
        self.used.add(match[1])
        return Reference(path, match[1], float(match[2]) if match[2] else None)

    def _explain_undefined(self, name: str) -> str:
        known = suggest(name, self.variables)
        if not known and self.variables:
            known = f" (defined above it: {', '.join(self.variables)})"
        where = f"; text that starts with $ is the name of an entry of variables: {{{name}: ...}}"
        return f"variable ${name} is not defined{known or where}"


def _varies(nodes: Sequence[Node]) -> bool:
    return not all(isinstance(node, Constant) for node in nodes)


def _get_value(node: Node) -> Any:
    return node.value if isinstance(node, Constant) else None


def _is_number(value: object) -> bool:
    finite = isinstance(value, int | float) and abs(value) < 1e300
    return finite and not isinstance(value, bool)


def make_labels(options: Sequence[object]) -> list[Value]:
    """Returns one value an option, all of one type: the options themselves, or words for them."""
    if all(type(option) is type(options[0]) for option in options) and isinstance(
        options[0], str | int | float
    ):
        return list(options)  # type: ignore[arg-type]
    if all(_is_number(option) for option in options):
        return [float(option) for option in options]  # type: ignore[arg-type]
    words = [_make_label(option) for option in options]
    return [
        word if words.count(word) == 1 else f"{word}-{words[: i + 1].count(word)}"
        for i, word in enumerate(words)
    ]


def _make_label(option: object) -> str:
    if isinstance(option, Mapping):
        kind = option.get("type", option.get("block", "option"))
        if kind == "option" and option and all(_is_number(x) for x in option.values()):
            return ",".join(f"{key}={x:g}" for key, x in option.items())
        return _make_label(kind) if isinstance(kind, str | Mapping) else "option"
    if isinstance(option, str):
        return option.lstrip("$")
    if isinstance(option, list) and all(isinstance(x, int | float) for x in option):
        return "x".join(str(x) for x in option)
    return json.dumps(option) if isinstance(option, bool | int | float | None) else "option"
