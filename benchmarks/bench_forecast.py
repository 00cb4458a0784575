"""Compares what a search expects before it starts, and after two candidates, with what it took.

    python benchmarks/bench_forecast.py SPACE DATA [--trials 8] [--epochs 8] [--image 32]

Prints the seconds of the measurement, and what the candidates that were left after 0, 1, 2 ... were
expected to take and took; beside them the last candidate's own seconds, predicted and measured.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import cnnsearch
from cnnsearch.engine.display.callback import Overview, Pace
from cnnsearch.engine.display.lines import Quiet
from cnnsearch.runs.records import TrialRecord
from cnnsearch.utils.environment import describe_device


class Recorder(Quiet):
    """Keeps the mean seconds that the search expects of a candidate, after each."""

    def __init__(self) -> None:
        self.expected: list[float | None] = []
        self.ends: list[float] = []
        self.trials: list[TrialRecord] = []
        self.begun = 0.0

    def on_search_begin(self, overview: Overview) -> None:
        self.begun = time.monotonic()

    def on_trial_begin(self, trial: TrialRecord) -> None:
        self.ends = self.ends or [time.monotonic()]

    def on_pace(self, pace: Pace) -> None:
        self.expected.append(pace.seconds)

    def on_trial_end(self, trial: TrialRecord) -> None:
        self.ends.append(time.monotonic())
        self.trials.append(trial)

    def on_message(self, text: str) -> None:
        print(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("space")
    parser.add_argument("data")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--image", default=None)
    parser.add_argument("--max-macs", default=None)
    parser.add_argument("--max-time", default="30m")
    parser.add_argument("--strategy", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    given: dict[str, Any] = vars(parser.parse_args())
    given = {key: value for key, value in given.items() if value is not None}
    space, data, seen = given.pop("space"), given.pop("data"), Recorder()
    with tempfile.TemporaryDirectory() as folder:
        cnnsearch.search(space, data, runs=Path(folder), callback=seen, **given)
    print(f"{space} on {data}, {given['epochs']} epochs each, on {describe_device()}")
    print(f"start and measurement: {seen.ends[0] - seen.begun:.1f} s")
    print("done  left  expected    took   error      predicted  trained    wall")
    for done, expected in enumerate(seen.expected[:-1]):
        left, took = len(seen.ends) - 1 - done, seen.ends[-1] - seen.ends[done]
        shown = "" if expected is None else f"{left * expected:.1f}"
        error = "" if expected is None else f"{left * expected / took - 1:+.0%}"
        trial, wall = seen.trials[done], seen.ends[done + 1] - seen.ends[done]
        own = f"{trial.predicted_seconds or 0:>10.1f}{trial.seconds or 0:>9.1f}{wall:>8.1f}"
        print(f"{done:>4}{left:>6}{shown:>10}{took:>8.1f}{error:>8}     {own}")


if __name__ == "__main__":
    main()
