"""How a setting declares what its type, default and description do not say."""

from dataclasses import dataclass
from typing import Any

from pydantic import Field
from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class Option:
    """What a setting's type, default and description do not say.

    Attributes:
        key: keyword and key in ``run.json`` where it is not the field's name.
        flag: the command line's flag where it is not made from the key.
        value: what the flag expects where that is text to parse, such as ``TIME``.
        identity: whether it decides what the search finds, so that a resumed run must keep it.
        internal: whether only studies set it, so that the command line has no flag for it.
        panel: title above it in the command line's help where it is not its group's.
        earlier: its value in runs that were begun before there was this setting; None: the default.
    """

    key: str = ""
    flag: str = ""
    value: str = ""
    identity: bool = False
    internal: bool = False
    panel: str = ""
    earlier: Any = None


def define(default: Any, description: str, **facts: Any) -> Any:
    """Declares a setting that a resumed run must keep."""
    return Field(default, description=description, json_schema_extra={"identity": True, **facts})


def define_free(default: Any, description: str, **facts: Any) -> Any:
    """Declares a setting that another session may change: it does not affect what is found."""
    return Field(default, description=description, json_schema_extra=facts)


def read_option(field: FieldInfo) -> Option:
    """Returns the facts about a setting that its field keeps."""
    facts: Any = field.json_schema_extra or {}
    return Option(**facts)


def make_flag(key: str) -> str:
    """Returns the flag of a key that needs no other: ``--max-macs`` of ``max_macs``."""
    return f"--{key.replace('_', '-')}"
