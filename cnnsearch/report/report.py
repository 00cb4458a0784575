"""Writes the report of a search: one HTML file, Markdown, or both."""

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from pathlib import Path

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.errors import CnnsearchError, RunError, suggest
from cnnsearch.report import figures
from cnnsearch.report.canvas import CANVASES, Canvas, embed_svg
from cnnsearch.report.coordinates import draw_parallel_coordinates
from cnnsearch.report.facts import Facts, collect_facts
from cnnsearch.report.html import render_html
from cnnsearch.report.importance import Importances, compute_importances
from cnnsearch.report.markdown import render_markdown
from cnnsearch.report.sections import write_sections
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.utils.atomic_files import write_text
from cnnsearch.utils.units import format_amount, format_time, pluralize

FORMATS = ("html", "md", "both")
FILE = "report"


class ReportFiles(list[Path]):
    """The files of a report."""

    def _repr_html_(self) -> str:
        """Returns the page in a frame of its own, so that its style stays in it."""
        pages = [path for path in self if path.suffix == ".html" and path.is_file()]
        if not pages:
            return f"<pre>{escape(repr(list(self)))}</pre>"
        page = escape(pages[0].read_text("utf-8"))
        return f'<iframe srcdoc="{page}" style="width: 100%; height: 600px; border: 0"></iframe>'


def write_report(
    run: RunDirectory, out: str | Path | None = None, form: str = "html", *, force: bool = False
) -> "ReportFiles":
    """Writes the task, the result, the course and the cost of a search to self-contained files.

    Args:
        run: the search; an unfinished one is reported as far as it is.
        out: the file to write, with or without ``.html`` or ``.md``; None: ``report`` in the run's
            folder, which is overwritten.
        form: ``html``, ``md`` or ``both``.
        force: overwrite ``out``.

    Returns:
        The files; a notebook shows the page.

    Raises:
        CnnsearchError: the format is unknown, a file exists or cannot be written, or the run is not
            a search.
    """
    if form not in FORMATS:
        known, hint = ", ".join(FORMATS), suggest(form, FORMATS)
        raise CnnsearchError(f"--format: expected {known}, got {form!r}{hint}")
    base = run.path / FILE if out is None else Path(out)
    base = base.with_suffix("") if base.suffix in (".html", ".md") else base
    kinds = ("html", "md") if form == "both" else (form,)
    paths = [base.with_name(f"{base.name}.{kind}") for kind in kinds]
    for path in paths:
        if out is not None and path.exists() and not force:
            raise CnnsearchError(f"--out {path}: already exists (--force replaces it)")
    facts = collect_facts(run)
    importances = compute_importances(facts.space.parameters, facts.trials)
    for path in paths:
        text = _render(facts, importances, html=path.suffix == ".html")
        try:
            write_text(path, text)
        except OSError as error:
            why = error.strerror or error
            raise RunError(f"{path}: cannot be written: {why}") from None
    return ReportFiles(paths)


def _render(facts: Facts, importances: Importances | None, *, html: bool) -> str:
    trials = pluralize(len(facts.trials), "trial")
    source = facts.manifest["dataset"]["source"]
    title = f"Search {facts.name}"
    lead = f"{facts.space.name} on {source}: {trials}, {facts.state}."
    parts = write_sections(facts, importances)
    if not html:
        return render_markdown(title, lead, _list_key_figures(facts), parts)
    return render_html(title, lead, _list_key_figures(facts), parts, _draw(facts, importances))


def _draw(facts: Facts, importances: Importances | None) -> dict[str, str]:
    names = [each.name for each in importances.each] if importances else []
    names += [p.name for p in facts.space.parameters if p.name not in names and not p.when]
    several = len(facts.ranked) > 1
    drawings: dict[str, Callable[[Canvas], str]] = {
        "parallel": partial(draw_parallel_coordinates, facts, names),
        "curves": partial(figures.draw_curves, facts),
        "rungs": partial(figures.draw_rungs, facts),
    }
    if several:
        fronts = {f"front {kind.name}": kind for kind in facts.tradeoffs}
        drawings |= {n: partial(figures.draw_front, facts, kind) for n, kind in fronts.items()}
        drawings["progress"] = partial(figures.draw_progress, facts)
    if importances:
        drawings["importance"] = partial(figures.draw_importance, importances)
    drawn = {name: _draw_for_screens(draw) for name, draw in drawings.items()}
    return {**drawn, "architecture": _draw_architecture(facts)}


def _draw_for_screens(draw: Callable[[Canvas], str]) -> str:
    """Draws a figure for wide screens and for phones; the page shows one of them."""
    drawn = [(canvas.name, draw(canvas)) for canvas in CANVASES]
    return "".join(f'<div class="{name}">{text}</div>' for name, text in drawn if text)


def _list_key_figures(facts: Facts) -> Sequence[tuple[str, str]]:
    best = facts.best
    if best is None:
        return [("candidates finished", "0")]
    tested = [each for each in facts.evaluations if each.split == "test"][-1:]
    return [
        (f"best {facts.measured}", f"{best.score or 0.0:.2%}"),
        *((f"test accuracy, {each.model}", f"{each.accuracy:.2%}") for each in tested),
        ("parameters", format_amount(best.params)),
        ("multiply-accumulates", format_amount(best.macs)),
        ("candidates finished", f"{len(facts.ranked):,}"),
        ("search time", format_time(facts.seconds)),
    ]


def _draw_architecture(facts: Facts) -> str:
    """Draws the best candidate; returns nothing if it cannot be drawn."""
    if facts.best is None:
        return ""
    from cnnsearch.architecture.drawing import draw

    with tempfile.TemporaryDirectory() as folder:
        try:
            network = Architecture.from_data(dict(facts.best.architecture))
            text = draw(network, Path(folder) / "network.svg").read_text("utf-8")
        except CnnsearchError:
            return ""
    return embed_svg(text, "The best candidate's network")
