"""Renders a report as Markdown: its text and tables."""

from collections.abc import Sequence

from cnnsearch.report.sections import Section, Table

_SPECIAL = str.maketrans({char: f"\\{char}" for char in "\\`*_[]<>|#"})


def render_markdown(
    title: str, lead: str, key: Sequence[tuple[str, str]], parts: Sequence[Section]
) -> str:
    """Returns the report as Markdown; the arguments are those of :func:`.html.render_html`."""
    lines = [f"# {_escape(title)}", "", _escape(lead), ""]
    lines += [f"- {_escape(name)}: **{_escape(value)}**" for name, value in key]
    for part in parts:
        lines += ["", f"## {_escape(part.title)}"]
        lines += [line for text in part.paragraphs if text.strip() for line in ("", _escape(text))]
        if part.table:
            lines += ["", *_render_table(part.table)]
        if part.code:
            lines += ["", *(f"    {line}" for line in part.code.splitlines())]
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    return " ".join(text.split()).translate(_SPECIAL)


def _render_table(table: Table) -> list[str]:
    rule = ["---:" if i in table.numeric else "---" for i in range(len(table.head))]
    rows = [[_escape(cell) for cell in row] for row in (table.head, *table.rows)]
    return [f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:])]
