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
from tests.faults.searches import Plan, Search, make_folder

SHARES = {"candidate": 45, "worker": 25, "raylet": 15, "driver": 15}
"""How often each is hit, in percent."""
CANDIDATES, EPOCHS, SECONDS = 12, 6, 0.5
"""Of a search, of a candidate, and of an epoch, which a stand-in trains."""
RAYLET_IS_GONE = "Ray's node on this machine (raylet) has died"
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


def kill_one(search: Search, session: int, rng: random.Random) -> Kill | None:
    """Kills a process of the session; None: there was none of the kind that was drawn."""
    (whom,) = rng.choices(tuple(SHARES), tuple(SHARES.values()))
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


def run_session(
    search: Search, rng: random.Random, most: int, pause: float
) -> tuple[int, list[Kill], list[str]]:
    """Runs a session with at most so many kills; returns its exit code and what went wrong."""
    kills, seen, printed = list[Kill](), dict[int, psutil.Process](), search.length()
    with reaped(search.start()) as session:
        while session.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                session.wait(rng.uniform(0.05, pause))
            seen.update({p.pid: p for p in family(session.pid)})
            is_over = kills and kills[-1].whom in ("driver", "raylet")
            if len(kills) < most and not is_over and session.poll() is None:
                kill = kill_one(search, session.pid, rng)
                kills += [kill] if kill else []
        code = session.wait()
    wrong = judge(code, [kill.whom for kill in kills], search.printed()[printed:])
    try:
        leave_time(list(seen.values()), LEAVE)
    except AssertionError as error:
        wrong.append(str(error))
    return code, kills, wrong


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
    search: Search, undisturbed: Search, rng: random.Random, most: int, pause: float
) -> tuple[list[Kill], list[str]]:
    """Kills and resumes one search until it has ended; returns the kills and what went wrong."""
    kills, wrong, code = list[Kill](), list[str](), -1
    while code and not wrong:
        code, more, wrong = run_session(search, rng, most - len(kills), pause)
        kills += more
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
    parser.add_argument("--a-search", type=int, default=10, help="kills, at most")
    parser.add_argument("--pause", type=float, default=4.0, help="seconds between two, at most")
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
        found, faults = disturb(search, undisturbed, rng, most, asked.pause)
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
