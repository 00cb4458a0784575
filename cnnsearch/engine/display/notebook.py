"""The live table in a notebook, where no terminal can be redrawn."""

import io
import sys
import time
from typing import TYPE_CHECKING, Any, cast

from cnnsearch.engine.display.lines import Quiet
from cnnsearch.engine.display.live import Live

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live as RichLive

KERNEL = "ZMQInteractiveShell"
"""IPython's shell where a notebook shows what is displayed."""
EVERY = 1.0
"""Seconds between two drawings: each travels to the browser."""
WIDTH = 100
"""Columns of the table."""
_PAGE = '<pre style="line-height: normal">{code}</pre>'


def is_notebook() -> bool:
    """Whether this process is a notebook's; imports nothing."""
    ipython: Any = sys.modules.get("IPython")
    return ipython is not None and type(ipython.get_ipython()).__name__ == KERNEL


class NotebookDisplay(Live):
    """A table of the latest trials, redrawn in the output of a cell; messages are printed."""

    def __init__(self) -> None:
        from rich.console import Console

        super().__init__(Console(width=WIDTH, force_jupyter=False, force_terminal=False))

    def _make_live(self) -> "RichLive":
        return cast("RichLive", _Output(self._console))


class _Output:
    """What :class:`Live` needs of Rich's class of this name, on IPython's display."""

    def __init__(self, console: "Console") -> None:
        self.console, self.is_started = console, False
        self._handle: Any = None
        self._drawn = 0.0

    def start(self) -> None:
        display: Any = sys.modules["IPython"].display
        self._handle = display.display(display.HTML(""), display_id=True)
        self.is_started = True

    def stop(self) -> None:
        self.is_started = False

    def update(self, table: "RenderableType", *, refresh: bool = False) -> None:
        now = time.monotonic()
        if not refresh and now - self._drawn < EVERY:
            return
        self._drawn = now
        display: Any = sys.modules["IPython"].display
        self._handle.update(display.HTML(_to_html(table)))


def _to_html(table: "RenderableType") -> str:
    from rich.console import Console

    console = Console(
        file=io.StringIO(), record=True, width=WIDTH, force_terminal=True, force_jupyter=False
    )
    console.print(table)
    return console.export_html(code_format=_PAGE, inline_styles=True)


def choose_display() -> Quiet:
    """Returns what a search shows that is given no callback: a table in notebooks, else nothing."""
    return NotebookDisplay() if is_notebook() else Quiet()
