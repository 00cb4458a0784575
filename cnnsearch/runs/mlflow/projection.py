"""Replays a run's events into MLflow: one parent run per search, one child per candidate.

Every write is idempotent: runs are found by their tags, points carry the time of their event, and
the cursor moves after the writes. A process may be killed at any point; repeating changes nothing.
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
    """Updates one MLflow store with one run, from the position of ``cursor`` on.

    Raises:
        Unreachable: from every method; the next ``step`` repeats what was not finished.
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
        self._run, self._store, self._cursor = run, store, cursor
        self._on_message = on_message
        self._curves: dict[str, list[Point]] = {}
        self._reported: set[str] = set()
        self._children_are_new = False
        self._experiment = store.ensure_experiment(experiment)
        self._runs = run.db.open_mapping(cursor)
        if not ("parent" in self._runs and store.is_active(self._runs["parent"])):
            with run.db.transaction():
                self._runs.clear()
                run.db.set_cursor(cursor, 0)
        self._summary = Summary(run, store, self._runs, self._experiment)

    def step(self, limit: int = 500) -> bool:
        """Writes the next events; returns whether there were any."""
        events = self._run.db.get_events(after=self._run.db.get_cursor(self._cursor), limit=limit)
        for event in events:
            self._attempt(self._project, event)
        for run in list(self._curves):
            self._attempt(self._flush, run)
        if events:
            self._attempt(self._summary.update, self._ensure_parent(_ms(events[0])), events)
            self._run.db.set_cursor(self._cursor, events[-1].seq)
        return bool(events)

    def mark_interrupted(self) -> None:
        """Ends a search whose process is gone, and the candidates that it was training."""
        last = self._run.db.get_last_event("")
        if last and last.kind != "run_ended":
            end = Event(last.seq, last.time, "run_ended", None, {"reason": INTERRUPTED})
            self._attempt(self._end_run, end)

    def upload_reports(self) -> None:
        """Uploads reports of the run that are new or have changed."""
        for path in (self._run.path / "report.html", self._run.path / "report.md"):
            written = str(path.stat().st_mtime_ns) if path.is_file() else None
            if written and "parent" in self._runs and self._runs.get(path.name) != written:
                self._attempt(self._store.upload_file, self._runs["parent"], path)
                self._runs[path.name] = written

    def _attempt(self, write: Callable[..., None], *values: Any) -> None:
        try:
            write(*values)
        except Refused as error:  # retrying it would block everything that follows
            self._children_are_new = False
            line = f"MLflow refused part of run {self._run.name!r}: {error}"
            if line not in self._reported:
                self._on_message(line)
            self._reported.add(line)

    def _project(self, event: Event) -> None:
        handlers: dict[str, Callable[[Event], None]] = {
            "run_started": self._start_run,
            "trial_started": self._start_trial,
            "epoch": self._write_epoch,
            "trial_ended": self._end_trial,
            "evaluated": self._write_test,
            "results": self._write_results,
            "exported": self._write_export,
            "system": self._write_system,
            "run_ended": self._end_run,
        }
        if event.kind in handlers:
            handlers[event.kind](event)

    def _start_run(self, event: Event) -> None:
        environment = event.data.get("environment") or {}
        parent = self._ensure_parent(_ms(event), entries.get_commit(environment))
        params = entries.make_params(self._run.manifest)
        self._store.write(parent, params=params, tags=entries.make_environment_tags(environment))
        self._store.set_status(parent, "RUNNING")
        if "furnished" not in self._runs:
            self._describe_run(parent)
            self._runs["furnished"] = parent

    def _describe_run(self, parent: str) -> None:
        manifest = json.dumps(dict(self._run.manifest), indent=2)
        texts = {"space.yaml": self._run.space_text, "run.json": manifest}
        self._attempt(self._store.upload_texts, parent, texts)
        final = "final" in self._run.manifest
        objective = objective_of(self._run.manifest.get("settings"))
        tags = pages.make_experiment_tags(self._run.name, parent, final, objective)
        for key, value in tags.items():
            self._store.tag_experiment(self._experiment, key, value)
        self._log_dataset(parent)

    def _log_dataset(self, run: str) -> None:
        dataset = self._run.manifest.get("dataset")
        if isinstance(dataset, Mapping) and "fingerprint" in dataset:
            source, digest = str(dataset.get("source")), str(dataset["fingerprint"])
            self._store.log_dataset(run, source, digest, source, json.dumps(dict(dataset)))

    def _ensure_parent(self, time: int, commit: str | None = None) -> str:
        if "parent" not in self._runs:
            search = {"cnnsearch.search": self._run.db.identity}
            tags = {**search, "cnnsearch.run": self._run.name, **entries.make_source_tags(commit)}
            found = self._store.find_run(self._experiment, {**search, "cnnsearch.kind": "search"})
            tags["cnnsearch.kind"] = "search"
            self._runs["parent"] = found or self._store.create_run(
                self._experiment, self._run.name, tags, time
            )
            self._runs["experiment"] = self._experiment
        return self._runs["parent"]

    def _start_trial(self, event: Event) -> None:
        trial, data = str(event.trial_id), event.data
        earlier, name = f"trial {data.get('continues')}", f"trial {trial}"
        if name not in self._runs and earlier in self._runs:  # one MLflow run for all rungs
            # Once: a trial that a resumed session starts again has an event of another time.
            costs = entries.make_points(entries.get_costs(data), _ms(event))
            self._store.write(self._runs[earlier], costs)
            self._runs[name] = self._runs[earlier]
        elif name not in self._runs:
            self._runs[name] = self._ensure_child(event, trial)
            if self._children_are_new:
                return
        self._store.write(self._runs[f"trial {trial}"], tags={"status": "running"})
        self._store.set_status(self._runs[f"trial {trial}"], "RUNNING")

    def _ensure_child(self, event: Event, trial: str) -> str:
        data, time = event.data, _ms(event)
        key = {"cnnsearch.search": self._run.db.identity, "cnnsearch.trial": trial}
        parent = self._ensure_parent(time)
        child = self._find_child(key) or self._store.create_run(
            self._experiment,
            pages.name_trial(data),
            {**key, **self._make_child_tags(parent, data)},
            time,
        )
        costs = entries.make_points(entries.get_costs(data), time)
        self._store.write(child, costs, params=entries.make_params(data["values"]))
        self._log_dataset(child)
        kinds = ("architecture", "recipe")
        texts = {f"{kind}.json": json.dumps(data[kind], indent=2) for kind in kinds}
        self._attempt(self._store.upload_texts, child, texts)
        return child

    def _find_child(self, key: Mapping[str, str]) -> str | None:
        """Searches for a child, unless an earlier one was missing: later ones are missing too."""
        if self._children_are_new:
            return None
        found = self._store.find_run(self._experiment, key)
        self._children_are_new = found is None
        return found

    def _make_child_tags(self, parent: str, data: Mapping[str, Any]) -> dict[str, str]:
        dataset = self._run.manifest.get("dataset") or {}
        labels = {
            "mlflow.parentRunId": parent,
            "cnnsearch.kind": "candidate",
            "cnnsearch.run": self._run.name,
            "family": str(data["family"]),
            "role": str(data.get("role") or "candidate"),
            "fingerprint": str(data["fingerprint"]),
            "status": "running",
            **entries.make_source_tags(None),
        }
        if data.get("network"):
            labels["network"] = str(data["network"])
        if isinstance(dataset, Mapping) and "source" in dataset:
            labels["dataset"] = str(dataset["source"])
        return labels

    def _write_epoch(self, event: Event) -> None:
        child = self._runs.get(f"trial {event.trial_id}")
        if child and not self._run.db.is_repeated(event):
            points = entries.make_epoch_points(
                event.data["metrics"], _ms(event), event.data["epoch"]
            )
            self._curves.setdefault(child, []).extend(points)

    def _flush(self, child: str) -> None:
        self._store.write(child, self._curves.get(child, ()))
        self._curves.pop(child, None)

    def _end_trial(self, event: Event) -> None:
        child = self._runs.get(f"trial {event.trial_id}")
        if not child:
            return
        outcome = entries.get_outcome(event.data, self._run.db.get_history(str(event.trial_id)))
        tags = {"status": str(event.data["status"])}
        if event.data.get("reason"):
            tags["reason"] = entries.shorten(str(event.data["reason"]), entries.LONGEST_TAG)
        points = [*self._curves.get(child, ()), *entries.make_points(outcome, _ms(event))]
        self._store.write(child, points, tags=tags)
        self._curves.pop(child, None)
        self._store.set_status(child, STATUS.get(event.data["status"], "KILLED"), _ms(event))

    def _write_test(self, event: Event) -> None:
        """Writes the test metrics of a finally trained model; ``latency_ms`` is for one image."""
        self._write_metrics(
            event, {**event.data, "latency_ms": event.data.get("latency_ms_batch_1")}
        )

    def _write_export(self, event: Event) -> None:
        """Writes the latency of an export, and its accuracy if it is of a test split."""
        tested = event.data.get("split", "test") == "test"
        names = ("test_accuracy", "latency_ms") if tested else ("latency_ms",)
        self._write_metrics(event, {name: event.data.get(name) for name in names})

    def _write_metrics(self, event: Event, metrics: Mapping[str, Any]) -> None:
        if child := self._runs.get(f"trial {event.trial_id}"):
            self._store.write(child, entries.make_points(metrics, _ms(event)))

    def _write_system(self, event: Event) -> None:
        points = entries.make_points(event.data, _ms(event), event.seq)
        self._store.write(self._ensure_parent(_ms(event)), points)

    def _write_results(self, event: Event) -> None:
        """Writes a study's metrics and uploads its tables, figures and reports."""
        parent = self._ensure_parent(_ms(event))
        metrics = event.data.get("metrics") or {}
        self._store.write(parent, entries.make_points(metrics, _ms(event)))
        for name in event.data["files"]:
            if (self._run.path / name).is_file():
                self._attempt(self._store.upload_file, parent, self._run.path / name)

    def _end_run(self, event: Event) -> None:
        for trial in self._run.db.get_trials():
            child = self._runs.get(f"trial {trial.id}")
            if child and trial.status == "running":
                self._store.write(child, tags={"status": "stopped"})
                self._store.set_status(child, "KILLED", _ms(event))
        reason = str(event.data.get("reason"))
        status = "failed" if reason.startswith("error") else "finished"
        status = "interrupted" if reason == INTERRUPTED else status
        parent = self._ensure_parent(_ms(event))
        self._store.write(parent, tags={"status": status, "reason": reason})
        self._store.set_status(parent, STATUS.get(status, "KILLED"), _ms(event))
        if status == "finished":  # nothing is training now: drawing delays nobody
            self._summary.illustrate(parent, self._attempt)


def _ms(event: Event) -> int:
    return int(event.time * 1000)
