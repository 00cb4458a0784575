"""A report as Markdown: its words and tables."""

from collections.abc import Sequence

from cnnsearch.report.sections import Section, Table

_SPECIAL = str.maketrans({char: f"\\{char}" for char in "\\`*_[]<>|#"})


def document(
    title: str, lead: str, key: Sequence[tuple[str, str]], parts: Sequence[Section]
) -> str:
    """Returns the report as Markdown.

    Args:
        title: its heading.
        lead: a line under it.
        key: the figures that matter, each with what it is.
        parts: the sections.
    """
    lines = [f"# {_plain(title)}", "", _plain(lead), ""]
    lines += [f"- {_plain(name)}: **{_plain(value)}**" for name, value in key]
    for part in parts:
        lines += ["", f"## {_plain(part.title)}"]
        lines += [line for text in part.paragraphs if text.strip() for line in ("", _plain(text))]
        if part.table:
            lines += ["", *_table(part.table)]
        if part.code:
            lines += ["", *(f"    {line}" for line in part.code.splitlines())]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    return " ".join(text.split()).translate(_SPECIAL)


def _table(table: Table) -> list[str]:
    rule = ["---:" if i in table.numeric else "---" for i in range(len(table.head))]
    rows = [[_plain(cell) for cell in row] for row in (table.head, *table.rows)]
    return [f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:])]
