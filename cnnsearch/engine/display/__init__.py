"""What a person, a log file or a program sees of a search."""

from cnnsearch.engine.display.callback import SearchCallback
from cnnsearch.engine.display.lines import JsonLines, Plain, Quiet
from cnnsearch.engine.display.text import closing, headline, trial_data

__all__ = ["JsonLines", "Plain", "Quiet", "closing", "create_display", "headline", "trial_data"]


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
