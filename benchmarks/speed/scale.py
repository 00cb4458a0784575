"""A search of thousands of candidates whose training takes no time: what the rest costs.

    python benchmarks/speed/scale.py --trials 5000 --out benchmarks/speed/scale.txt
    python benchmarks/speed/scale.py --trials 5000 --workers 1000 --out benchmarks/speed/workers.txt

The whole engine runs (strategy, database, callbacks), but an executor answers at once with a score
made of the candidate's fingerprint, and MLflow is left out, which ``benchmarks/bench_tracking.py``
measures. Times are processor seconds, which other programs on the machine change little; memory
is resident. Then the finished run is resumed in the same process, so without what importing the
frameworks takes, and ``results`` and ``report`` are run on it as commands.
"""

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil

from cnnsearch.data import load
from cnnsearch.engine import session
from cnnsearch.engine.display import Quiet
from cnnsearch.engine.run_manifest import create_manifest
from cnnsearch.engine.search import resume
from cnnsearch.engine.search_session import train_candidates
from cnnsearch.engine.settings import Settings
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.messages import Completed, EpochEnd, Event, Measurement, TrialEnd, TrialTask
from cnnsearch.utils.environment import describe_device
from cnnsearch.utils.units import pluralize

PARTS = 10
"""Of the search, for each of which a line is printed."""


class InstantExecutor:
    """Ends a random one of its trials at each poll; its score is a number made of the network."""

    def __init__(self, every: int, workers: int = 1) -> None:
        self._tasks: list[TrialTask] = []
        self._workers, self._rng = workers, random.Random(0)
        self._count, self._every = 0, every
        self._since = time.process_time()
        self.lines: list[str] = []

    @property
    def free(self) -> int:
        return self._workers - len(self._tasks)

    def submit(self, task: TrialTask) -> None:
        self._tasks.append(task)

    def poll(self, timeout: float) -> list[Event]:
        if not self._tasks:
            return []
        task = self._tasks.pop(self._rng.randrange(len(self._tasks)))
        self._count += 1
        if self._count % self._every == 0:
            self._measure()
        score = int(task.architecture.fingerprint, 16) % 10**6 / 10**6
        metrics = {"val_accuracy": score, "val_loss": 1 - score}
        measurement = Measurement(metrics, score, 1 - score, 1, 0, 1, 10, 0.9, 0.1, 500.0)
        epoch = EpochEnd(task.trial_id, 1, {**metrics, "accuracy": score, "loss": 1 - score})
        return [epoch, TrialEnd(task.trial_id, Completed(measurement))]

    def _measure(self) -> None:
        now = time.process_time()
        each = 1000 * (now - self._since) / self._every  # with the proposals for all workers first
        memory = psutil.Process().memory_info().rss / 2**20
        self.lines.append(f"trial {self._count:>6,}  {each:6.1f} ms a trial  {memory:6.0f} MiB")
        print(self.lines[-1], flush=True)
        self._since = time.process_time()

    def warm(self) -> None: ...
    def cancel(self, trial_id: str) -> None: ...
    def close(self) -> None: ...


def search(root: Path, space_name: str, strategy: str, trials: int, workers: int) -> list[str]:
    """Runs the search; returns a line for each tenth of it."""
    space = SearchSpace.load(space_name)
    settings = Settings.create(
        space.text, space.source, data="digits", strategy=strategy, trials=trials, epochs=1
    )
    size = space.decode_first().architecture.input
    dataset = load("digits", image=(size[0], size[1]), channels=None, cache=root / ".cache")
    manifest = create_manifest(space.name, settings, dataset)
    run = RunDirectory.create(root, "scale", manifest, space.text)
    idle: Any = SimpleNamespace(start=list, notify=list, close=lambda patience: None)
    session.Tracker = lambda *args, **options: idle  # type: ignore[misc,assignment]
    executor = InstantExecutor(max(1, trials // PARTS), workers)
    train_candidates(run, settings, space, dataset, Quiet(), executor, time.monotonic())
    run.close()
    since = time.process_time()
    resume("scale", runs=root, callback=Quiet())
    executor.lines.append(f"{'resume':24}{time.process_time() - since:6.1f} processor s")
    print(executor.lines[-1], flush=True)
    return executor.lines


def time_command(root: Path, *words: str) -> str:
    """Runs a command on the run; returns its processor and wall seconds."""
    before, since = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [
        sys.executable,
        "-m",
        "cnnsearch",
        words[0],
        "scale",
        *words[1:],
        "--runs",
        str(root),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - since
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    failed = f"  exit code {done.returncode}: {done.stderr[-200:]}" if done.returncode else ""
    return f"{' '.join(words):24}{used:6.1f} processor s  {wall:6.1f} s{failed}"


def main() -> None:
    """Prints what a trial costs, and the commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--space", default="residual")
    parser.add_argument("--strategy", default="evolution")
    parser.add_argument("--workers", type=int, default=1, help="that train at once")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        lines = search(root, args.space, args.strategy, args.trials, args.workers)
        for words in (("results",), ("report",)):
            lines.append(time_command(root, *words))
            print(lines[-1], flush=True)
    if args.out is not None:
        load_average = os.getloadavg()[0]
        head = (
            f"$ {' '.join(['python', *sys.argv])}\n{args.trials:,} candidates of {args.space}, "
            f"{args.strategy}, {pluralize(args.workers, 'worker')}, {describe_device()}, "
            f"load average {load_average:.0f}\n"
        )
        args.out.write_text("\n".join([head, *lines, ""]))


if __name__ == "__main__":
    main()
