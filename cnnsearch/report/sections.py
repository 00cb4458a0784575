"""Writes a report section by section, as data that HTML and Markdown are rendered from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cnnsearch.architecture.costs import describe_costs, list_bounds
from cnnsearch.engine.gain import describe_gain
from cnnsearch.oracles import find_strategy
from cnnsearch.report.canvas import MOST_TIPS
from cnnsearch.report.facts import Facts
from cnnsearch.report.importance import MIN_CANDIDATES, Importances
from cnnsearch.runs.records import TrialRecord
from cnnsearch.utils.units import format_count, format_time, pluralize

MAX_ROWS, MAX_FRONT_ROWS = 25, 15
"""Of the leaderboard and the front."""
SMALLEST_SHARE = 0.0005
"""Of the wall time, for an activity to be named."""


@dataclass(frozen=True)
class Table:
    """Rows of text below a head; ``numeric`` columns are right-aligned."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Section:
    """One part of a report.

    Attributes:
        title: its heading.
        paragraphs: of text.
        figure: name of its figure; empty: none.
        views: figures of which the reader chooses one: label and name.
        table: if any.
        code: a command; empty: none.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    figure: str = ""
    views: tuple[tuple[str, str], ...] = ()
    table: Table | None = None
    code: str = ""


def write_sections(facts: Facts, importances: Importances | None) -> list[Section]:
    """Returns the sections of a report, in order; those without content are left out."""
    sections = [
        _write_task(facts),
        _write_result(facts),
        _write_front(facts),
        _write_progress(facts),
        _write_importance(importances),
        _write_coordinates(facts),
        _write_curves(facts),
        _write_rungs(facts),
        _write_fidelity(facts),
        _write_failures(facts),
        _write_leaderboard(facts),
        _write_compute(facts),
        _write_reproduction(facts),
    ]
    return [each for each in sections if each.paragraphs or each.table or each.code]


def _write_task(facts: Facts) -> Section:
    data, settings, space = facts.manifest["dataset"], facts.settings, facts.space
    within = [f"at most {kind.describe(bound)}" for kind, bound in list_bounds(settings)]
    budget = f" with {' and '.join(within)}" if within else ""
    images = ", ".join(f"{data[split]:,} {split}" for split in ("train", "validation", "test"))
    size = f"{data['image'][0]}x{data['image'][1]}"
    continuous = f", times {len(space.continuous)} continuous" if space.continuous else ""
    unseen = " The search never used the test images." if data["test"] else ""
    return Section(
        "Task",
        (
            f"Find the network of the space {space.name!r} with the highest {facts.measured} on "
            f"{data['source']}{budget}.",
            f"{data['source']}: {len(data['class_names'])} classes, images of {size} pixels "
            f"({images}).{unseen}",
            *data.get("warnings", ()),
            f"The space: {pluralize(len(space.parameters), 'hyperparameter')}, "
            f"at most {format_count(space.size)} different candidates{continuous}. "
            f"{space.description}",
            f"Strategy {settings['strategy']}, seed {settings['seed']}; {_describe_draws(facts)}",
        ),
    )


def _describe_draws(facts: Facts) -> str:
    draws = facts.draws
    if not draws:
        return f"{pluralize(len(facts.trials), 'trial')}."
    slow = f"{draws['too_slow']:,} would train too long, " if draws.get("too_slow") else ""
    return (
        f"{draws['drawn']:,} drawn, of which {draws['over_budget']:,} exceeded the budget, {slow}"
        f"{draws['invalid']:,} could not be built and {draws['duplicates']:,} were duplicates; "
        "these were redrawn."
    )


def _write_result(facts: Facts) -> Section:
    best = facts.best
    if best is None:
        return Section("Result", ("No candidate is finished yet.",))
    unfinished = "" if facts.state == "finished" else f" The search is {facts.state}."
    rows = tuple(
        (each.model, each.split, f"{each.accuracy:.2%}", _format_interval(each.low, each.high),
         each.basis)
        for each in facts.evaluations
    )  # fmt: skip
    head = ("model", "split", "accuracy", "95 % interval", "basis")
    return Section(
        "Result",
        (
            f"Trial {best.id}, family {best.label}: "
            f"{facts.measured} {best.score or 0:.2%}, "
            f"{describe_costs(best)}.{unfinished}",
            *([describe_gain(facts.gain)] if facts.gain else []),
            _describe_bias(facts),
        ),
        figure="architecture",
        table=Table(head, rows, frozenset({2})) if rows else None,
    )


def _describe_bias(facts: Facts) -> str:
    text = "This score selected the candidate, so it is optimistic"
    if any(each.split == "test" for each in facts.evaluations):
        return f"{text}; the test accuracy is not."
    if facts.manifest["dataset"]["test"]:
        command = f"cnnsearch train best --run {facts.name}"
        return f"{text}. The test split is still unused: {command} evaluates on it once."
    return f"{text}. The dataset has no test split: the accuracy on new images is unknown."


def _format_interval(low: float | None, high: float | None) -> str:
    return "one seed" if low is None or high is None else f"{low:.2%} to {high:.2%}"


def _write_front(facts: Facts) -> Section:
    if not facts.tradeoffs:
        return Section("Accuracy against cost")
    shown = facts.front[-MAX_FRONT_ROWS:]
    rows = tuple((*_format_trial(trial), *_format_costs(facts, trial)) for trial in shown)
    costs = [kind.heading for kind in facts.columns]
    numbers = frozenset(range(2, 3 + len(costs)))
    cut = len(facts.front) > MAX_FRONT_ROWS
    rest = f" The table shows the {MAX_FRONT_ROWS} most accurate." if cut else ""
    count, kinds = pluralize(len(facts.front), "candidate"), facts.tradeoffs
    both = f"The Pareto front: {count} that no other one beats in both {facts.measured} and MACs"
    each = f"Each figure's line joins the front of {facts.measured} and the cost on its axis."
    tips = f" The best {MOST_TIPS} have tooltips." if len(facts.ranked) > MOST_TIPS else ""
    return Section(
        "Accuracy against cost",
        (f"{facts.front_volume or both}.{rest}{tips}", *([each] if len(kinds) > 1 else [])),
        views=tuple((kind.heading, f"front {kind.name}") for kind in kinds),
        table=Table(("trial", "family", facts.measured, *costs), rows, numbers),
    )


def _format_trial(trial: TrialRecord) -> tuple[str, ...]:
    return trial.id, trial.label, f"{trial.score or 0:.2%}"


def _format_costs(facts: Facts, trial: TrialRecord) -> tuple[str, ...]:
    return tuple(kind.format(kind.read(trial)) for kind in facts.columns)


def _write_progress(facts: Facts) -> Section:
    if len(facts.ranked) < 2:
        return Section("Progress")
    when = format_time(facts.moments.get(facts.ranked[0].id, 0.0))
    text = f"The best candidate was finished after {when} of {format_time(facts.seconds)}."
    return Section("Progress", (text,), figure="progress")


def _write_importance(found: Importances | None) -> Section:
    title = "Hyperparameter importance"
    if found is None:
        why = f"fewer than {MIN_CANDIDATES} finished candidates, or no hyperparameter varied"
        return Section(title, (f"Not computed: {why}.",))
    weak = "" if found.r2 > 0.3 else " That is little: the order is uncertain."
    return Section(
        title,
        (
            f"A random forest predicts {max(0.0, found.r2):.0%} of the variance of held-out scores "
            f"(R² {found.r2:.2f}, {found.candidates} candidates).{weak} Bars: permutation "
            "importance, the increase of its held-out error when one hyperparameter is shuffled, "
            "with the standard deviation over folds and repetitions. It explains the candidates "
            "that were drawn, not the whole space.",
        ),
        figure="importance",
    )


def _write_coordinates(facts: Facts) -> Section:
    title = "Candidates by hyperparameter"
    if len(facts.ranked) < 2:
        return Section(title)
    text = (
        "One line per candidate: the best five thick and orange, the others more opaque the better "
        "they are. A line is interrupted where a hyperparameter is inactive."
    )
    return Section(title, (text,), figure="parallel")


def _write_curves(facts: Facts) -> Section:
    text = (f"The best {len(facts.curves)} candidates, by epoch.",) if facts.curves else ()
    return Section("Learning curves", text, figure="curves")


def _write_rungs(facts: Facts) -> Section:
    if not find_strategy(facts.settings["strategy"]).multi_fidelity:
        return Section("Rungs")
    text = "How many candidates were trained for how many epochs, and how many were promoted."
    return Section("Rungs", (text,), figure="rungs")


def _write_fidelity(facts: Facts) -> Section:
    unknown = (
        "Whether this training budget ranks candidates as full training does was not measured: "
        f"cnnsearch fidelity {facts.source} does."
    )
    return Section("Fidelity", (facts.fidelity or unknown,))


def _write_failures(facts: Facts) -> Section:
    retried = f"{pluralize(facts.retried, 'attempt')} resumed a trial from its last epoch. "
    text = retried if facts.retried else ""
    if not facts.failures:
        return Section("Failures", (f"{text}No candidate failed.",))
    examples = {t.failure: str(t.reason) for t in facts.trials if t.failure}
    rows = tuple(
        (kind, str(n), examples.get(kind, "")) for kind, n in sorted(facts.failures.items())
    )
    table = Table(("kind", "candidates", "example"), rows, frozenset({1}))
    return Section("Failures", (f"{text}Failed candidates were replaced.",), table=table)


def _write_leaderboard(facts: Facts) -> Section:
    if not facts.ranked:
        return Section("Leaderboard")
    front = {trial.id for trial in facts.front}
    rows = tuple(
        (
            *(str(rank), *_format_trial(trial), *_format_costs(facts, trial)),
            *(str(trial.epochs), format_time(trial.seconds or 0.0)),
            "●" if trial.id in front else "",
        )
        for rank, trial in enumerate(facts.ranked[:MAX_ROWS], start=1)
    )
    rest = len(facts.ranked) - MAX_ROWS
    costs = [kind.heading for kind in facts.columns]
    return Section(
        "Leaderboard",
        (f"The best {MAX_ROWS}; {rest} more are in the run.",) if rest > 0 else (),
        table=Table(
            ("rank", "trial", "family", facts.measured, *costs, "epochs", "time", "front"),
            rows,
            frozenset({0, *range(3, 6 + len(costs))}),
        ),
    )


def _write_compute(facts: Facts) -> Section:
    device = facts.manifest.get("environment", {}).get("device", "an unknown device")
    sessions = f" in {facts.sessions} sessions" if facts.sessions > 1 else ""
    text = (
        f"The search took {format_time(facts.seconds)}{sessions}; training all candidates took "
        f"{format_time(facts.training_seconds)} ({facts.training_seconds / 3600:.2f} hours), on "
        f"{device}. Energy was not measured."
    )
    return Section("Compute", (text, *_describe_activities(facts)))


def _describe_activities(facts: Facts) -> Iterator[str]:
    """Yields what the wall time was spent on, if that is known."""
    if facts.ledger is not None and facts.ledger.wall:
        shares = sorted(facts.ledger.list_shares(), key=lambda each: -each[1])
        parts = [f"{name} {share:.1%}" for name, _, share in shares if share >= SMALLEST_SHARE]
        yield f"Wall time: {', '.join(parts)}. cnnsearch results --time has each trial."


def _write_reproduction(facts: Facts) -> Section:
    environment = facts.manifest.get("environment", {})
    rows: Sequence[tuple[str, str]] = sorted(
        (key, str(value)) for key, value in environment.items() if value is not None
    )
    return Section(
        "Reproduction",
        (f"Data fingerprint {facts.manifest['dataset']['fingerprint']}.",),
        table=Table(("what", "version or value"), tuple(rows)),
        code=facts.command,
    )
