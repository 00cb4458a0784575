"""Small searches that are started as a user starts them, killed, and gone on with."""

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.processes import reaped

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NAME = "r"
LIMIT = 1800.0
"""Seconds after which a session that does not end is a failure."""
SPACE = """\
variables:
  block: {choice: [{type: plain, kernel: {choice: [1, 3]}}, basic, separable]}
input: [8, 8, 1]
classes: 10
stem: [{type: conv, filters: {choice: [4, 6, 8]}}]
stages: [{block: $block, depth: 1, width: {choice: [8, 12, 16]}, stride: 2}]
head: {dropout: {choice: [0.0, 0.1]}}
recipe: {learning_rate: {log: [3e-3, 3e-2]}, batch_size: 128, epochs: 4}
"""


def make_folder(prefix: str) -> Path:
    """Makes a folder in memory where that is possible.

    What a killed process has written stays in the page cache: a disk would only be slower.
    """
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix=prefix, dir=memory if memory.is_dir() else None))


@dataclass(frozen=True)
class Plan:
    """What is searched; ``stand_in``: seconds of an epoch that is not trained (0: all are)."""

    strategy: str = "random"
    trials: int = 8
    epochs: int = 4
    workers: int = 1
    seed: int = 0
    ray: bool = False
    stand_in: float = 0.0

    @property
    def words(self) -> str:
        return f"{self.strategy}, seed {self.seed}{', Ray' if self.ray else ''}"


@dataclass
class Search:
    """One search in a folder of its own, over all its sessions.

    Attributes:
        prefix: a command that runs the search's command elsewhere.
        more: options of the first session.
    """

    plan: Plan
    folder: Path
    sessions: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()
    more: tuple[str, ...] = ()

    @property
    def run(self) -> Path:
        return self.folder / "runs" / NAME

    @property
    def log(self) -> Path:
        return self.folder / "faults.log"

    def command(self) -> list[str]:
        """The command that begins the search or, where it has been begun, goes on with it."""
        program, tail = [*self.prefix, sys.executable, "-m", "cnnsearch"], ["--plain"]
        if (self.run / "run.json").is_file():
            return [*program, "resume", NAME, *tail]
        plan = self.plan
        numbers = {"trials": plan.trials, "workers": plan.workers, "seed": plan.seed}
        options = [text for key, n in numbers.items() for text in (f"--{key}", str(n))]
        epochs = [] if plan.strategy == "hyperband" else ["--epochs", str(plan.epochs)]
        search = ["search", "space.yaml", "--name", NAME, "--strategy", plan.strategy]
        ray = ["--ray", "local"] if plan.ray else []
        return [
            *program,
            *search,
            *options,
            *epochs,
            *ray,
            *self.more,
            "--train-share",
            "0.5",
            *tail,
        ]

    def variables(self, kill: str = "") -> dict[str, str]:
        """The environment of a session; ``kill`` is what hooks/sitecustomize.py takes."""
        paths = os.pathsep.join([str(HERE / "hooks"), str(ROOT)])
        wanted = {"CNNSEARCH_FAULT_LOG": str(self.log), "PYTHONPATH": paths, "COLUMNS": "200"}
        if kill:
            wanted["CNNSEARCH_FAULT_KILL"] = kill
        if self.plan.stand_in:
            wanted["CNNSEARCH_FAULT_STANDIN"] = str(self.plan.stand_in)
            wanted["KERAS_BACKEND"] = "numpy"  # nothing is computed, and it is imported sooner
        return {**os.environ, **self.environment, **wanted}

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "space.yaml").write_text(SPACE)
        self.sessions += 1
        with self.log.open("a") as log:
            log.write(f"session {self.sessions}\n")

    def start(self, kill: str = "") -> "subprocess.Popen[bytes]":
        """Starts a session in a process group of its own."""
        self.prepare()
        with (self.folder / "out.log").open("ab") as out:
            return subprocess.Popen(
                self.command(),
                cwd=self.folder,
                env=self.variables(kill),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def finish(self) -> float:
        """Runs a session to its end and returns its seconds.

        Raises:
            AssertionError: it does not end well.
        """
        since = time.monotonic()
        with reaped(self.start()) as session:
            code = session.wait(LIMIT)
        assert code == 0, f"exit code {code}\n{self.printed()}"
        seconds = time.monotonic() - since
        self.synchronize()
        return seconds

    def synchronize(self) -> None:
        """Does as a session's last line says, if on a busy machine MLflow lacked events."""
        if "MLflow lacks" in self.printed().rpartition("Searching ")[2]:
            sync = [sys.executable, "-m", "cnnsearch", "sync", NAME]
            subprocess.run(sync, cwd=self.folder, env=self.variables(), check=True)

    def length(self) -> int:
        """Of what has been printed."""
        return len(self.printed()) if (self.folder / "out.log").exists() else 0

    def printed(self) -> str:
        return (self.folder / "out.log").read_text("utf-8", "replace")

    def epochs(self) -> list[tuple[int, str, int, str]]:
        """What the hook was told of epochs: session, trial, epoch, begin or end or saved."""
        session, told = 0, []
        for words in map(str.split, self.log.read_text().splitlines()):
            if words[0] == "session":
                session = int(words[1])
            elif words[0] == "epoch":
                told.append((session, words[1], int(words[2]), words[3]))
        return told

    def trial_of(self, pid: int) -> str:
        """Which trial the process is or was training; empty: none."""
        lines = [line.split() for line in self.log.read_text().splitlines()]
        told = [words[2] for words in lines if words[:2] == ["process", str(pid)]]
        return told[-1] if told else ""

    def calls(self) -> dict[str, int]:
        """How often each point was passed."""
        names = [line.split()[1] for line in self.log.read_text().splitlines() if "call" in line]
        return {name: names.count(name) for name in sorted(set(names))}

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Reads the run's database as another program would; nothing where there is none yet."""
        return read(self.run / "run.db", query, *values)

    def journalled(self) -> int:
        """Epochs that the journal has."""
        rows = self.ask("select count(distinct trial_id || ':' || epoch) from event"
                        " where kind = 'epoch'")  # fmt: skip
        return int(rows[0][0]) if rows else 0

    def started_sessions(self) -> int:
        return self.count("run_started")

    def count(self, kind: str) -> int:
        """Events of a kind that the journal has."""
        rows = self.ask("select count(*) from event where kind = ?", kind)
        return int(rows[0][0]) if rows else 0

    def events(self) -> int:
        """Events that the journal has, but for the machine's load."""
        rows = self.ask("select count(*) from event where kind <> 'system'")
        return int(rows[0][0]) if rows else 0


def read(path: Path, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """Reads an SQLite file without writing to it."""
    if not path.is_file():
        return []
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
            rows: list[tuple[Any, ...]] = connection.execute(query, values).fetchall()
            return rows
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):  # it is being made
            return []
        raise


def wait_until(happened: Any, process: "subprocess.Popen[bytes]", seconds: float = LIMIT) -> bool:
    """Waits until something has happened; False if the process ended before."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if happened():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.05)
    raise AssertionError(f"did not happen within {seconds} s")
