"""Resident memory of the driver and of a trial over 200 trials in one search.

    python -m tests.faults.many_trials --trials 200 --out benchmarks/faults/memory.txt

A trial's is the peak that its process measured; the driver's and the fork server's are looked at
as each trial ends. Medians of the ten trials around.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import psutil

from tests.faults.processes import reaped, servers_of
from tests.faults.report import table, write
from tests.faults.searches import Plan, Search

AROUND = 5
"""Trials on each side of one over which a median is taken."""


def watch(search: Search) -> dict[int, tuple[float, float]]:
    """Runs a search; returns the driver's and the server's MiB after each number of trials."""
    found: dict[int, tuple[float, float]] = {}
    with reaped(search.start()) as session:
        driver = psutil.Process(session.pid)
        while session.poll() is None:
            rows = search.ask("select count(*) from event where kind = 'trial_ended'")
            done = int(rows[0][0]) if rows else 0
            if done and done not in found and (servers := servers_of(session.pid)):
                found[done] = (_mib(driver), _mib(servers[0]))
            time.sleep(0.1)
        assert session.wait() == 0, search.printed()
    return found


def _mib(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 2**20
    except psutil.Error:
        return 0.0


def median(found: dict[int, float], number: int) -> float:
    return statistics.median(v for n, v in found.items() if abs(n - number) <= AROUND and v)


def columns(search: Search, seen: dict[int, tuple[float, float]]) -> dict[str, dict[int, float]]:
    """Returns MiB by number of trials, for each kind of process."""
    peaks = search.ask(
        "select number, json_extract(outcome, '$.metrics.peak_memory_mb') from trial"
        " where status = 'completed'"
    )
    return {
        "driver": {n: one for n, (one, _) in seen.items()},
        "fork server": {n: other for n, (_, other) in seen.items()},
        "trial": {int(n): float(peak) for n, peak in peaks},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--strategy", default="evolution")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="many-trials-"))
    search = Search(Plan(asked.strategy, asked.trials, asked.epochs), folder)
    since = time.monotonic()
    found = columns(search, watch(search))
    text = _report(found, asked.trials, time.monotonic() - since)
    shutil.rmtree(folder)
    print(text)
    if asked.out:
        write(asked.out, "many_trials", asked, text)


def _report(found: dict[str, dict[int, float]], trials: int, seconds: float) -> str:
    numbers = sorted({20, *range(40, trials + 1, 40), trials})
    rows: list[list[object]] = [
        [n, *(round(median(each, n)) for each in found.values())] for n in numbers
    ]
    first, last = numbers[0], numbers[-1]
    more = [f"{median(each, last) / median(each, first) - 1:+.1%}" for each in found.values()]
    head = ["trials", *(f"{name} MiB" for name in found)]
    said = ", ".join(f"{name} {change}" for name, change in zip(found, more, strict=True))
    return "\n".join([
        f"{trials} trials in {seconds:.0f} s. From trial {first} to trial {last}: {said}.",
        "", table(head, rows),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
