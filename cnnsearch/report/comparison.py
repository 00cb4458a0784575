"""Searches side by side: what differs in what was asked, and in what was found."""

import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnsearch.errors import CnnsearchError, RunError
from cnnsearch.report.facts import facts_of
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.records import TrialRecord
from cnnsearch.utils.units import format_amount, format_time

if TYPE_CHECKING:
    from rich.table import Table

IGNORED = ("source", "workers", "mlflow_uri", "gpus", "workers_per_gpu", "start_method", "max_disk",
           "trial_timeout", "ray", "gpus_per_trial", "max_memory")  # fmt: skip
"""Settings that decide nothing of what is found."""


@dataclass(frozen=True)
class Compared:
    """One of the runs.

    Attributes:
        name: the run's.
        asked: the settings that are not the same in all of them, and the space.
        measured: what a score is.
        best: the highest score; None: nothing is finished.
        params: of that candidate.
        macs: likewise.
        finished: candidates with a score.
        failed: candidates without.
        seconds: of searching.
        volume: share of the area of accuracy (0 to 1) and log MACs (over the range of all the runs)
            that the Pareto front dominates; None: nothing is finished.
        front: candidates on the Pareto front.
        beaten: of those, how many a candidate of another run beats in both accuracy and MACs, or
            in one of them with the other equal.
        fingerprint: of the data.
    """

    name: str
    asked: Mapping[str, str]
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


def compare_runs(root: Path, names: Sequence[str]) -> list[Compared]:
    """Reads runs for a comparison.

    Args:
        root: the folder of all runs.
        names: of two or more searches.

    Raises:
        CnnsearchError: fewer than two, the same twice, one is no search, or they measure different
            things.
    """
    if len(names) < 2:
        raise CnnsearchError(f"compare: expected at least two runs, got {len(names)}")
    if len(set(names)) < len(names):
        raise CnnsearchError(f"compare: a run is named twice: {', '.join(names)}")
    read = []
    for name in names:
        with closing(RunDirectory.open(root, name)) as run:
            read.append(facts_of(run, curves=0))
    if len({facts.measured for facts in read}) > 1:
        said = ", ".join(f"{facts.name} by {facts.measured}" for facts in read)
        raise RunError(f"compare: the runs rank by different things: {said}")
    asked = [_asked(facts.settings, facts.space.name) for facts in read]
    differing = [key for key in asked[0] if len({each.get(key) for each in asked}) > 1]
    macs = [t.macs for facts in read for t in facts.ranked if t.macs]
    return [
        Compared(
            name=facts.name,
            asked={key: mine.get(key, "-") for key in differing},
            measured=facts.measured,
            best=facts.best.score if facts.best else None,
            params=facts.best.params if facts.best else None,
            macs=facts.best.macs if facts.best else None,
            finished=len(facts.ranked),
            failed=sum(facts.failures.values()),
            seconds=facts.seconds,
            volume=dominated(facts.front, min(macs), max(macs)) if macs and facts.front else None,
            front=len(facts.front),
            beaten=beaten(facts.front, [each.front for each in read if each is not facts]),
            fingerprint=facts.manifest["dataset"]["fingerprint"],
        )
        for facts, mine in zip(read, asked, strict=True)
    ]


def _asked(settings: Mapping[str, Any], space: str) -> dict[str, str]:
    shown = {k: str(v) for k, v in settings.items() if k not in IGNORED}
    return {"space": space, **shown}


def dominated(front: Sequence[TrialRecord], low: int, high: int) -> float:
    """Returns the share of the area of accuracy and log MACs that a front dominates.

    Args:
        front: cheapest first.
        low: the fewest MACs of all candidates that are compared.
        high: the most.
    """
    width = math.log(high / low) if high > low else 1.0
    edges = [math.log((t.macs or low) / low) / width for t in front]
    ends = [*edges[1:], max(1.0, edges[-1])] if high > low else [*edges[1:], 1.0]
    return sum(
        (end - start) * (t.score or 0.0) for t, start, end in zip(front, edges, ends, strict=True)
    )


def beaten(front: Sequence[TrialRecord], others: Sequence[Sequence[TrialRecord]]) -> int:
    """Returns how many of a front's candidates some other front's candidate dominates."""

    def beats(a: TrialRecord, b: TrialRecord) -> bool:
        mine, theirs = (a.score or 0.0, -(a.macs or 0)), (b.score or 0.0, -(b.macs or 0))
        return mine != theirs and all(x >= y for x, y in zip(mine, theirs, strict=True))

    rivals = [trial for other in others for trial in other]
    return sum(any(beats(rival, trial) for rival in rivals) for trial in front)


def comparison_table(found: Sequence[Compared]) -> "Table":
    """Returns a column for each run."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for one in found:
        table.add_column(one.name, justify="right", overflow="fold")
    for key in found[0].asked:
        table.add_row(key.replace("_", " "), *(one.asked[key] for one in found))
    rows = {
        f"best {found[0].measured}": [_share(one.best) for one in found],
        "its parameters": [format_amount(one.params) for one in found],
        "its MACs": [format_amount(one.macs) for one in found],
        "area under the front": [_share(one.volume) for one in found],
        "on the front": [str(one.front) for one in found],
        "of those beaten by another run": [str(one.beaten) for one in found],
        "candidates finished": [str(one.finished) for one in found],
        "failed": [str(one.failed) for one in found],
        "time": [format_time(one.seconds) for one in found],
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def verdict(found: Sequence[Compared]) -> list[str]:
    """Returns what may be concluded, and what not."""
    lines = []
    if len({one.fingerprint for one in found}) > 1:
        lines.append("Not the same data: the scores cannot be compared.")
    scored = [one for one in found if one.best is not None]
    if len(scored) > 1 and not lines:
        first, second = sorted(scored, key=lambda one: -(one.best or 0.0))[:2]
        gap = 100 * ((first.best or 0.0) - (second.best or 0.0))
        ahead = f"is {gap:.2f} points ahead of" if gap else "found no better than"
        lines.append(
            f"{first.name} {ahead} {second.name}; each is one search, whose best score was chosen "
            "among many: several seeds of both would tell more."
        )
    return lines
