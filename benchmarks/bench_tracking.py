"""What MLflow costs a search, and a search of 1,000 candidates costs MLflow.

The same candidates (random search of a space on digits, one seed) are searched in turn

- without MLflow (the tracker is replaced by one that does nothing),
- into the SQLite store beside the runs,
- with ``--servers``: towards a server that refuses connections, and towards one that takes them
  and never answers,

again and again, interleaved, because machines are shared. Processor seconds are those of the driver
and all that it started, the trials too; a busy machine changes them less than seconds. What the
tracker's thread uses of them is measured by itself: its start (the import of MLflow; in the first
search of a store its tables), its end (the search's figures) and what a candidate costs. Then a
made-up journal of 1,000 candidates is projected.

    python benchmarks/bench_tracking.py [--space residual] [--trials 12] [--epochs 10] [--rounds 1]
"""

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cnnsearch.runs import mlflow
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.utils.environment import configure_backend, describe_device

WAYS = ("without MLflow", "SQLite beside the runs", "server refuses", "server never answers")

SEARCH = """
import json, resource, sys, time
from multiprocessing import forkserver
from cnnsearch import cli
from cnnsearch.engine import session
from cnnsearch.runs.mlflow import tracker

class Silent:
    def __init__(self, *args, **keywords): pass
    def start(self): pass
    def notify(self): pass
    def close(self, timeout=0): return True

used = {"start": 0.0, "end": 0.0, "tracker": 0.0}

class Measured(tracker.Tracker):
    def _follow(self):
        super()._follow()
        used["tracker"] = time.thread_time()

def open_measured(*args, opened=tracker._open_projection, **keywords):
    projection = opened(*args, **keywords)
    used["start"] = time.thread_time()
    end_run = projection._end_run

    def end_measured(event):
        since = time.thread_time()
        end_run(event)
        used["end"] = time.thread_time() - since

    projection._end_run = end_measured
    return projection

tracker._open_projection = open_measured
session.Tracker = Silent if sys.argv.pop(1) == "silent" else Measured
try:
    cli.main()
except SystemExit as end:
    if end.code:
        raise
forkserver._forkserver._stop()  # waits for it: else what the trials used is not counted
each = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
used["all"] = sum(one.ru_utime + one.ru_stime for one in each)
print(json.dumps(used))
"""


@dataclass(frozen=True)
class Used:
    """What a search took.

    Attributes:
        seconds: of its candidates.
        all: processor seconds.
        tracker: those of the thread that writes to MLflow.
        start: of those, until the first write.
        end: of those, at the search's end.
    """

    seconds: float
    all: float
    tracker: float
    start: float
    end: float


@contextmanager
def deaf_server() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []
        threading.Thread(target=_hold, args=(server, held), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def _hold(server: socket.socket, held: list[socket.socket]) -> None:
    while True:
        try:
            held.append(server.accept()[0])
        except OSError:
            return


def searched(root: Path, name: str, way: str, uri: str | None, asked: argparse.Namespace) -> Used:
    """Searches, and returns what that took."""
    command = [sys.executable, "-c", SEARCH, "silent" if way == WAYS[0] else "tracked"]
    command += ["search", asked.space, "--strategy", "random", "--name", name, "--runs", str(root)]
    command += ["--trials", str(asked.trials), "--epochs", str(asked.epochs), "--quiet"]
    command += ["--mlflow-uri", uri] if uri else []
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    run = RunDirectory.open(root, name)
    found = run.db.get_trials()
    run.close()
    if any(trial.status != "completed" for trial in found):
        raise SystemExit(f"{name}: not all candidates were completed")
    seconds = max(t.ended or 0.0 for t in found) - min(t.started for t in found)
    return Used(seconds, **json.loads(done.stdout.strip().splitlines()[-1]))


def compare(asked: argparse.Namespace) -> None:
    """Prints each way against the first: medians of the rounds' ratios."""
    ways = WAYS if asked.servers else WAYS[:2]
    took: dict[str, list[Used]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder, deaf_server() as deaf:
        uris = dict(zip(WAYS, (None, None, "http://127.0.0.1:9", deaf), strict=True))
        for number in range(asked.rounds):
            for way in ways:
                name = f"r{number}-{WAYS.index(way)}"
                took[way].append(searched(Path(folder), name, way, uris[way], asked))
    what = f"{asked.trials} candidates of {asked.space}, {asked.epochs} epochs each"
    print(f"{what}, {asked.rounds} rounds, {describe_device()}")
    for way in ways:
        for key, what in (("seconds", "seconds"), ("all", "processor seconds")):
            values = [getattr(found, key) for found in took[way]]
            firsts = [getattr(found, key) for found in took[WAYS[0]]]
            ratios = [a / b for a, b in zip(values, firsts, strict=True)]
            each = " ".join(f"{ratio:.3f}" for ratio in ratios)
            line = f"{way:<24} {statistics.median(values):7.1f} {what:<18}"
            print(f"{line} {statistics.median(ratios):6.3f} times   (rounds: {each})")
    for way in ways[1:]:
        explain(way, took[way], asked.trials)


def explain(way: str, took: list[Used], trials: int) -> None:
    """Prints the tracker's share of a way's processor seconds, and what of it is spent once."""
    share = statistics.median(used.tracker / (used.all - used.tracker) for used in took)
    starts, ends = (" ".join(f"{getattr(used, key):.2f}" for used in took)
                    for key in ("start", "end"))  # fmt: skip
    rest = statistics.median(used.tracker - used.start - used.end for used in took)
    print(f"{way}: tracking takes {share:.1%} of the other processor seconds")
    print(f"  to start {starts} s, at the end {ends} s (rounds), {1000 * rest / trials:.0f} ms a "
          "candidate")  # fmt: skip


def project(candidates: int) -> None:
    """Prints how long a whole made-up search takes to get into MLflow."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.browser import sample_run

    with tempfile.TemporaryDirectory() as folder:
        run = sample_run.create(Path(folder))
        with run.db.transaction():
            sample_run.search(run, candidates)
        wall, cpu = time.perf_counter(), time.process_time()
        events = mlflow.sync(run)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        run.close()
    print(f"{candidates} candidates of 8 epochs, {events} events, into an empty SQLite store:")
    print(f"{wall:.1f} s, {cpu:.1f} processor seconds, {1000 * cpu / candidates:.0f} ms each")


def main() -> None:
    """Runs both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", default="residual")
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--servers", action="store_true", help="also one that fails, one that hangs"
    )
    parser.add_argument("--candidates", type=int, default=1000)
    asked = parser.parse_args()
    configure_backend()
    if asked.rounds:
        compare(asked)
    if asked.candidates:
        project(asked.candidates)


if __name__ == "__main__":
    main()
