"""Turns the settings of ``engine.settings`` into options of the command line."""

import inspect
from collections.abc import Callable, Sequence
from types import NoneType
from typing import Annotated, Any, Final, TypeVar, get_args, get_origin

import typer

from cnnsearch.architecture.costs import COUNTED
from cnnsearch.cli.completion import SETTINGS as COMPLETIONS
from cnnsearch.engine.settings import GROUPS, SETTINGS, Setting

BUDGETS: Final = tuple(kind.budget for kind in COUNTED)
"""Keys of the settings that bound a cost."""
Command = TypeVar("Command", bound=Callable[..., Any])


def list_keys(*groups: str) -> list[str]:
    """Returns the keys of some groups of settings (all if none is named) that have a flag."""
    return [
        key
        for key, each in SETTINGS.items()
        if each.group in (groups or GROUPS) and not each.option.internal
    ]


def add_settings(
    keys: Sequence[str], *, as_changes: bool = False, **helps: str
) -> Callable[[Command], Command]:
    """Gives a command that takes ``**settings`` an option for each key.

    Args:
        keys: of settings.
        as_changes: every option's default is None: leave the setting as it is.
        **helps: other help texts, by key.
    """

    def decorate(command: Command) -> Command:
        own = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in inspect.signature(command).parameters.values()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        made = [_make_parameter(SETTINGS[key], as_changes, helps.get(key)) for key in keys]
        first = [p for p in own if p.default is inspect.Parameter.empty]
        parameters = [*first, *made, *(p for p in own if p not in first)]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        return command

    return decorate


def _make_parameter(setting: Setting, as_change: bool, text: str | None) -> inspect.Parameter:
    kind = _find_type(setting)
    default = None if as_change or kind == list[str] else setting.field.default
    optional = kind if default is not None else kind | None
    option = typer.Option(
        setting.flag,
        help=text or setting.field.description,
        metavar=setting.option.value or None,
        rich_help_panel=setting.panel,
        autocompletion=COMPLETIONS.get(setting.key),
    )
    return inspect.Parameter(
        setting.key,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[optional, option],
    )


def _find_type(setting: Setting) -> Any:
    """Returns the type that Typer parses: text where the model itself reads the value."""
    annotation = setting.field.annotation
    if get_origin(annotation) is tuple:
        return list[str]
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType] or [annotation]
    return kinds[0] if kinds[0] in (bool, int, float) else str
