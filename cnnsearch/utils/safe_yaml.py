"""Reads YAML safely, with ``1e-4`` as a number and errors that name the line."""

import re
from typing import TYPE_CHECKING, Any

import yaml

from cnnsearch.errors import SpaceError

MAX_CHARACTERS = 100_000
MAX_EVENTS = 50_000
MAX_NESTING = 100
MAX_MERGED = 256


class _Rules(yaml.constructor.SafeConstructor):
    """Refuses duplicate keys, and merges (``<<``) that multiply."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > MAX_MERGED:
            raise yaml.constructor.ConstructorError(
                None, None, f"more than {MAX_MERGED} keys, including merged ones", node.start_mark
            )

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"duplicate key {key.value!r}", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


if TYPE_CHECKING:
    _Base = yaml.SafeLoader
else:
    _Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times as fast


class _Loader(_Rules, _Base):
    """Safe, and reads ``1e-4`` as the number it is."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:\d[\d_]*)(?:\.\d*)?[eE][-+]?\d+$"),
    list("-+0123456789"),
)


def _check_size(text: str, source: str) -> None:
    """Refuses deep nesting: libyaml composes recursively and would overflow the C stack."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, _Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_NESTING or number > MAX_EVENTS:
            what = "nested too deeply" if depth > MAX_NESTING else "too many values"
            raise SpaceError(f"{source}, line {_line(event)}: {what}")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def read_yaml(text: str, source: str) -> Any:
    """Parses YAML into plain data.

    Args:
        text: YAML (JSON is YAML too).
        source: the file, for messages.

    Raises:
        SpaceError: the text is not valid YAML; names file, line and column.
    """
    if len(text) > MAX_CHARACTERS:
        raise SpaceError(f"{source}: larger than {MAX_CHARACTERS:,} characters, got {len(text):,}")
    try:
        _check_size(text, source)
        return yaml.load(text, _Loader)  # noqa: S506  (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}, line {mark.line + 1}, column {mark.column + 1}" if mark else source
        raise SpaceError(f"{where}: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise SpaceError(f"{source}: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise SpaceError(f"{source}: nested too deeply") from None
