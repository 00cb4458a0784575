"""Reads YAML safely, with numbers as everyone writes them and errors that name the line."""

import re
from typing import TYPE_CHECKING, Any

import yaml

from cnnsearch.errors import SpaceError

MAX_BYTES = 1_000_000
FAST_NESTING = 1_000


class _Rules(yaml.constructor.SafeConstructor):
    """Refuses a key that is there twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} is there twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Loader(_Rules, yaml.SafeLoader):
    """Safe, and reads ``1e-4`` as the number it is."""


if TYPE_CHECKING:
    _FastLoader = _Loader
else:

    class _FastLoader(_Rules, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        """The same by libyaml, ten times as fast."""


for _loader in (_Loader, _FastLoader):
    _loader.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?(?:\d[\d_]*)(?:\.\d*)?[eE][-+]?\d+$"),
        list("-+0123456789"),
    )


def _loader_for(text: str) -> type[_Loader]:
    """Libyaml descends on the C stack: only into what cannot be nested deep enough to burst it."""
    return _FastLoader if sum(map(text.count, "[{-:?")) < FAST_NESTING else _Loader


def read_yaml(text: str, source: str) -> Any:
    """Returns the plain data that ``text`` holds.

    Args:
        text: YAML (JSON is YAML too).
        source: the file, for messages.

    Raises:
        SpaceError: one line with file, line, column and what is wrong there.
    """
    if len(text) > MAX_BYTES:
        raise SpaceError(f"{source}: larger than {MAX_BYTES:,} characters, got {len(text):,}")
    try:
        return yaml.load(text, _loader_for(text))  # noqa: S506  (a SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}, line {mark.line + 1}, column {mark.column + 1}" if mark else source
        raise SpaceError(f"{where}: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise SpaceError(f"{source}: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise SpaceError(f"{source}: nested too deeply") from None
