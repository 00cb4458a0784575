"""Kills the driver of searches at random instants, resumes, and compares with undisturbed ones.

    python -m tests.faults.kill_driver --kills 100 --out benchmarks/faults/kill_driver.txt

Each search is killed about six times: while it starts, while it works, and at chosen points (in
the middle of a transaction of the journal, beside a half-written checkpoint, between two writes to
MLflow); once in two the driver alone, once in two its process group.

Every strategy there is runs enough trials to leave its random start, so that what it remembers
matters. So many trials are affordable because they train by hooks/stand_in.py; ``--real`` has
eight trials of real trainings instead.
"""

import argparse
import math
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from cnnsearch.oracles import STRATEGIES
from tests.faults import stores
from tests.faults.moments import Moment, Pace, draw, reference
from tests.faults.processes import family, leave_time, reaped
from tests.faults.report import table, write
from tests.faults.searches import Plan, Search, make_folder, wait_until

NAMES = tuple(strategy.name for strategy in STRATEGIES)
EPOCH = 0.02
"""Seconds of an epoch that a stand-in trains."""
TRIALS, REAL_TRIALS = 30, 8
"""Evolution draws 10 founders at random, Bayesian 11 candidates."""


@dataclass
class Kill:
    """One session that was killed.

    Attributes:
        search: which one, in words.
        kind: start, work, end, or the point.
        whom: driver or group.
        seconds: after which.
        epochs: that the journal had then.
        left: seconds until the last process of the search was gone.
    """

    search: str
    kind: str
    whom: str
    seconds: float
    epochs: int
    left: float = 0.0
    orphans: str = ""
    watcher: threading.Thread | None = None

    @property
    def row(self) -> list[object]:
        left = f"{self.left:.2f}"
        return [self.search, self.kind, self.whom, f"{self.seconds:.1f}", self.epochs, left]


COLUMNS = ("search", "kind", "whom", "after s", "epochs", "gone after s")


def kill_once(search: Search, pace: Pace, rng: random.Random, share: float) -> Kill | None:
    """Starts a session and kills it; None: it came to its end before."""
    whom = rng.choice(("driver", "group"))
    moment = draw(search, pace, rng, share, whom)
    since = time.monotonic()
    with reaped(search.start(moment.point)) as session:
        wait = _watch_until_dead if moment.point else partial(_kill_at, moment, whom)
        processes = wait(session)
        if session.poll() != -signal.SIGKILL:
            assert session.poll() == 0, f"exit code {session.poll()}\n{search.printed()}"
            return None
        seconds = time.monotonic() - since
        made = Kill(search.plan.words, moment.kind, whom, seconds, search.journalled())
        _see_them_leave(made, processes, wait=rng.random() < 0.5)
    return made


def _kill_at(moment: Moment, whom: str, session: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    if not wait_until(moment.happened, session):
        return []
    with suppress(subprocess.TimeoutExpired):
        session.wait(moment.after)
    processes = family(session.pid)
    if session.poll() is None:
        (os.kill if whom == "driver" else os.killpg)(session.pid, signal.SIGKILL)
        session.wait()
    return processes


def _watch_until_dead(session: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    """Waits for a session that kills itself; returns all processes it ever had."""
    seen = {}
    while session.poll() is None:
        seen.update({process.pid: process for process in family(session.pid)})
        time.sleep(0.05)
    return list(seen.values())


def _see_them_leave(kill: Kill, processes: list[psutil.Process], wait: bool) -> None:
    """Measures how long the driver's processes outlive it; the next session may start meanwhile."""

    def measure() -> None:
        since = time.monotonic()
        try:
            leave_time(processes)
        except AssertionError as error:
            kill.orphans = str(error)
        kill.left = time.monotonic() - since

    kill.watcher = threading.Thread(target=measure)
    kill.watcher.start()
    if wait:
        kill.watcher.join()


def check(search: Search, undisturbed: Search, kills: list[Kill]) -> list[str]:
    """Returns what is wrong with a search that was killed and has come to its end."""
    for kill in kills:
        if kill.watcher:
            kill.watcher.join()
    wrong = [kill.orphans for kill in kills if kill.orphans]
    wrong += stores.differences(stores.state(undisturbed), stores.state(search))
    wrong += stores.damage(search)
    again = stores.repeated_epochs(search)
    wrong += [f"repeated: {line}" for line in again if "although" in line]
    sessions = [line.split()[0] for line in again]
    wrong += [f"session {n} repeated two epochs" for n in set(sessions) if sessions.count(n) > 1]
    if len(again) > len(kills):
        wrong.append(f"{len(again)} epochs repeated after {len(kills)} kills")
    if "Traceback" in search.printed():
        wrong.append("a traceback was printed")
    return wrong


def kill_often(
    search: Search, pace: Pace, rng: random.Random, most: int, kills: list[Kill]
) -> None:
    """Kills one search at most so many times and lets it end; notes the kills."""
    while len(kills) < most:
        kill = kill_once(search, pace, rng, 1.5 / most)
        if kill is None:
            search.synchronize()
            return
        kills.append(kill)
    search.finish()


def disturb(
    undisturbed: Search, pace: Pace, folder: Path, rng: random.Random, most: int
) -> tuple[list[Kill], list[str]]:
    """Kills one search and returns the kills and what went wrong."""
    plan = undisturbed.plan
    search, kills = Search(plan, folder), list[Kill]()
    try:
        kill_often(search, pace, rng, most, kills)
        wrong = check(search, undisturbed, kills)
    except AssertionError as error:  # a session did not end well: the others go on
        wrong = [str(error)]
    again = stores.repeated_epochs(search)
    done = len(stores.leaderboard(search))
    print(f"{plan.words}: {len(kills)} kills, {done} candidates, {len(again)} epochs again, "
          f"{len(wrong)} wrong", *wrong[:20], sep="\n  ", flush=True)  # fmt: skip
    return kills, wrong


class Harness:
    """Kills searches of all strategies, some side by side, in a folder of its own."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self._asked, self._root = asked, make_folder("kill-driver-")
        self._references: dict[str, tuple[Search, Pace]] = {}

    def run(self) -> None:
        asked, kills, wrong, searches = self._asked, list[Kill](), list[str](), 0
        with ThreadPoolExecutor(asked.parallel) as pool:
            self._references = dict(zip(NAMES, pool.map(self._refer, NAMES), strict=True))
            while len(kills) < asked.kills:
                more = math.ceil((asked.kills - len(kills)) / asked.a_search)
                for found, faults in pool.map(self._disturb, range(searches, searches + more)):
                    kills, wrong, searches = [*kills, *found], [*wrong, *faults], searches + 1
                    if asked.out:
                        write(asked.out, "kill_driver", asked, _report(kills, wrong, searches))
        shutil.rmtree(self._root)

    def _refer(self, strategy: str) -> tuple[Search, Pace]:
        real, seed = self._asked.real, self._asked.seed + NAMES.index(strategy)
        trials, stand_in = (REAL_TRIALS, 0.0) if real else (TRIALS, EPOCH)
        plan = Plan(strategy, trials, seed=seed, stand_in=stand_in)
        return reference(plan, self._root / strategy)

    def _disturb(self, number: int) -> tuple[list[Kill], list[str]]:
        strategy, folder = NAMES[number % len(NAMES)], self._root / f"killed-{number + 1}"
        rng = random.Random(f"{self._asked.seed}/{number}")
        undisturbed, pace = self._references[strategy]
        kills, wrong = disturb(undisturbed, pace, folder, rng, self._asked.a_search)
        if wrong and self._asked.keep:
            shutil.copytree(folder, self._asked.keep / folder.name)
            shutil.copytree(undisturbed.folder, self._asked.keep / strategy, dirs_exist_ok=True)
        shutil.rmtree(folder)
        return kills, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="at least")
    parser.add_argument("--a-search", type=int, default=6, help="kills, at most")
    parser.add_argument("--parallel", type=int, default=1, help="searches side by side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--real", action="store_true", help="train, 8 trials a search")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", type=Path, help="folder for what went wrong")
    Harness(parser.parse_args()).run()


def _report(kills: list[Kill], wrong: list[str], searches: int) -> str:
    strategies = [kill.search.split(",")[0] for kill in kills]
    each = ", ".join(f"{name} {strategies.count(name)}" for name in dict.fromkeys(strategies))
    kinds = sorted({kill.kind.split()[0] for kill in kills})
    rows = []
    for kind in kinds:
        these = [kill for kill in kills if kill.kind.split()[0] == kind]
        alone = [kill.left for kill in these if kill.whom == "driver"]
        longest = f"{max(alone):.2f} s" if alone else "-"
        rows.append([kind, len(these), len(alone), len(these) - len(alone), longest])
    head = ["killed", "times", "driver", "group", "last process gone after"]
    lines = [
        f"{len(kills)} kills in {searches} searches; {len(wrong)} differences from undisturbed.",
        f"Kills by strategy: {each}.",
        "",
        table(head, rows),
        *(["", "Wrong:"] if wrong else []),
        *wrong,
        "",
        "Every kill:",
        table(COLUMNS, [kill.row for kill in kills]),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
