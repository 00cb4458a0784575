"""What a report says, section by section, as data that HTML and Markdown are both written from."""

from collections.abc import Sequence
from dataclasses import dataclass

from cnnsearch.oracles import find_strategy
from cnnsearch.report.facts import Facts
from cnnsearch.report.importance import FEWEST, Importances
from cnnsearch.runs.records import TrialRecord
from cnnsearch.utils.units import format_amount, format_count, format_time, pluralize

SHOWN, SHOWN_FRONT = 25, 15
"""Candidates in the tables."""


@dataclass(frozen=True)
class Table:
    """Rows of text under a head; ``numeric`` columns are set to the right."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Section:
    """One part of a report.

    Attributes:
        title: its heading.
        paragraphs: of text.
        figure: name of the picture that belongs here, or nothing.
        table: if any.
        code: a command, if any.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    figure: str = ""
    table: Table | None = None
    code: str = ""


def sections(facts: Facts, mattered: Importances | None) -> list[Section]:
    """Returns the sections of a report, in order."""
    found = [_question(facts), _answer(facts), _front(facts), _progress(facts)]
    found += [_mattered(facts, mattered), _over(facts), _curves(facts)]
    found += [
        _rungs(facts),
        _fidelity(facts),
        _failures(facts),
        _board(facts),
        _cost(facts),
        _again(facts),
    ]
    return [section for section in found if section.paragraphs or section.table or section.code]


def _question(facts: Facts) -> Section:
    data, asked = facts.manifest["dataset"], facts.settings
    bounds = [("parameters", asked.get("max_params")), ("multiply-accumulates", asked["max_macs"])]
    within = [f"at most {format_amount(bound)} {what}" for what, bound in bounds if bound]
    budget = f" within {' and '.join(within)}" if within else ""
    images = ", ".join(f"{data[split]:,} {split}" for split in ("train", "validation", "test"))
    size = f"{data['image'][0]}x{data['image'][1]}"
    count = len(facts.space.continuous)
    continuous = f", times {count} continuous" if count else ""
    return Section(
        "The question",
        (
            f"Which network of the space {facts.space.name!r} has the highest {facts.measured} on "
            f"{data['source']}{budget}?",
            f"{data['source']}: {len(data['class_names'])} classes, images of {size} pixels "
            f"({images}). The search never read the test images.",
            f"The space: {pluralize(len(facts.space.parameters), 'hyperparameter')}, "
            f"{format_count(facts.space.size)} discrete points"
            f"{continuous}. {facts.space.description}",
            f"Strategy {asked['strategy']}, seed {asked['seed']}; {_drawn(facts)}",
        ),
    )


def _drawn(facts: Facts) -> str:
    draws = facts.draws
    if not draws:
        return f"{pluralize(len(facts.trials), 'trial')}."
    return (
        f"{draws['drawn']:,} drawn, {draws['over_budget']:,} over the budget and redrawn, "
        f"{draws['invalid']:,} could not be wired, {draws['duplicates']:,} drawn before."
    )


def _answer(facts: Facts) -> Section:
    best = facts.best
    if best is None:
        return Section("The answer", ("No candidate is finished yet.",))
    tested = tuple(
        (t.what, f"{t.accuracy:.2%}", _interval(t.low, t.high), t.basis) for t in facts.tested
    )
    honest = (
        "The score was used to choose the candidate, so it flatters it; the test accuracy does not."
        if tested
        else "Its score was used to choose it, so it flatters it. The test split has not been "
        f"asked: cnnsearch train best --run {facts.name} does that once."
    )
    unfinished = "" if facts.state == "finished" else f" The search is {facts.state}."
    return Section(
        "The answer",
        (
            f"Trial {best.id}, family {best.family}: {facts.measured} {best.score or 0:.2%}, "
            f"{best.params or 0:,} parameters, {best.macs or 0:,} multiply-accumulates "
            f"({2 * (best.macs or 0):,} FLOPs).{unfinished}",
            honest,
        ),
        figure="architecture",
        table=Table(("model", "test accuracy", "95 % interval", "from"), tested, frozenset({1}))
        if tested
        else None,
    )


def _interval(low: float | None, high: float | None) -> str:
    return "one seed" if low is None or high is None else f"{low:.2%} to {high:.2%}"


def _front(facts: Facts) -> Section:
    if len([trial for trial in facts.ranked if trial.macs]) < 2:
        return Section("Accuracy against cost")
    rows = tuple(_row(trial, facts) for trial in facts.front[-SHOWN_FRONT:])
    rest = f" Below, the {SHOWN_FRONT} most accurate." if len(facts.front) > SHOWN_FRONT else ""
    return Section(
        "Accuracy against cost",
        (f"{pluralize(len(facts.front), 'candidate')} that no other one beats in both.{rest}",),
        figure="front",
        table=Table(
            ("trial", "family", facts.measured, "parameters", "MACs"),
            tuple(row[:5] for row in rows),
            frozenset({2, 3, 4}),
        ),
    )


def _row(trial: TrialRecord, facts: Facts) -> tuple[str, ...]:
    return (
        trial.id,
        trial.family,
        f"{trial.score or 0:.2%}",
        format_amount(trial.params),
        format_amount(trial.macs),
        str(trial.epochs),
        format_time(trial.seconds or 0.0),
    )


def _progress(facts: Facts) -> Section:
    if len(facts.ranked) < 2:
        return Section("Over time")
    first = next(t for t in facts.trials if t.score == facts.ranked[0].score)
    when = format_time(facts.moments.get(first.id, 0.0))
    text = f"The best score came after {when} of {format_time(facts.seconds)}."
    return Section("Over time", (text,), figure="progress")


def _mattered(facts: Facts, found: Importances | None) -> Section:
    if found is None:
        few = f"fewer than {FEWEST} finished candidates, or hyperparameters that never varied"
        return Section("What mattered", (f"Too little to tell: {few}.",))
    trust = "" if found.r2 > 0.3 else " That is little: take the order with care."
    return Section(
        "What mattered",
        (
            f"A random forest foretells {max(0.0, found.r2):.0%} of the variance of scores that it "
            f"has not seen (R² {found.r2:.2f}, {found.candidates} candidates).{trust} Bars: by how "
            "much its error grows when one hyperparameter is shuffled, with the standard deviation "
            "over folds and repetitions. It explains what was drawn, not what could have been.",
        ),
        figure="importance",
    )


def _over(facts: Facts) -> Section:
    if len(facts.ranked) < 2:
        return Section("Candidates over hyperparameters")
    return Section(
        "Candidates over hyperparameters",
        (
            "One line a candidate: the five best thick and orange, of the others the better the "
            "more solid. A line is broken where a hyperparameter does not exist.",
        ),
        figure="parallel",
    )


def _curves(facts: Facts) -> Section:
    text = (f"Of the best {len(facts.curves)}, epoch by epoch.",) if facts.curves else ()
    return Section("Learning curves", text, figure="curves")


def _rungs(facts: Facts) -> Section:
    if not find_strategy(facts.settings["strategy"]).multi_fidelity:
        return Section("Rungs")
    return Section(
        "Rungs", ("How many were trained how long, and what became of them.",), figure="rungs"
    )


def _fidelity(facts: Facts) -> Section:
    unknown = (
        "Whether trials this short rank candidates as long ones would was not studied: "
        f"cnnsearch fidelity {facts.source} does."
    )
    return Section("Fidelity", (facts.fidelity or unknown,))


def _failures(facts: Facts) -> Section:
    retried = f"{pluralize(facts.retried, 'time')} a trial was run again from its last epoch. "
    text = retried if facts.retried else ""
    if not facts.failures:
        return Section("Failures", (f"{text}No candidate failed.",))
    named = tuple((kind, str(count)) for kind, count in sorted(facts.failures.items()))
    examples = {str(t.reason).split(":")[0]: str(t.reason) for t in facts.trials if t.reason}
    rows = tuple((kind, count, examples.get(kind, "")) for kind, count in named)
    table = Table(("kind", "candidates", "for one"), rows, frozenset({1}))
    return Section("Failures", (f"{text}Failed candidates were replaced.",), table=table)


def _board(facts: Facts) -> Section:
    if not facts.ranked:
        return Section("Leaderboard")
    front = {trial.id for trial in facts.front}
    rows = tuple(
        (str(rank), *_row(trial, facts), "●" if trial.id in front else "")
        for rank, trial in enumerate(facts.ranked[:SHOWN], start=1)
    )
    rest = len(facts.ranked) - SHOWN
    head = (
        "rank",
        "trial",
        "family",
        facts.measured,
        "parameters",
        "MACs",
        "epochs",
        "time",
        "front",
    )
    said = f"The best {SHOWN}; {rest} more are in the run." if rest > 0 else ""
    return Section(
        "Leaderboard",
        (said,) if said else (),
        table=Table(head, rows, frozenset({0, 3, 4, 5, 6, 7})),
    )


def _cost(facts: Facts) -> Section:
    device = facts.manifest.get("environment", {}).get("device", "an unknown device")
    sessions = f" in {facts.sessions} sessions" if facts.sessions > 1 else ""
    hours = facts.training_seconds / 3600
    text = (
        f"{format_time(facts.seconds)} of searching{sessions}; "
        f"{format_time(facts.training_seconds)} of training, all candidates together "
        f"({hours:.2f} hours), on {device}. Energy was not measured."
    )
    return Section("What it took", (text,))


def _again(facts: Facts) -> Section:
    environment = facts.manifest.get("environment", {})
    shown: Sequence[tuple[str, str]] = sorted(
        (key, str(value)) for key, value in environment.items() if value is not None
    )
    return Section(
        "To do it again",
        (f"Data fingerprint {facts.manifest['dataset']['fingerprint']}.",),
        table=Table(("what", "version or value"), tuple(shown)),
        code=facts.command,
    )
