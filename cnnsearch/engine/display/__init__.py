"""Displays of a search: a live table, lines for logs, JSON for programs, or nothing.

Enters: the events of a :class:`SearchCallback`. Leaves: text.
"""

from cnnsearch.engine.display.callback import SearchCallback
from cnnsearch.engine.display.lines import JsonLines, Plain, Quiet
from cnnsearch.engine.display.text import describe_trial, write_closing, write_headline

__all__ = [
    "JsonLines",
    "Plain",
    "Quiet",
    "create_display",
    "describe_trial",
    "write_closing",
    "write_headline",
]


def create_display(mode: str) -> SearchCallback:
    """Returns the display of a mode: ``auto``, ``live``, ``plain``, ``json`` or ``quiet``."""
    if mode == "quiet":
        return Quiet()
    if mode == "json":
        return JsonLines()
    from rich.console import Console

    from cnnsearch.engine.display.live import Live

    console = Console(soft_wrap=mode != "live")
    live = mode == "live" or (mode == "auto" and console.is_terminal)
    return Live(Console()) if live else Plain(console)
