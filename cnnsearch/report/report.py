"""Writes a report of a run: one HTML file, Markdown, or both."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.errors import CnnsearchError, RunError, suggest
from cnnsearch.report import figures
from cnnsearch.report.facts import Facts, facts_of
from cnnsearch.report.html import page
from cnnsearch.report.importance import Importances, importances
from cnnsearch.report.markdown import document
from cnnsearch.report.sections import sections
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.utils.atomic_files import write_text
from cnnsearch.utils.units import format_amount, format_time, pluralize

FORMATS = ("html", "md", "both")
FILE = "report"


def write_report(
    run: RunDirectory, out: str | Path | None = None, form: str = "html", *, force: bool = False
) -> list[Path]:
    """Writes what a search asked, found and took, with pictures, in files that need no network.

    Args:
        run: the search; one that is unfinished is reported as far as it is.
        out: the file to write, without or with ``.html`` or ``.md``; None: ``report`` in the run's
            folder, which is written anew.
        form: ``html``, ``md`` or ``both``.
        force: replace what is there.

    Returns:
        The files.

    Raises:
        CnnsearchError: the format is unknown, a file is there already or cannot be written, or the
            run is no search.
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
            raise CnnsearchError(f"--out {path}: is already there (--force replaces it)")
    facts = facts_of(run)
    mattered = importances(facts.space.parameters, facts.trials)
    for path in paths:
        _write(path, _html(facts, mattered) if path.suffix == ".html" else _md(facts, mattered))
    return paths


def _html(facts: Facts, mattered: Importances | None) -> str:
    names = [each.name for each in mattered.each] if mattered else []
    names += [p.name for p in facts.space.parameters if p.name not in names and not p.when]
    several = len(facts.ranked) > 1
    drawn = {
        "front": figures.front_figure(facts) if several else "",
        "progress": figures.progress_figure(facts) if several else "",
        "importance": figures.importance_figure(mattered) if mattered else "",
        "parallel": figures.parallel_figure(facts, names),
        "curves": figures.curves_figure(facts),
        "rungs": figures.rungs_figure(facts),
        "architecture": _architecture(facts),
    }
    return page(_title(facts), _lead(facts), _key(facts), sections(facts, mattered), drawn)


def _md(facts: Facts, mattered: Importances | None) -> str:
    return document(_title(facts), _lead(facts), _key(facts), sections(facts, mattered))


def _title(facts: Facts) -> str:
    return f"Search {facts.name}"


def _lead(facts: Facts) -> str:
    source = facts.manifest["dataset"]["source"]
    return (
        f"{facts.space.name} on {source}: {pluralize(len(facts.trials), 'trial')}, {facts.state}."
    )


def _key(facts: Facts) -> Sequence[tuple[str, str]]:
    best = facts.best
    if best is None:
        return [("candidates finished", "0")]
    found = [(f"best {facts.measured}", f"{best.score or 0.0:.2%}")]
    found += [(f"test accuracy, {one.what}", f"{one.accuracy:.2%}") for one in facts.tested[-1:]]
    return [
        *found,
        ("parameters", format_amount(best.params)),
        ("multiply-accumulates", format_amount(best.macs)),
        ("candidates finished", f"{len(facts.ranked):,}"),
        ("of searching", format_time(facts.seconds)),
    ]


def _architecture(facts: Facts) -> str:
    """The best candidate drawn; nothing if it cannot be."""
    if facts.best is None:
        return ""
    from cnnsearch.architecture.drawing import draw

    with tempfile.TemporaryDirectory() as folder:
        try:
            network = Architecture.from_data(dict(facts.best.architecture))
            text = draw(network, Path(folder) / "network.svg").read_text("utf-8")
        except CnnsearchError:
            return ""
    return figures.embedded(text, "The best candidate's network")


def _write(path: Path, text: str) -> None:
    try:
        write_text(path, text)
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror or error}") from None
