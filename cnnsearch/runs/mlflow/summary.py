"""What a search's runs say of each other: best so far, the Pareto front, the description."""

import tempfile
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.mlflow import entries, pages, pictures
from cnnsearch.runs.mlflow.store import Store
from cnnsearch.runs.ranking import find_pareto_front
from cnnsearch.runs.records import Event, TrialRecord

_FRONT = "front"
_DRAWN = 10  # networks of the front that get a picture, the most accurate first


class Summary:
    """Keeps a search's parent, and the marks of its children, up to date."""

    def __init__(
        self, run: RunDirectory, store: Store, runs: MutableMapping[str, str], experiment: str
    ) -> None:
        """Takes ``runs``: the MLflow run of each ``trial ID``, and what was said last."""
        self._run, self._store, self._runs, self._experiment = run, store, runs, experiment

    def update(self, parent: str, events: list[Event]) -> None:
        """Writes what these events changed; doing it again changes nothing."""
        ended = {e.trial_id for e in events if e.kind == "trial_ended"}
        if not ended and not any(e.kind.startswith("run_") for e in events):
            return
        trials = self._run.db.get_trials()
        tags = {"mlflow.note.content": entries.cut(self._note(trials), entries.LONGEST_TAG)}
        self._store.write(parent, entries.progress(trials, ended), tags=tags)
        self._mark(trials, ended)

    def _mark(self, trials: list[TrialRecord], ended: set[str | None]) -> None:
        """Tags who is on the Pareto front; only what changed costs a call."""
        runs = {t.id: self._runs[f"trial {t.id}"] for t in trials if f"trial {t.id}" in self._runs}
        front = {runs[t.id] for t in find_pareto_front(trials) if t.id in runs}
        before = set(self._runs.get(_FRONT, "").split())
        fresh = {runs[t.id] for t in trials if t.id in ended & set(runs) and t.status != "running"}
        for child in sorted((front - before) | (front & fresh)):
            self._store.write(child, tags={"pareto": "true"})
        for child in sorted((before | fresh) - front):
            self._store.write(child, tags={"pareto": "false"})
        if front != before:
            self._runs[_FRONT] = " ".join(sorted(front))

    def illustrate(self, parent: str, attempt: Callable[..., None]) -> None:
        """Draws the front, its curves and its networks; ``attempt`` makes each of the writes."""
        trials = self._run.db.get_trials()
        front = find_pareto_front(trials)
        if not front or "final" in self._run.manifest:
            return
        curves = {trial.id: self._history(trial) for trial in front}
        with tempfile.TemporaryDirectory() as folder:
            for path in pictures.of_search(Path(folder), self._run, trials, front, curves):
                attempt(self._store.file, parent, path)
            for trial in sorted(front, key=lambda t: -(t.score or 0))[:_DRAWN]:
                drawn = pictures.of_network(Path(folder), trial)
                if drawn and f"trial {trial.id}" in self._runs:
                    attempt(self._store.file, self._runs[f"trial {trial.id}"], drawn)

    def _history(self, trial: TrialRecord) -> list[dict[str, Any]]:
        """A candidate's epochs, those before its promotions first."""
        before = self._run.db.get_trial(trial.continues) if trial.continues else None
        earlier = self._history(before) if before else []
        return [*earlier, *self._run.db.get_history(trial.id)]

    def _note(self, trials: list[TrialRecord]) -> str:
        name, manifest = self._run.name, self._run.manifest
        links = {t.id: self._link(t) for t in trials if f"trial {t.id}" in self._runs}
        if "final" not in manifest:
            return pages.note(name, manifest, trials, links)
        return pages.final_note(name, manifest, trials, links, self._tests())

    def _tests(self) -> Mapping[str, float]:
        events: list[Any] = self._run.db.get_events_of("evaluated")
        return {str(e.trial_id): float(e.data["test_accuracy"]) for e in events}

    def _link(self, trial: TrialRecord) -> str:
        return pages.run_page(self._experiment, self._runs[f"trial {trial.id}"])
