"""Renders a report as one HTML file: no network, no fonts of its own, light and dark, print."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from cnnsearch.report.sections import Section, Table


def render_html(
    title: str,
    lead: str,
    key: Sequence[tuple[str, str]],
    parts: Sequence[Section],
    figures: Mapping[str, str],
) -> str:
    """Returns the page.

    Args:
        title: its heading.
        lead: a line below it.
        key: the main figures, each as (name, value).
        parts: the sections.
        figures: SVG by name; a section whose figure is empty has none.
    """
    folder = Path(__file__).parent
    style, script = ((folder / name).read_text("utf-8") for name in ("page.css", "page.js"))
    cards = "".join(f"<div><b>{escape(v)}</b><span>{escape(k)}</span></div>" for k, v in key)
    body = "\n".join(_render_section(part, figures) for part in parts)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="cnnsearch">
<title>{escape(title)}</title><style>
{style}</style></head>
<body><main><h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>
<div class="key">{cards}</div>
{body}
<footer>Written by cnnsearch from the run's own records; this file loads nothing from a network.
</footer></main><script>
{script}</script></body></html>
"""


def _render_section(part: Section, figures: Mapping[str, str]) -> str:
    lines = [f"<section><h2>{escape(part.title)}</h2>"]
    lines += [f"<p>{escape(text)}</p>" for text in part.paragraphs if text.strip()]
    figure = figures.get(part.figure, "")
    if figure:
        card = ' class="card"' if part.figure == "architecture" else ""
        lines.append(f"<figure{card} tabindex=0>{figure}</figure>")
    if part.views:
        lines.append(_render_views([(label, figures.get(name, "")) for label, name in part.views]))
    if part.table:
        lines.append(_render_table(part.table))
    if part.code:
        lines.append(f"<pre><code>{escape(part.code)}</code></pre>")
    return "\n".join([*lines, "</section>"])


def _render_views(views: Sequence[tuple[str, str]]) -> str:
    """Renders figures of which one is shown; without a choice, without buttons."""
    if len(views) == 1:
        return f"<figure tabindex=0>{views[0][1]}</figure>"
    items = (
        f"<input type=radio name=view id=view-{n}{'' if n else ' checked'}>"
        f"<label for=view-{n}>{escape(label)}</label><figure tabindex=0>{figure}</figure>"
        for n, (label, figure) in enumerate(views)
    )
    return f'<div class="views" role=group aria-label="cost">{"".join(items)}</div>'


def _render_table(table: Table) -> str:
    def render_row(row: Sequence[str], tag: str) -> str:
        scope = " scope=col" if tag == "th" else ""
        cells = (
            f"<{tag}{scope}{' class=n' if i in table.numeric else ''}>{escape(cell)}</{tag}>"
            for i, cell in enumerate(row)
        )
        return f"<tr>{''.join(cells)}</tr>"

    sort = ' class="sort"' if len(table.rows) > 2 and table.numeric else ""
    body = "\n".join(render_row(row, "td") for row in table.rows)
    return (
        f'<div class="scroll" tabindex=0><table{sort}><thead>{render_row(table.head, "th")}</thead>'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )
