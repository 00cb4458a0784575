"""The help of one command: options in panels, one way of showing defaults, examples."""

from collections.abc import Sequence
from typing import Any, Final

from typer.core import TyperCommand

PANELS: Final = ("Data", "Budget", "Search", "Training", "Transfer", "Hardware", "Output")
"""Titles of groups of options, in the order of the help."""
FEW = 10
"""So many options are listed under one title."""


class Command(TyperCommand):
    """A command whose help is made for reading at 80 columns."""

    def __init__(self, name: str | None, **facts: Any) -> None:
        super().__init__(name, **facts)
        for parameter in self.params:
            _name_value(parameter)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        # Typer puts required arguments in braces, before the dots of those that repeat.
        return [
            piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)
        ]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        parameters = [each for each in self.get_params(ctx) if not getattr(each, "hidden", False)]
        arguments = [each for each in parameters if each.param_type_name == "argument"]
        options = [each for each in parameters if each.param_type_name == "option"]
        _write_section(formatter, "Arguments", arguments, ctx)
        if len(options) <= FEW:
            _write_section(formatter, "Options", options, ctx)
            return
        panels = [
            "Output" if each.name == "help" else getattr(each, "rich_help_panel", None)
            for each in options
        ]
        for title in (None, *PANELS):
            chosen = [each for each, panel in zip(options, panels, strict=True) if panel == title]
            _write_section(formatter, title or "Options", chosen, ctx)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Writes the examples as they are, one per line."""
        if self.epilog:
            with formatter.section("Examples"):
                for line in self.epilog.splitlines():
                    formatter.write(f"  {line}\n")


def describe_parameter(parameter: Any) -> str:
    """Returns a parameter's help with its default; flags that are off have none worth printing."""
    text = str(parameter.help or "")
    value = getattr(parameter.default, "value", parameter.default)
    if value is None or value is False or value in ((), []) or parameter.name == "help":
        return text
    shown = parameter.opts[0] if value is True else str(value)
    return f"{text.removesuffix('.')}; default: {shown}."


def _name_value(parameter: Any) -> None:
    """Names a parameter's value in capitals, as its name or by its type."""
    is_enum = hasattr(parameter.type_descriptor.annotation, "__members__")
    if parameter.metavar or is_enum or getattr(parameter, "is_flag", False):
        return
    kind = parameter.type_descriptor.annotation
    name = str(parameter.name).strip("_").upper().rpartition("_")[2]
    is_option = parameter.param_type_name == "option"
    parameter.metavar = {int: "N", float: "X"}.get(kind, name) if is_option else name


def _write_section(formatter: Any, title: str, parameters: Sequence[Any], ctx: Any) -> None:
    rows = [(_spell(each, ctx), describe_parameter(each)) for each in parameters]
    if rows:
        with formatter.section(title):
            formatter.write_dl(rows, col_max=26)


def _spell(parameter: Any, ctx: Any) -> str:
    """Returns how a parameter is written."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar)
    return str(parameter.get_help_record(ctx)[0])
