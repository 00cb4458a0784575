"""What MLflow costs a search, and a search of 1,000 candidates costs MLflow.

The same candidates (random search of ``tiny`` on digits, one seed) are searched in turn

- without MLflow (the tracker is replaced by one that does nothing),
- into the SQLite store beside the runs,
- towards a server that refuses connections, and
- towards a server that takes them and never answers,

again and again, interleaved, because machines are shared. Seconds count from the start of the
first candidate to the end of the last; processor seconds are those of the driver and all it
started, which a busy machine changes less. Then a made-up journal of 1,000 candidates is projected.

    nice -n 15 python benchmarks/bench_tracking.py [--trials 4] [--epochs 10] [--rounds 5]
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
from pathlib import Path

from cnnsearch.runs import mlflow
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.utils.environment import configure_backend, describe_device

WAYS = ("without MLflow", "SQLite beside the runs", "server refuses", "server never answers")

SEARCH = """
import json, resource, sys
from cnnsearch import cli
from cnnsearch.engine import session

class Silent:
    def __init__(self, *args, **keywords): pass
    def start(self): pass
    def notify(self): pass
    def close(self, timeout=0): return True

if sys.argv.pop(1) == "silent":
    session.Tracker = Silent
try:
    cli.main()
except SystemExit as end:
    if end.code:
        raise
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps(sum(u.ru_utime + u.ru_stime for u in used)))
"""


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


def searched(root: Path, name: str, way: str, uri: str | None, asked: argparse.Namespace) -> tuple:
    """Searches; returns the seconds of the candidates and the processor seconds of everything."""
    command = [sys.executable, "-c", SEARCH, "silent" if way == WAYS[0] else "tracked"]
    command += ["search", "tiny", "--strategy", "random", "--name", name, "--runs", str(root)]
    command += ["--trials", str(asked.trials), "--epochs", str(asked.epochs), "--quiet"]
    command += ["--mlflow-uri", uri] if uri else []
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    run = RunDirectory.open(root, name)
    found = run.db.get_trials()
    run.close()
    if any(trial.status != "completed" for trial in found):
        raise SystemExit(f"{name}: not all candidates were completed")
    seconds = max(t.ended or 0.0 for t in found) - min(t.started for t in found)
    return seconds, float(json.loads(done.stdout.strip().splitlines()[-1]))


def compare(asked: argparse.Namespace) -> None:
    """Prints each way against the first: medians of the rounds' ratios."""
    took: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder, deaf_server() as deaf:
        uris = (None, None, "http://127.0.0.1:9", deaf)
        for number in range(asked.rounds):
            for index, (way, uri) in enumerate(zip(WAYS, uris, strict=True)):
                found = searched(Path(folder), f"r{number}-{index}", way, uri, asked)
                took[way].append(found)
    what = f"{asked.trials} candidates of {asked.epochs} epochs, {asked.rounds} rounds"
    print(f"{what}, {describe_device()}")
    for way in WAYS:
        for place, what in enumerate(("seconds", "processor seconds")):
            values = [found[place] for found in took[way]]
            ratios = [a / b[place] for a, b in zip(values, took[WAYS[0]], strict=True)]
            line = f"{way:<24} {statistics.median(values):7.1f} {what:<18}"
            each = " ".join(f"{ratio:.3f}" for ratio in ratios)
            print(f"{line} {statistics.median(ratios):6.3f} times   (rounds: {each})")


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
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--candidates", type=int, default=1000)
    asked = parser.parse_args()
    configure_backend()
    if asked.rounds:
        compare(asked)
    if asked.candidates:
        project(asked.candidates)


if __name__ == "__main__":
    main()
