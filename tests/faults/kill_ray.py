"""Kills everything that a search on Ray consists of, in turn, and goes on with it.

    python -m tests.faults.kill_ray --kills 100 --out benchmarks/faults/kill_ray.txt

Each search has a Ray cluster of its own on this machine and two candidates side by side. At random
moments kill -9 hits a candidate's process, a Ray worker, the raylet or the search itself. The first
two must be made good within the session; without its raylet a session has to end in one line. A
session that has ended is resumed, and the search is compared with an undisturbed one.
"""

import argparse
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.faults import stores
from tests.faults.kill_trials import SPARED, epochs_of, fruitless, without_order
from tests.faults.moments import reference
from tests.faults.processes import family, leave_time, reaped, trials_of, workers_of
from tests.faults.report import table, write
from tests.faults.searches import LIMIT, Plan, Search, make_folder

SHARES = {"candidate": 52, "worker": 28, "raylet": 10, "driver": 10}
"""How often each is hit, in percent."""
CANDIDATES, EPOCHS, SECONDS = 24, 6, 0.5
"""Of a search, of a candidate, and of an epoch, which a stand-in trains."""
RAYLET_IS_GONE = "Ray's node on this machine (raylet) has died"
START = 20.0
"""Seconds, about, in which a session starts."""
LEAVE = 120.0
"""Seconds in which the processes of a search must be gone."""


@dataclass
class Kill:
    """One process that was killed, after which of its candidate's epochs (of all candidates')."""

    search: str
    whom: str
    epochs: int
    age: float

    @property
    def row(self) -> list[object]:
        return [self.search, self.whom, self.epochs, f"{self.age:.1f}"]


def victims(search: Search, session: int, whom: str) -> list[psutil.Process]:
    """The processes that may be killed: none whose third death in one epoch a candidate shares."""
    if whom == "driver":
        return [psutil.Process(session)]
    trials = trials_of(session)
    if whom == "candidate":
        return [p for p in trials if fruitless(search, search.trial_of(p.pid)) < SPARED]
    running = [trial for (trial,) in search.ask("select id from trial where status = 'running'")]
    if any(fruitless(search, trial) >= SPARED for trial in running):
        return []
    if whom == "raylet":
        return [p for p in family(session) if _name(p) == "raylet"]
    return workers_of(session)


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""


def kill_one(search: Search, session: int, whom: str, rng: random.Random) -> Kill | None:
    """Kills a process of the session; None: there is none of its kind that may be killed."""
    with suppress(psutil.NoSuchProcess):
        found = victims(search, session, whom)
        if not found:
            return None
        victim = rng.choice(found)
        age = time.time() - victim.create_time()
        trial = search.trial_of(victim.pid) if whom == "candidate" else ""
        epochs = epochs_of(search, trial) if trial else search.journalled()
        victim.send_signal(signal.SIGKILL)
        return Kill(search.plan.words, whom, epochs, age)
    return None


class Session:
    """One session of a search, in which things are killed until it ends."""

    def __init__(self, search: Search, rng: random.Random, most: int, share: float) -> None:
        self._search, self._rng, self._most = search, rng, most
        self._step = share * CANDIDATES * EPOCHS
        self._seen: dict[int, psutil.Process] = {}
        self.kills: list[Kill] = []

    def run(self) -> tuple[int, list[str]]:
        """Returns the exit code, and what was wrong with the end."""
        heard = self._search.length()
        with reaped(self._search.start()) as process:
            while process.poll() is None and len(self.kills) < self._most:
                if not self._disturb(process):
                    break
            self._watch(process, LIMIT)
            code = process.wait()
        wrong = judge(code, [kill.whom for kill in self.kills], self._search.printed()[heard:])
        try:
            leave_time(list(self._seen.values()), LEAVE)
        except AssertionError as error:
            wrong.append(str(error))
        return code, wrong

    def _disturb(self, process: "subprocess.Popen[bytes]") -> bool:
        """Kills after some more epochs, or the driver while it starts; False: that is its end."""
        (whom,) = self._rng.choices(tuple(SHARES), tuple(SHARES.values()))
        if whom == "driver" and not self.kills and self._rng.random() < 0.5:
            self._watch(process, self._rng.uniform(0.0, START))
        else:
            wanted = self._search.journalled() + self._rng.uniform(0.0, self._step)
            while process.poll() is None and self._search.journalled() < wanted:
                self._watch(process, 0.1)
            self._watch(process, self._rng.uniform(0.0, SECONDS))
        while process.poll() is None:
            if kill := kill_one(self._search, process.pid, whom, self._rng):
                self.kills.append(kill)
                break
            self._watch(process, 0.1)
        return whom not in ("driver", "raylet")

    def _watch(self, process: "subprocess.Popen[bytes]", seconds: float) -> None:
        """Waits, and remembers all processes that there are meanwhile."""
        until = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < until:
            self._seen.update({p.pid: p for p in family(process.pid)})
            with suppress(subprocess.TimeoutExpired):
                process.wait(min(0.5, max(0.0, until - time.monotonic())))


def judge(code: int, whom: Sequence[str], printed: str) -> list[str]:
    """Returns what is wrong with how a session ended."""
    if "Traceback" in printed:
        return [f"a traceback was printed: {printed[-2000:]}"]
    if code == 0 or (code == -signal.SIGKILL and whom[-1:] == ["driver"]):
        return []
    if code == 2 and whom[-1:] == ["raylet"] and RAYLET_IS_GONE in printed:
        return []
    return [f"exit code {code} after {', '.join(whom) or 'no kill'}: {printed[-2000:]}"]


def check(search: Search, undisturbed: Search, kills: list[Kill]) -> list[str]:
    """Returns what is wrong with a search that has come to its end."""
    one, other = (without_order(stores.state(each)) for each in (undisturbed, search))
    wrong = stores.differences(one, other) + stores.damage(search)
    again, single = stores.repeated_epochs(search), ("candidate", "worker")
    most = sum(1 if kill.whom in single else search.plan.workers for kill in kills)
    return [*wrong, f"{len(again)} epochs repeated"] if len(again) > 2 * most else wrong


def disturb(
    search: Search, undisturbed: Search, rng: random.Random, most: int
) -> tuple[list[Kill], list[str]]:
    """Kills and resumes one search until it has ended; returns the kills and what went wrong."""
    kills, wrong, code = list[Kill](), list[str](), -1
    while code and not wrong:
        session = Session(search, rng, most - len(kills), min(0.5, 1.5 / most))
        code, wrong = session.run()
        kills += session.kills
    if not wrong:
        search.synchronize()
        wrong = check(search, undisturbed, kills)
    print(f"{search.plan.words}: {len(kills)} kills, {len(stores.leaderboard(search))} candidates, "
          f"{len(stores.repeated_epochs(search))} epochs again, {len(wrong)} wrong", *wrong[:20],
          sep="\n  ", flush=True)  # fmt: skip
    return kills, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--a-search", type=int, default=20, help="kills, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", type=Path, help="folder for what went wrong")
    asked = parser.parse_args()
    rng, kills, wrong, searches = random.Random(asked.seed), list[Kill](), list[str](), 0
    root = make_folder("kill-ray-")
    plan = Plan("random", CANDIDATES, EPOCHS, workers=2, seed=asked.seed, ray=True,
                stand_in=SECONDS)  # fmt: skip
    undisturbed, _ = reference(plan, root / "undisturbed")
    while len(kills) < asked.kills:
        searches += 1
        search = Search(plan, root / f"killed-{searches}")
        most = min(asked.a_search, asked.kills - len(kills))
        found, faults = disturb(search, undisturbed, rng, most)
        kills, wrong = [*kills, *found], [*wrong, *faults]
        if faults and asked.keep:
            shutil.copytree(search.folder, asked.keep / search.folder.name)
        shutil.rmtree(search.folder)
        if asked.out:
            write(asked.out, "kill_ray", asked, _report(kills, wrong, searches))
    shutil.rmtree(root)


def _report(kills: list[Kill], wrong: list[str], searches: int) -> str:
    each = ", ".join(f"{whom} {sum(k.whom == whom for k in kills)}" for whom in SHARES)
    lines = [
        f"{len(kills)} kills in {searches} searches of {CANDIDATES} candidates on a local Ray "
        f"cluster; {len(wrong)} differences from undisturbed.",
        f"Killed: {each}.",
        *(["", "Wrong:"] if wrong else []),
        *wrong,
        "",
        "Every kill, after so many epochs of the candidate (worker, raylet, driver: of all):",
        table(("search", "killed", "epochs", "age s"), [kill.row for kill in kills]),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
