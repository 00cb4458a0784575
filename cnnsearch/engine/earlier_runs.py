"""Results of earlier runs that a search learns from; kept in its own run, to be resumed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnnsearch.errors import CnnsearchError
from cnnsearch.oracles.protocol import Earlier, EarlierResult
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.ranking import rank_trials
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.utils.units import pluralize

FEWEST = 5
"""Finished candidates of a run that is worth learning from."""
EVENT = "learned_from"
"""Event: the results of an earlier run."""


def record_earlier_runs(
    run: RunDirectory, names: Sequence[str], root: Path, space: SearchSpace
) -> None:
    """Keeps the results of runs in the run that learns from them, unless it has them already."""
    kept = {event.data["run"] for event in run.db.get_events_of(EVENT)}
    for results in read_earlier_runs([n for n in names if n not in kept], root, space):
        run.db.append(EVENT, results)


def read_earlier_runs(names: Sequence[str], root: Path, space: SearchSpace) -> list[dict[str, Any]]:
    """Returns the results of runs, as the data of events.

    Raises:
        CnnsearchError: a run has too few results, or no hyperparameter of the space.
    """
    return [_read_run(name, root, {p.name for p in space.parameters}) for name in names]


def _read_run(name: str, root: Path, known: set[str]) -> dict[str, Any]:
    run = RunDirectory.open(root, name)
    try:
        ranked = [t for t in rank_trials(run.db.get_trials()) if not t.role]
    finally:
        run.close()
    if len(ranked) < FEWEST:
        raise CnnsearchError(
            f"--learn-from {name}: needs at least {FEWEST} finished candidates, has {len(ranked)}"
        )
    if not any(known & trial.values.keys() for trial in ranked):
        raise CnnsearchError(f"--learn-from {name}: has no hyperparameter of this search space")
    results = [[dict(t.values), t.score, t.macs] for t in ranked]
    return {"run": name, "results": results}


def restore_earlier(run: RunDirectory) -> Earlier:
    """Returns the results that a run was begun with."""
    events = run.db.get_events_of(EVENT)
    return tuple(tuple(EarlierResult(*each) for each in event.data["results"]) for event in events)


def describe_earlier(names: Sequence[str], earlier: Earlier) -> list[str]:
    """Returns a line for each run that a search learns from."""
    return [
        f"Learns from {pluralize(len(results), 'candidate')} of run {name}."
        for name, results in zip(names, earlier, strict=False)
    ]
