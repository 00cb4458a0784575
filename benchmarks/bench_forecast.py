"""Compares the time left that a search shows, after each candidate, with the time it took.

    python benchmarks/bench_forecast.py SPACE DATA [--trials 8] [--epochs 8] [--image 32]

Prints the seconds of the measurement, and after 0, 1, 2 ... candidates the time left as the live
table shows it (that of the candidates left, or until ``--max-time`` is over) and as it came; beside
them the next candidate's own seconds, predicted and measured.
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
    """Keeps what the search expects after each candidate."""

    def __init__(self) -> None:
        self.paces: list[Pace] = []
        self.ends: list[float] = []
        self.trials: list[TrialRecord] = []
        self.begun = 0.0

    def on_search_begin(self, overview: Overview) -> None:
        self.begun = time.monotonic()

    def on_trial_begin(self, trial: TrialRecord) -> None:
        self.ends = self.ends or [time.monotonic()]

    def on_pace(self, pace: Pace) -> None:
        self.paces.append(pace)

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
    parser.add_argument("--max-time", default="30m", help="always set")
    parser.add_argument("--strategy", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    given: dict[str, Any] = vars(parser.parse_args())
    given = {key: value for key, value in given.items() if value is not None}
    space, data, seen = given.pop("space"), given.pop("data"), Recorder()
    with tempfile.TemporaryDirectory() as folder:
        cnnsearch.search(space, data, runs=Path(folder), callback=seen, **given)
    print(f"{space} on {data}, {given['epochs']} epochs each, on {describe_device()}")
    print(f"start and measurement: {seen.ends[0] - seen.begun:.1f} s")
    print("done  expected    took   error      predicted  trained    wall")
    for done, pace in enumerate(seen.paces[: len(seen.trials)]):
        took, expected = seen.ends[-1] - seen.ends[done], ""
        if pace.seconds is not None and pace.deadline is not None:
            left = (given["trials"] - done) * pace.seconds
            left = min(left, pace.deadline - seen.ends[done])
            expected = f"{left:>10.1f}{took:>8.1f}{left / took - 1:>+8.0%}"
        trial, wall = seen.trials[done], seen.ends[done + 1] - seen.ends[done]
        own = f"{trial.predicted_seconds or 0:>10.1f}{trial.seconds or 0:>9.1f}{wall:>8.1f}"
        print(f"{done:>4}{expected or f'{took:>18.1f}':26}     {own}")


if __name__ == "__main__":
    main()
