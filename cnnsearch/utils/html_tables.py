"""Tables as HTML, for notebooks; Jupyter gives them its own style."""

from collections.abc import Iterable, Sequence
from html import escape


def render_table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Returns a table below a title; everything in it is escaped."""
    body = "".join(_render_row(row, "td") for row in rows)
    return (
        f"<p><b>{escape(title)}</b></p>"
        f"<table><thead>{_render_row(head, 'th')}</thead><tbody>{body}</tbody></table>"
    )


def _render_row(cells: Sequence[object], tag: str) -> str:
    inside = "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells)
    return f"<tr>{inside}</tr>"
