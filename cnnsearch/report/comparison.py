"""Compares searches side by side: the settings that differ, and what each found."""

import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cnnsearch.errors import CnnsearchError, RunError
from cnnsearch.report.facts import Facts, collect_facts
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.records import TrialRecord
from cnnsearch.utils.units import format_amount, format_time

if TYPE_CHECKING:
    from rich.table import Table

IRRELEVANT = ("source", "workers", "mlflow_uri", "gpus", "workers_per_gpu", "start_method",
              "max_disk", "trial_timeout", "ray", "gpus_per_trial", "max_memory")  # fmt: skip
"""Settings that do not influence what is found."""


@dataclass(frozen=True)
class ComparedRun:
    """One of the runs.

    Attributes:
        name: the run's.
        settings: those that differ between the runs, and the space.
        measured: name of the score.
        best: the highest score; None: no candidate is finished.
        params: of that candidate.
        macs: of that candidate.
        finished: candidates with a score.
        failed: candidates without.
        seconds: of searching.
        volume: share of the area of accuracy (0 to 1) and log MACs (over the range of all the runs)
            that the Pareto front dominates; None: no candidate is finished.
        front: candidates on the Pareto front.
        beaten: how many of those a candidate of another run dominates.
        fingerprint: of the data.
    """

    name: str
    settings: Mapping[str, str]
    measured: str
    best: float | None
    params: int | None
    macs: int | None
    finished: int
    failed: int
    seconds: float
    volume: float | None
    front: int
    beaten: int
    fingerprint: str


def compare_runs(root: Path, names: Sequence[str]) -> list[ComparedRun]:
    """Compares two or more searches.

    Args:
        root: the folder of all runs.
        names: of the searches.

    Raises:
        CnnsearchError: fewer than two names, a name twice, a run that is not a search, or searches
            with different objectives.
    """
    if len(names) < 2:
        raise CnnsearchError(f"compare: expected at least two runs, got {len(names)}")
    if len(set(names)) < len(names):
        raise CnnsearchError(f"compare: a run is named twice: {', '.join(names)}")
    runs = []
    for name in names:
        with closing(RunDirectory.open(root, name)) as run:
            runs.append(collect_facts(run, curves=0))
    if len({facts.measured for facts in runs}) > 1:
        scores = ", ".join(f"{facts.name} by {facts.measured}" for facts in runs)
        raise RunError(f"compare: the runs have different objectives: {scores}")
    settings = [_relevant_settings(facts) for facts in runs]
    differing = [key for key in settings[0] if len({each.get(key) for each in settings}) > 1]
    return [
        _compare(facts, runs, {key: own.get(key, "-") for key in differing})
        for facts, own in zip(runs, settings, strict=True)
    ]


def _relevant_settings(facts: Facts) -> dict[str, str]:
    shown = {k: str(v) for k, v in facts.settings.items() if k not in IRRELEVANT}
    return {"space": facts.space.name, **shown}


def _compare(facts: Facts, runs: Sequence[Facts], settings: Mapping[str, str]) -> ComparedRun:
    macs = [trial.macs for each in runs for trial in each.ranked if trial.macs]
    front, best = facts.front, facts.best
    return ComparedRun(
        name=facts.name,
        settings=settings,
        measured=facts.measured,
        best=best.score if best else None,
        params=best.params if best else None,
        macs=best.macs if best else None,
        finished=len(facts.ranked),
        failed=sum(facts.failures.values()),
        seconds=facts.seconds,
        volume=compute_dominated_area(front, min(macs), max(macs)) if macs and front else None,
        front=len(front),
        beaten=count_dominated(front, [each.front for each in runs if each is not facts]),
        fingerprint=facts.manifest["dataset"]["fingerprint"],
    )


def compute_dominated_area(front: Sequence[TrialRecord], low: int, high: int) -> float:
    """Returns the share of the area of accuracy and log MACs that a front dominates.

    Args:
        front: cheapest first.
        low: the fewest MACs of all compared candidates.
        high: the most.
    """
    width = math.log(high / low) if high > low else 1.0
    edges = [math.log((t.macs or low) / low) / width for t in front]
    ends = [*edges[1:], max(1.0, edges[-1])]
    return sum(
        (end - start) * (t.score or 0.0) for t, start, end in zip(front, edges, ends, strict=True)
    )


def count_dominated(front: Sequence[TrialRecord], others: Sequence[Sequence[TrialRecord]]) -> int:
    """Returns how many candidates of a front are dominated by a candidate of another front.

    One dominates if it is at least as good in both score and MACs, and better in one of them.
    """

    def dominates(a: TrialRecord, b: TrialRecord) -> bool:
        mine, theirs = (a.score or 0.0, -(a.macs or 0)), (b.score or 0.0, -(b.macs or 0))
        return mine != theirs and all(x >= y for x, y in zip(mine, theirs, strict=True))

    rivals = [trial for other in others for trial in other]
    return sum(any(dominates(rival, trial) for rival in rivals) for trial in front)


def build_comparison_table(runs: Sequence[ComparedRun]) -> "Table":
    """Returns a table with a column for each run."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for run in runs:
        table.add_column(run.name, justify="right", overflow="fold")
    for key in runs[0].settings:
        table.add_row(key.replace("_", " "), *(run.settings[key] for run in runs))
    rows = {
        f"best {runs[0].measured}": [_format_share(run.best) for run in runs],
        "its parameters": [format_amount(run.params) for run in runs],
        "its MACs": [format_amount(run.macs) for run in runs],
        "area under the front": [_format_share(run.volume) for run in runs],
        "on the front": [str(run.front) for run in runs],
        "of those dominated by another run": [str(run.beaten) for run in runs],
        "candidates finished": [str(run.finished) for run in runs],
        "failed": [str(run.failed) for run in runs],
        "time": [format_time(run.seconds) for run in runs],
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def _format_share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def summarize_comparison(runs: Sequence[ComparedRun]) -> list[str]:
    """Returns the conclusions that the comparison supports."""
    if len({run.fingerprint for run in runs}) > 1:
        return ["The runs used different data: their scores cannot be compared."]
    scored = sorted((run for run in runs if run.best is not None), key=lambda run: -(run.best or 0))
    if len(scored) < 2:
        return []
    first, second = scored[:2]
    gap = 100 * ((first.best or 0.0) - (second.best or 0.0))
    ahead = f"is {gap:.2f} points ahead of" if gap else "found no better than"
    return [
        f"{first.name} {ahead} {second.name}. Each is a single search whose best score is the "
        "highest of many: several seeds of both would give stronger evidence."
    ]
