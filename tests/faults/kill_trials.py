"""Kills the processes of trials at random, and the server that forks them, in one search.

    python -m tests.faults.kill_trials --kills 100 --out benchmarks/faults/kill_trials.txt

Two workers. A trial is killed at most twice without a new epoch in between: the third such death
is an answer about the candidate. Each search is compared with an undisturbed one.
"""

import argparse
import random
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.faults import stores
from tests.faults.moments import reference
from tests.faults.processes import family, leave_time, reaped, servers_of, trials_of
from tests.faults.report import table, write
from tests.faults.searches import Plan, Search, make_folder

SPARED = 2
"""A trial that died so often since its last new epoch is not killed again (retries.MAX_DEATHS)."""


@dataclass
class Kill:
    """One process that was killed: a trial's (which one, after which of its epochs) or the server.

    ``age`` is how long the process had lived, in seconds.
    """

    search: str
    whom: str
    trial: str
    epochs: int
    age: float

    @property
    def row(self) -> list[object]:
        return [self.search, self.whom, self.trial, self.epochs, f"{self.age:.2f}"]


COLUMNS = ("search", "whom", "trial", "epochs", "age s")


def fruitless(search: Search, trial: str) -> int:
    """How often a trial has died since its last new epoch."""
    query = (
        "select count(*) from event where kind = 'trial_retried' and trial_id = ?1 and seq > "
        "(select coalesce(max(seq), 0) from event where kind = 'epoch' and trial_id = ?1)"
    )
    rows = search.ask(query, trial)
    return int(rows[0][0]) if rows else 0


def epochs_of(search: Search, trial: str) -> int:
    rows = search.ask("select count(*) from event where kind='epoch' and trial_id = ?", trial)
    return int(rows[0][0]) if rows else 0


def kill_one(search: Search, driver: int, rng: random.Random, server: float) -> Kill | None:
    """Kills a process of the search; None: there was none that may be killed.

    The server is left alone while no trial runs: killed again and again while it starts, it ends
    the search in one line.
    """
    whom, training = "trial", trials_of(driver)
    found = [p for p in training if fruitless(search, search.trial_of(p.pid)) < SPARED]
    if training and rng.random() < server:
        whom, found = "server", servers_of(driver)
    if not found:
        return None
    victim = rng.choice(found)
    with suppress(psutil.NoSuchProcess):
        trial = search.trial_of(victim.pid) if whom == "trial" else "-"
        age = time.time() - victim.create_time()
        epochs = epochs_of(search, trial)
        victim.send_signal(signal.SIGKILL)
        return Kill(search.plan.words, whom, trial, epochs, age)
    return None


def harass(
    search: Search, rng: random.Random, most: int, server: float, pause: float
) -> tuple[list[Kill], list[str]]:
    """Runs a search and kills at most so many of its processes; returns what went wrong too."""
    kills: list[Kill] = []
    seen: dict[int, psutil.Process] = {}
    with reaped(search.start()) as session:
        while session.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                session.wait(rng.uniform(0.05, pause))
            seen.update({p.pid: p for p in family(session.pid)})
            if len(kills) < most and (kill := kill_one(search, session.pid, rng, server)):
                kills.append(kill)
        code = session.wait()
    wrong = [] if code == 0 else [f"exit code {code}: {search.printed()[-2000:]}"]
    try:
        leave_time(list(seen.values()))
    except AssertionError as error:
        wrong.append(str(error))
    return kills, wrong


def without_order(state: dict[str, Any]) -> dict[str, Any]:
    """Takes out what depends on which of two workers was the faster one."""
    for trial in state["oracle"]["trials"]:
        del trial["ended"]
    parent = state["mlflow"]["parent"]
    for name in ("points", "latest"):
        parent[name] = [p[:2] for p in parent[name] if p[0] != "best_so_far"]
    return state


def check(search: Search, undisturbed: Search, kills: list[Kill]) -> list[str]:
    """Returns what is wrong with a search that has come to its end."""
    one, other = (without_order(stores.state(each)) for each in (undisturbed, search))
    wrong = stores.differences(one, other) + stores.damage(search)
    again = stores.repeated_epochs(search)
    wrong += [f"repeated: {line}" for line in again if "although" in line]
    trials = sum(kill.whom == "trial" for kill in kills)
    servers = len(kills) - trials
    if len(again) > trials + search.plan.workers * servers:
        wrong.append(f"{len(again)} epochs repeated after {len(kills)} kills")
    if "Traceback" in search.printed():
        wrong.append("a traceback was printed")
    return wrong


def disturb(plan: Plan, folder: Path, rng: random.Random, asked: Any) -> Any:
    """Disturbs one search; returns the kills, what went wrong and the epochs done again."""
    undisturbed, _ = reference(plan, folder / "undisturbed")
    search = Search(plan, folder / "killed")
    kills, wrong = harass(search, rng, asked.a_search, asked.server, asked.pause)
    wrong += check(search, undisturbed, kills) if not wrong else []
    again = stores.repeated_epochs(search)
    print(f"{plan.words}: {len(kills)} kills, {len(stores.leaderboard(search))} candidates, "
          f"{len(again)} epochs again, {len(wrong)} wrong", *wrong[:20], sep="\n  ",
          flush=True)  # fmt: skip
    return kills, wrong, again


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--a-search", type=int, default=20, help="kills, at most")
    parser.add_argument("--server", type=float, default=0.06, help="share that hits the server")
    parser.add_argument("--pause", type=float, default=3.0, help="seconds between two, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", type=Path, help="folder for what went wrong")
    asked = parser.parse_args()
    rng, kills, wrong, again = random.Random(asked.seed), list[Kill](), list[str](), list[str]()
    searches = trials = 0
    while sum(kill.whom == "trial" for kill in kills) < asked.kills:
        plan = Plan("random", trials=12, epochs=12, workers=2, seed=asked.seed + searches)
        folder = make_folder("kill-trials-")
        found, faults, repeated = disturb(plan, folder, rng, asked)
        kills, wrong, again = [*kills, *found], [*wrong, *faults], [*again, *repeated]
        searches, trials = searches + 1, trials + plan.trials
        if faults and asked.keep:
            shutil.copytree(folder, asked.keep / folder.name)
        shutil.rmtree(folder)
        if asked.out:
            text = _report(kills, wrong, again, searches, trials)
            write(asked.out, "kill_trials", asked, text)


def _report(
    kills: list[Kill], wrong: list[str], again: list[str], searches: int, trials: int
) -> str:
    server = sum(kill.whom != "trial" for kill in kills)
    lines = [
        f"{len(kills) - server} kills of a trial's process and {server} of the fork server in "
        f"{searches} searches of {trials} candidates in all, two side by side.",
        f"{len(again)} epochs were trained again; {len(wrong)} differences from undisturbed.",
        *(["", "Wrong:"] if wrong else []),
        *wrong,
        "",
        table(COLUMNS, [kill.row for kill in kills]),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
