"""Kills the driver of searches at random instants, resumes, and compares with undisturbed ones.

    python -m tests.faults.kill_driver --kills 100 --out benchmarks/faults/kill_driver.txt

Each search is killed about ten times: while it starts, while it works, and at chosen points (in
the middle of a transaction of the journal, beside a half-written checkpoint, between two writes to
MLflow); once in two the driver alone, once in two its process group.

Every strategy there is runs enough trials to leave its random start, so that what it remembers
matters. So many trials are affordable because they train by hooks/stand_in.py; ``--real`` has
eight trials of real trainings instead.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil

from cnnsearch.oracles import STRATEGIES
from tests.faults import stores
from tests.faults.report import table, write
from tests.faults.searches import (
    Plan,
    Search,
    family,
    leave_time,
    make_folder,
    reaped,
    wait_until,
)

NAMES = tuple(strategy.name for strategy in STRATEGIES)
EPOCH = 0.02
"""Seconds of an epoch that a stand-in trains."""
TRIALS, REAL_TRIALS = 30, 8
"""Evolution draws 10 founders at random, Bayesian 11 candidates."""
POINTS = (
    "RunDatabase._execute",
    "Store.write",
    "Store.create_run",
    "Store.set_status",
    "Store.upload_file",
    "os.fsync",
    "atomic_files.replace_file",
    "Training._save",
    "Training._run_epoch",
    "lock._write",
    "directory._fill",
)
"""Where hooks/sitecustomize.py can kill."""


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


@dataclass
class Pace:
    """Of an undisturbed search: seconds to start and to work, events, calls of each point."""

    start: float
    work: float
    events: int = 0
    calls: dict[str, int] = field(default_factory=dict)


def reference(plan: Plan, folder: Path) -> tuple[Search, Pace]:
    """Runs a search undisturbed."""
    search, launched = Search(plan, folder), time.time()
    seconds = search.finish()
    ((began,),) = search.ask("select min(time) from event where kind = 'run_started'")
    start = began - launched
    return search, Pace(start, seconds - start, search.events(), search.calls())


def point(rng: random.Random, pace: Pace, share: float, whom: str) -> str:
    """Draws where a session kills itself, within the first ``share`` of what it has to do."""
    name = rng.choice(POINTS)
    often = pace.calls.get(name, 4 if name.startswith("Training") else 1)
    number = rng.randint(1, max(1, round(often * share)))
    return f"{name}:{number}:{rng.choice(('before', 'after'))}:{whom}"


def kill_once(search: Search, pace: Pace, rng: random.Random, share: float) -> Kill | None:
    """Starts a session and kills it; None: it came to its end before."""
    whom = rng.choice(("driver", "group"))
    kill = point(rng, pace, share, whom) if rng.random() < 0.2 else ""
    kind, happened, after = _instant(search, pace, rng, share)
    since = time.monotonic()
    with reaped(search.start(kill)) as session:
        wait = _watch_until_dead if kill else partial(_kill_at, happened, after, whom)
        processes = wait(session)
        if session.poll() != -signal.SIGKILL:
            assert session.poll() == 0, f"exit code {session.poll()}\n{search.printed()}"
            return None
        seconds = time.monotonic() - since
        label = kill.rpartition(":")[0].replace(":", " ") if kill else kind
        made = Kill(search.plan.words, label, whom, seconds, search.journalled())
        _see_them_leave(made, processes, wait=rng.random() < 0.5)
    return made


def _instant(
    search: Search, pace: Pace, rng: random.Random, share: float
) -> tuple[str, Callable[[], bool], float]:
    """Draws when a session is killed: what has happened then, and so many seconds later.

    Work is measured in events, not in seconds, which depend on what else a machine does.
    """
    kind = rng.choices(("start", "work", "end"), (25, 60, 15))[0]
    if kind == "start":
        return kind, lambda: True, rng.uniform(0.0, pace.start)
    if kind == "end":  # MLflow still has to catch up
        ended = search.count("run_ended")
        return kind, lambda: search.count("run_ended") > ended, rng.uniform(0.0, 3.0)
    wanted = search.events() + 1 + rng.uniform(0.0, pace.events * share)
    return kind, lambda: search.events() >= wanted, rng.uniform(0.0, 0.2)


def _kill_at(
    happened: Callable[[], bool], after: float, whom: str, session: "subprocess.Popen[bytes]"
) -> list[psutil.Process]:
    if not wait_until(happened, session):
        return []
    with suppress(subprocess.TimeoutExpired):
        session.wait(after)
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


def kill_often(search: Search, pace: Pace, rng: random.Random, most: int) -> list[Kill]:
    """Kills one search at most so many times and lets it end."""
    kills: list[Kill] = []
    while len(kills) < most:
        kill = kill_once(search, pace, rng, 1.5 / most)
        if kill is None:
            return kills
        kills.append(kill)
    search.finish()
    return kills


def disturb(
    undisturbed: Search, pace: Pace, folder: Path, rng: random.Random, most: int
) -> tuple[list[Kill], list[str]]:
    """Kills one search and returns the kills and what went wrong."""
    plan = undisturbed.plan
    search = Search(plan, folder)
    kills = kill_often(search, pace, rng, most)
    wrong = check(search, undisturbed, kills)
    again = stores.repeated_epochs(search)
    done = len(stores.leaderboard(search))
    print(f"{plan.words}: {len(kills)} kills, {done} candidates, {len(again)} epochs again, "
          f"{len(wrong)} wrong", *wrong[:20], sep="\n  ", flush=True)  # fmt: skip
    return kills, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--a-search", type=int, default=10, help="kills, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--real", action="store_true", help="train, 8 trials a search")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", type=Path, help="folder for what went wrong")
    asked = parser.parse_args()
    rng, kills, wrong, searches = random.Random(asked.seed), list[Kill](), list[str](), 0
    root = make_folder("kill-driver-")
    references: dict[str, tuple[Search, Pace]] = {}
    while len(kills) < asked.kills:
        strategy = NAMES[searches % len(NAMES)]
        if strategy not in references:
            trials = REAL_TRIALS if asked.real else TRIALS
            stand_in = 0.0 if asked.real else EPOCH
            plan = Plan(strategy, trials, seed=asked.seed + searches, stand_in=stand_in)
            references[strategy] = reference(plan, root / strategy)
        folder, searches = root / f"killed-{searches + 1}", searches + 1
        most = min(asked.a_search, asked.kills - len(kills))
        found, faults = disturb(*references[strategy], folder, rng, most)
        kills, wrong = [*kills, *found], [*wrong, *faults]
        if faults and asked.keep:
            shutil.copytree(folder, asked.keep / f"{root.name}-{folder.name}")
            shutil.copytree(root / strategy, asked.keep / strategy, dirs_exist_ok=True)
        shutil.rmtree(folder)
        if asked.out:
            write(asked.out, "kill_driver", asked, _report(kills, wrong, searches))
    shutil.rmtree(root)


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
