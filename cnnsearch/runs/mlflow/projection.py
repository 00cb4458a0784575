"""Events of a run's database, in order, as MLflow runs: a parent a search, a child a candidate.

Every write can be repeated: runs are found again by their tags, points carry the time of their
event, and the cursor moves after the writes. So a process may die anywhere in between, and what is
done again changes nothing.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from cnnsearch.runs.directory import INTERRUPTED, RunDirectory
from cnnsearch.runs.mlflow import entries, pages
from cnnsearch.runs.mlflow.entries import Point
from cnnsearch.runs.mlflow.store import Refused, Store
from cnnsearch.runs.mlflow.summary import Summary
from cnnsearch.runs.records import Event
from cnnsearch.training.objectives import objective_of

STATUS = {"completed": "FINISHED", "finished": "FINISHED", "failed": "FAILED"}


class Projection:
    """Brings one MLflow store up to date with one run, from where ``cursor`` says it has come.

    Raises:
        Unreachable: From every method: what was not finished is done again by the next ``step``.
    """

    def __init__(
        self,
        run: RunDirectory,
        store: Store,
        *,
        cursor: str,
        experiment: str,
        on_message: Callable[[str], None],
    ) -> None:
        """Finds the search's runs in the store; one where they are gone is filled anew."""
        self._run, self._store, self._cursor = run, store, cursor
        self._say = on_message
        self._curves: dict[str, list[Point]] = {}
        self._said: set[str] = set()
        self._anew = False
        self._experiment = store.experiment(experiment)
        self._runs = run.db.open_mapping(cursor)
        if not ("parent" in self._runs and store.alive(self._runs["parent"])):
            with run.db.transaction():
                self._runs.clear()
                run.db.set_cursor(cursor, 0)
        self._summary = Summary(run, store, self._runs, self._experiment)

    def step(self, limit: int = 500) -> bool:
        """Projects the next events; False says that there were none."""
        events = self._run.db.get_events(after=self._run.db.get_cursor(self._cursor), limit=limit)
        for event in events:
            self._attempt(self._project, event)
        for run in list(self._curves):
            self._attempt(self._flush, run)
        if events:
            self._attempt(self._summary.update, self._parent(_ms(events[0])), events)
            self._run.db.set_cursor(self._cursor, events[-1].seq)
        return bool(events)

    def interrupted(self) -> None:
        """Shows a search whose process is gone as ended, with the candidates it was at."""
        last = self._run.db.get_events(after=self._run.db.get_last_seq() - 1)
        if last and last[0].kind != "run_ended":
            self._attempt(self._end_run, _event(last[0], "run_ended", {"reason": INTERRUPTED}))

    def reports(self) -> None:
        """Brings reports that were written of the run, where they are new or have changed."""
        for path in (self._run.path / "report.html", self._run.path / "report.md"):
            written = str(path.stat().st_mtime_ns) if path.is_file() else None
            if written and "parent" in self._runs and self._runs.get(path.name) != written:
                self._attempt(self._store.file, self._runs["parent"], path)
                self._runs[path.name] = written

    def _attempt(self, write: Callable[..., None], *values: Any) -> None:
        try:
            write(*values)
        except Refused as error:  # holding on to it would hold up all that follows
            self._anew = False
            line = f"MLflow refused part of run {self._run.name!r}: {error}"
            if line not in self._said:
                self._say(line)
            self._said.add(line)

    def _project(self, event: Event) -> None:
        handlers: dict[str, Callable[[Event], None]] = {
            "run_started": self._start_run,
            "trial_started": self._start_trial,
            "epoch": self._epoch,
            "trial_ended": self._end_trial,
            "evaluated": self._evaluated,
            "results": self._results,
            "exported": self._exported,
            "system": self._system,
            "run_ended": self._end_run,
        }
        if event.kind in handlers:
            handlers[event.kind](event)

    def _start_run(self, event: Event) -> None:
        environment = event.data.get("environment") or {}
        parent = self._parent(_ms(event), entries.git_commit(environment))
        self._store.write(
            parent, params=entries.params(self._run.manifest), tags=entries.tags(environment)
        )
        self._store.status(parent, "RUNNING")
        if "furnished" not in self._runs:
            self._furnish(parent)
            self._runs["furnished"] = parent

    def _furnish(self, parent: str) -> None:
        manifest = json.dumps(dict(self._run.manifest), indent=2)
        texts = {"space.yaml": self._run.space_text, "run.json": manifest}
        self._attempt(self._store.texts, parent, texts)
        final = "final" in self._run.manifest
        objective = objective_of(self._run.manifest.get("settings"))
        tags = pages.experiment_tags(self._run.name, parent, final, objective)
        for key, value in tags.items():
            self._store.tag_experiment(self._experiment, key, value)
        self._dataset(parent)

    def _dataset(self, run: str) -> None:
        dataset = self._run.manifest.get("dataset")
        if isinstance(dataset, Mapping) and "fingerprint" in dataset:
            source, digest = str(dataset.get("source")), str(dataset["fingerprint"])
            self._store.dataset(run, source, digest, source, json.dumps(dict(dataset)))

    def _parent(self, time: int, commit: str | None = None) -> str:
        if "parent" not in self._runs:
            search = {"cnnsearch.search": self._run.db.identity}
            tags = {**search, "cnnsearch.run": self._run.name, **entries.source(commit)}
            found = self._store.find(self._experiment, {**search, "cnnsearch.kind": "search"})
            tags["cnnsearch.kind"] = "search"
            self._runs["parent"] = found or self._store.create(
                self._experiment, self._run.name, tags, time
            )
            self._runs["experiment"] = self._experiment
        return self._runs["parent"]

    def _start_trial(self, event: Event) -> None:
        trial, data = str(event.trial_id), event.data
        earlier = data.get("continues")
        if earlier and f"trial {earlier}" in self._runs:  # one run a candidate, over all its rungs
            self._runs[f"trial {trial}"] = child = self._runs[f"trial {earlier}"]
            self._store.write(child, entries.points(entries.costs(data), _ms(event), 0))
        elif f"trial {trial}" not in self._runs:
            self._runs[f"trial {trial}"] = self._child(event, trial)
            if self._anew:
                return
        self._store.write(self._runs[f"trial {trial}"], tags={"status": "running"})
        self._store.status(self._runs[f"trial {trial}"], "RUNNING")

    def _child(self, event: Event, trial: str) -> str:
        data, time = event.data, _ms(event)
        key = {"cnnsearch.search": self._run.db.identity, "cnnsearch.trial": trial}
        parent = self._parent(time)
        child = self._found(key) or self._store.create(
            self._experiment, pages.trial_name(data), {**key, **self._labels(parent, data)}, time
        )
        costs = entries.points(entries.costs(data), time, 0)
        self._store.write(child, costs, params=entries.params(data["values"]))
        self._dataset(child)
        kinds = ("architecture", "recipe")
        texts = {f"{kind}.json": json.dumps(data[kind], indent=2) for kind in kinds}
        self._attempt(self._store.texts, child, texts)
        return child

    def _found(self, key: Mapping[str, str]) -> str | None:
        """Looks for a child, unless an earlier one had to be made: those after it are not there."""
        if self._anew:
            return None
        found = self._store.find(self._experiment, key)
        self._anew = found is None
        return found

    def _labels(self, parent: str, data: Mapping[str, Any]) -> dict[str, str]:
        dataset = self._run.manifest.get("dataset") or {}
        labels = {
            "mlflow.parentRunId": parent,
            "cnnsearch.kind": "candidate",
            "cnnsearch.run": self._run.name,
            "family": str(data["family"]),
            "fingerprint": str(data["fingerprint"]),
            "status": "running",
            **entries.source(None),
        }
        if isinstance(dataset, Mapping) and "source" in dataset:
            labels["dataset"] = str(dataset["source"])
        return labels

    def _epoch(self, event: Event) -> None:
        child = self._runs.get(f"trial {event.trial_id}")
        if child and not self._run.db.is_repeated(event):
            points = entries.curve(event.data["metrics"], _ms(event), event.data["epoch"])
            self._curves.setdefault(child, []).extend(points)

    def _flush(self, child: str) -> None:
        self._store.write(child, self._curves.get(child, ()))
        self._curves.pop(child, None)

    def _end_trial(self, event: Event) -> None:
        child = self._runs.get(f"trial {event.trial_id}")
        if not child:
            return
        outcome = entries.outcome(event.data, self._run.db.get_history(str(event.trial_id)))
        tags = {"status": str(event.data["status"])}
        if event.data.get("reason"):
            tags["reason"] = entries.cut(str(event.data["reason"]), entries.LONGEST_TAG)
        points = [*self._curves.get(child, ()), *entries.points(outcome, _ms(event), 0)]
        self._store.write(child, points, tags=tags)
        self._curves.pop(child, None)
        self._store.status(child, STATUS.get(event.data["status"], "KILLED"), _ms(event))

    def _evaluated(self, event: Event) -> None:
        """What a finally trained model's test came to."""
        child = self._runs.get(f"trial {event.trial_id}")
        if child:
            self._store.write(child, entries.points(entries.tested(event.data), _ms(event), 0))

    def _exported(self, event: Event) -> None:
        """What the export of a candidate was found to do on the test split, and how fast."""
        child = self._runs.get(f"trial {event.trial_id}")
        if child:
            self._store.write(child, entries.points(entries.exported(event.data), _ms(event), 0))

    def _system(self, event: Event) -> None:
        points = entries.points(event.data, _ms(event), event.seq)
        self._store.write(self._parent(_ms(event)), points)

    def _results(self, event: Event) -> None:
        """Tables, pictures and reports, and a final training's summary."""
        parent = self._parent(_ms(event))
        metrics = event.data.get("metrics") or {}
        self._store.write(parent, entries.points(metrics, _ms(event), 0))
        for name in event.data["files"]:
            if (self._run.path / name).is_file():
                self._attempt(self._store.file, parent, self._run.path / name)

    def _end_run(self, event: Event) -> None:
        for trial in self._run.db.get_trials():
            child = self._runs.get(f"trial {trial.id}")
            if child and trial.status == "running":
                self._store.write(child, tags={"status": "stopped"})
                self._store.status(child, "KILLED", _ms(event))
        reason = str(event.data.get("reason"))
        status = "failed" if reason.startswith("error") else "finished"
        status = "interrupted" if reason == INTERRUPTED else status
        parent = self._parent(_ms(event))
        self._store.write(parent, tags={"status": status, "reason": reason})
        self._store.status(parent, STATUS.get(status, "KILLED"), _ms(event))
        if status == "finished":  # nobody is training now, so that drawing holds up nobody
            self._summary.illustrate(parent, self._attempt)


def _event(like: Event, kind: str, data: dict[str, Any]) -> Event:
    return Event(like.seq, like.time, kind, None, data)


def _ms(event: Event) -> int:
    return int(event.time * 1000)
