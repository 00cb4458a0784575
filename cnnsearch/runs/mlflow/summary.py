"""Updates a search's parent run: best score so far, Pareto front, description, figures."""

import tempfile
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.mlflow import entries, pages, pictures
from cnnsearch.runs.mlflow.store import Store
from cnnsearch.runs.ranking import find_pareto_front
from cnnsearch.runs.records import Event, TrialRecord
from cnnsearch.training.objectives import costs_of

_FRONT = "front"
_DRAWN = 10  # networks of the front that are drawn, the most accurate first


class Summary:
    """Keeps a search's parent and the ``pareto`` tags of its children up to date.

    Args:
        run: the search.
        store: of MLflow.
        runs: the MLflow run of each ``trial ID``, and the front as last written.
        experiment: id.
    """

    def __init__(
        self, run: RunDirectory, store: Store, runs: MutableMapping[str, str], experiment: str
    ) -> None:
        self._run, self._store, self._runs, self._experiment = run, store, runs, experiment

    def update(self, parent: str, events: list[Event]) -> None:
        """Writes the changes that follow from these events; can be repeated."""
        ended = {e.trial_id for e in events if e.kind == "trial_ended"}
        if not ended and not any(e.kind.startswith("run_") for e in events):
            return
        trials = self._run.db.get_trials()
        tags = {
            "mlflow.note.content": entries.shorten(self._write_note(trials), entries.LONGEST_TAG)
        }
        self._store.write(parent, entries.make_progress_points(trials, ended), tags=tags)
        self._tag_front(trials, ended)

    def _tag_front(self, trials: list[TrialRecord], ended: set[str | None]) -> None:
        """Tags the members of the Pareto front; only changes cost a request."""
        runs = {t.id: self._runs[f"trial {t.id}"] for t in trials if f"trial {t.id}" in self._runs}
        front = {runs[t.id] for t in self._find_front(trials) if t.id in runs}
        before = set(self._runs.get(_FRONT, "").split())
        fresh = {runs[t.id] for t in trials if t.id in ended & set(runs) and t.status != "running"}
        for child in sorted((front - before) | (front & fresh)):
            self._store.write(child, tags={"pareto": "true"})
        for child in sorted((before | fresh) - front):
            self._store.write(child, tags={"pareto": "false"})
        if front != before:
            self._runs[_FRONT] = " ".join(sorted(front))

    def illustrate(self, parent: str, attempt: Callable[..., None]) -> None:
        """Draws the Pareto front, its curves and networks; ``attempt`` wraps each upload."""
        trials = self._run.db.get_trials()
        front = self._find_front(trials)
        if not front or "final" in self._run.manifest:
            return
        curves = {trial.id: self._get_history(trial) for trial in front}
        with tempfile.TemporaryDirectory() as folder:
            for path in pictures.draw_search(Path(folder), self._run, trials, front, curves):
                attempt(self._store.upload_file, parent, path)
            for trial in sorted(front, key=lambda t: -(t.score or 0))[:_DRAWN]:
                drawn = pictures.draw_network(Path(folder), trial)
                if drawn and f"trial {trial.id}" in self._runs:
                    attempt(self._store.upload_file, self._runs[f"trial {trial.id}"], drawn)

    def _find_front(self, trials: list[TrialRecord]) -> list[TrialRecord]:
        return find_pareto_front(trials, costs_of(self._run.manifest.get("settings")))

    def _get_history(self, trial: TrialRecord) -> list[dict[str, Any]]:
        """Returns a candidate's epochs, including those before its promotions."""
        before = self._run.db.get_trial(trial.continues) if trial.continues else None
        earlier = self._get_history(before) if before else []
        return [*earlier, *self._run.db.get_history(trial.id)]

    def _write_note(self, trials: list[TrialRecord]) -> str:
        name, manifest = self._run.name, self._run.manifest
        links = {t.id: self._make_link(t) for t in trials if f"trial {t.id}" in self._runs}
        if "final" not in manifest:
            return pages.write_note(name, manifest, trials, links)
        events: list[Any] = self._run.db.get_events_of("evaluated")
        tests = {str(e.trial_id): float(e.data["test_accuracy"]) for e in events}
        return pages.write_final_note(name, manifest, trials, links, tests)

    def _make_link(self, trial: TrialRecord) -> str:
        return pages.locate_run(self._experiment, self._runs[f"trial {trial.id}"])
