"""Run folders: databases with bytes, rows and tables changed, hostile manifests, links, names."""

import io
import json
import os
import random
import shutil
import socket
import sqlite3
import tempfile
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any

from cnnsearch.engine.run_manifest import read_settings
from cnnsearch.engine.settings import Settings
from cnnsearch.errors import RunError
from cnnsearch.report.tables import build_results_table, draw_pareto_plot
from cnnsearch.runs import manage
from cnnsearch.runs.directory import RunDirectory, list_runs
from cnnsearch.runs.lookup import find_candidate, find_trial
from cnnsearch.runs.ranking import find_pareto_front, rank_trials
from tests.fuzz.spaces import SCALARS, bomb, edited

ARCHITECTURE = {
    "input": [8, 8, 1],
    "classes": 10,
    "stem": [{"type": "conv", "filters": 8}],
    "stages": [{"block": {"type": "basic"}, "width": 8}],
}
SPACE = "input: [8, 8, 1]\nclasses: 10\nstem: [{type: conv, filters: {choice: [8, 16]}}]\n"
NUMBERS = (0, -1, 1.5, 1e400, -1e400, float("nan"), 10**40, "x", b"\xff", None, "[/x]", "\x1b[2J")
STATEMENTS = (
    "drop table trial", "drop table event", "delete from trial", "delete from mapping",
    "alter table trial add column x", "pragma user_version=99", "pragma user_version=0",
    "pragma application_id=1", "pragma journal_mode=delete", "create table x (y)",
    "drop table event; create view event as with recursive n(x) as (select 1 union all"
    " select x+1 from n) select x seq, 1.0 time, 'run_ended' kind, null trial_id, '{}' data from n",
    "drop table trial; create view trial as with recursive n(x) as (select 1 union all"
    " select x+1 from n) select x id, x number, '' status, '' start, '' outcome, 1 started,"
    " 1 ended from n",
    "create trigger t after insert on event begin delete from trial; end",
    "update event set data = cast(zeroblob(2000000) as text)",
    "update trial set id = '../../canary'", "update trial set id = '[/x]'",
    "update trial set start = cast(x'ff' as text)", "update event set data = x'00ff'",
    "update trial set start = replace(hex(zeroblob(50000)), '0', '[')",
    "insert into event select 2, 'x', 'run_', null, '[]', 0", "vacuum", "pragma page_size=65536",
)  # fmt: skip
LINKS = ("run.json", "space.yaml", "run.db", "run.db-wal", "run.db-shm", "lock", "trials", "extra")


def manifest() -> dict[str, Any]:
    settings = {"source": "s.yaml", **Settings.create("", "s.yaml").flatten()}
    return {
        "kind": "search",
        "space": "s",
        "data": "digits",
        "strategy": "random",
        "seed": 0,
        "settings": settings,
        "identity": Settings.create(SPACE, "s.yaml").identity(),
        "dataset": {
            "source": "digits",
            "fingerprint": "0" * 16,
            "class_names": [str(n) for n in range(10)],
            "image": [8, 8],
            "channels": 1,
            "train": 10,
            "validation": 5,
            "test": 5,
            "mean": [0.5],
            "std": [0.2],
            "skipped": [],
        },
        "environment": {},
    }


def template(root: Path) -> RunDirectory:
    """Makes a run with candidates that are finished, failed and running."""
    run = RunDirectory.create(root, "run", json.loads(json.dumps(manifest())), SPACE)
    start = {"architecture": ARCHITECTURE, "recipe": {}, "values": {}, "fingerprint": "f" * 16}
    run.db.append("run_started", {"trials": 3})
    for number, status in enumerate(("completed", "completed", "failed", "running")):
        more = {"number": number, "family": "residual", "params": 900 * number, "macs": 10**4}
        run.db.append("trial_started", {**start, **more, "epochs": 2}, f"{number}")
        run.db.append("epoch", {"epoch": 0, "metrics": {"val_accuracy": 0.5}}, f"{number}")
        if status != "running":
            end = {"status": status, "score": 0.5 + number / 10, "metrics": {"val_accuracy": 0.5}}
            run.db.append("trial_ended", {**end, "seconds": 1.0, "reason": None}, f"{number}")
    run.db.append("results", {"metrics": {"test_accuracy": 0.5}})
    run.db.append("run_ended", {"reason": "trials"})
    (run.trial_dir("0") / "state.npz").write_bytes(b"x" * 100)
    (run.path / "lock").write_text("")
    run.close()
    return run


class Runs:
    name = "runs"
    seconds = 5.0

    @cached_property
    def _template(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="fuzz-template-"))
        return template(folder).path

    def make(self, rng: random.Random, folder: Path) -> tuple[object, tuple[str, ...]]:
        root = folder / "runs"
        shutil.copytree(self._template, root / "run")
        name = "run"
        for _ in range(rng.choice((1, 1, 1, 2))):
            change = rng.choices(
                (self._bytes, self._rows, self._tables, self._manifest, self._space, self._files),
                (4, 6, 2, 5, 1, 2),
            )[0]
            if (root / "run").is_dir():
                change(root / "run", rng)
        if rng.random() < 0.05:
            name = rng.choice(("a b", "-x", "[bold]", "é", "a\nb", "...", "x" * 200, "mlflow.db"))
            (root / "run").rename(root / name)
        if rng.random() < 0.05:
            name = rng.choice(("../run", "/", "", "..", "run/../run", "\x00", "run\n"))
        return (root, name), ("run", repr(name), "--")

    def use(self, subject: Any, folder: Path) -> None:
        root, name = subject
        list_runs(root)
        refusals = []
        for action in (shown, resumed, looked_up, deleted):
            try:
                action(root, name)
            except RunError as error:
                refusals.append(error)
        for error in refusals:
            raise error

    def _bytes(self, run: Path, rng: random.Random) -> None:
        file = run / rng.choice(("run.db", "run.db", "run.db", "run.json", "space.yaml", "lock"))
        data = bytearray(file.read_bytes()) if file.is_file() else bytearray()
        for _ in range(rng.choice((1, 3, 30, 300))):
            at = rng.randrange(len(data) + 1)
            data[at : at + rng.choice((1, 1, 1, 4))] = rng.choice(
                (b"\x00", b"\xff", b"\x7f\xff\xff\xff", rng.randbytes(2), b"")
            )
        if rng.random() < 0.2:
            del data[rng.randrange(len(data) + 1) :]
        _replace(file, bytes(data))

    def _rows(self, run: Path, rng: random.Random) -> None:
        try:
            with closing(sqlite3.connect(run / "run.db")) as db:
                if rng.random() < 0.5:
                    column = rng.choice(("number", "status", "started", "ended", "id", "outcome"))
                    db.execute(f"update trial set {column} = ? where number = 1",
                               (rng.choice(NUMBERS),))  # fmt: skip
                table, column = rng.choice(
                    (("trial", "start"), ("trial", "outcome"), ("event", "data"))
                )
                rows = db.execute(f"select rowid, {column} from {table}").fetchall()
                row, text = rng.choice(rows)
                data = edited(json.loads(text or "{}"), rng, [manifest()])
                values = (json.dumps(data), row)
                db.execute(f"update {table} set {column} = ? where rowid = ?", values)
                db.commit()
        except (sqlite3.Error, ValueError, TypeError, OverflowError, IndexError):
            pass

    def _tables(self, run: Path, rng: random.Random) -> None:
        try:
            with closing(sqlite3.connect(run / "run.db", isolation_level=None)) as db:
                db.executescript(rng.choice(STATEMENTS))
        except sqlite3.Error:
            pass

    def _manifest(self, run: Path, rng: random.Random) -> None:
        data: Any = manifest()
        if rng.random() < 0.3:
            data["kind"] = rng.choice(("final", "fidelity", *SCALARS))
        for _ in range(rng.choice((1, 2))):
            data = edited(data, rng, [manifest(), ARCHITECTURE])
        settings = data.get("settings") if isinstance(data, dict) else None
        if rng.random() < 0.2 and isinstance(settings, dict):
            settings[rng.choice(("x", "source", "trials"))] = rng.choice(SCALARS)
        text = json.dumps(data) if rng.random() < 0.95 else "[" * 100_000
        _replace(run / "run.json", text.encode("utf-8", "surrogatepass"))

    def _space(self, run: Path, rng: random.Random) -> None:
        _replace(run / "space.yaml", bomb(rng))

    def _files(self, run: Path, rng: random.Random) -> None:
        path = run / rng.choice(LINKS)
        canary = run.parents[2] / "canary"
        owner = {"pid": rng.choice((-1, 0, "x", 2**70, os.getpid(), None)), "since": 0}
        owner |= {"host": socket.gethostname(), "started": rng.choice((None, "", "x", []))}
        match rng.randrange(5):
            case 0:
                _remove(path)
                path.symlink_to(rng.choice((canary, Path("/dev/zero"), run.parents[2], path)))
            case 1:
                _remove(path)
                os.mkfifo(path)
            case 2:
                _remove(path)
            case 3:
                _remove(path)
                path.mkdir()
            case _:
                _replace(run / "lock", json.dumps(owner).encode())


def shown(root: Path, name: str) -> None:
    """``cnnsearch results``."""
    from rich.console import Console

    with closing(RunDirectory.open(root, name)) as run:
        trials = run.db.get_trials()
        run.summarize()
        for trial in trials:
            run.db.get_history(trial.id)
        run.db.get_events()
        rank_trials(trials), find_pareto_front(trials)
        console = Console(width=120, file=io.StringIO())
        console.print(build_results_table(trials, f"Run {run.name}", 20, "val accuracy"))
        console.print(draw_pareto_plot(trials), markup=False)


def resumed(root: Path, name: str) -> None:
    """``cnnsearch resume``, until it would read the data."""
    from cnnsearch.space.search_space import SearchSpace

    with closing(RunDirectory.open(root, name)) as run:
        settings = read_settings(run)
        SearchSpace.from_text(run.space_text, f"run {name}, {settings.source}")


def looked_up(root: Path, name: str) -> None:
    """``cnnsearch cost RUN:TRIAL``."""
    with closing(RunDirectory.open(root, name)) as run:
        find_trial(run, "best")
    find_candidate(f"{name}:1", root)


def deleted(root: Path, name: str) -> None:
    """``cnnsearch stop`` and ``delete``."""
    manage.stop(root, name, wait=0.0)
    manage.delete(root, name)


def _replace(path: Path, data: bytes) -> None:
    _remove(path)
    path.write_bytes(data)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
