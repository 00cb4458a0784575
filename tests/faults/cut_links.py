"""Cuts the links of a cluster's hosts while a search trains on them.

    python -m tests.faults.cut_links --out benchmarks/faults/cut_links.txt

Three hosts (hosts.py), the search on the first. The second one's link is cut, and restored later;
when it trains again, the third one's is cut for good. The search has to end with every candidate
trained once and with the same result as a search of one process on this machine.
"""

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil

from tests.faults import hosts, stores
from tests.faults.processes import reaped, trials_of
from tests.faults.report import table, write
from tests.faults.searches import Plan, Search, make_folder, wait_until

CANDIDATES, EPOCHS, SECONDS = 60, 8, 1.0
"""Of the search, of a candidate, and of an epoch, which a stand-in trains."""
STATE = ("leaderboard", "curves", "ends", "weights")


@dataclass
class Journal:
    """What happened, after how many seconds and epochs of the search."""

    search: Search
    since: float = field(default_factory=time.monotonic)
    rows: list[list[object]] = field(default_factory=list)

    def note(self, text: str) -> None:
        row = [round(time.monotonic() - self.since), self.search.journalled(), text]
        print(*row, flush=True)
        self.rows.append(list(row))


def trains(host: str) -> bool:
    """Whether a candidate is being trained on a host."""
    return any(trials_of(raylet) for raylet in raylets(host))


def raylets(host: str) -> list[int]:
    """Ray's processes of a host: one, or none."""
    return [pid for pid in hosts.processes(host) if _name(pid) == "raylet"]


def _name(pid: int) -> str:
    try:
        return str(psutil.Process(pid).name())
    except psutil.Error:
        return ""


def start_cluster(environment: Mapping[str, str]) -> list["subprocess.Popen[bytes]"]:
    """Starts Ray on all hosts and waits until it runs."""
    rays = [hosts.start_ray(host, environment) for host in hosts.HOSTS]
    for host, ray in zip(hosts.HOSTS, rays, strict=True):
        assert wait_until(partial(raylets, host), ray), f"host {host}: Ray has not been started"
    return rays


def disturb(search: Search, seconds: float) -> list[list[object]]:
    """Runs a search over the hosts and cuts their links."""
    journal, lost = Journal(search), "trial_retried"
    back, gone = hosts.OTHERS
    with reaped(search.start()) as session:

        def wait(happened: Callable[[], bool], text: str) -> None:
            assert wait_until(happened, session), f"it ended before: {search.printed()}"
            journal.note(text)

        wait(lambda: all(map(trains, hosts.HOSTS)), "all three hosts train")
        hosts.cut(back)
        journal.note(f"host {back}: link cut")
        wait(lambda: search.count(lost) >= 1, f"the candidate of host {back} is resumed elsewhere")
        time.sleep(seconds)
        hosts.restore(back)
        journal.note(f"host {back}: link restored")
        wait(lambda: all(map(trains, hosts.HOSTS)), "all three hosts train again")
        before = search.count(lost)
        hosts.cut(gone)
        journal.note(f"host {gone}: link cut for good")
        wait(lambda: search.count(lost) > before,
             f"the candidate of host {gone} is resumed elsewhere")  # fmt: skip
        assert session.wait(1800) == 0, search.printed()
        journal.note("the search has ended")
    return journal.rows


def check(search: Search, undisturbed: Search) -> list[str]:
    """Returns what is wrong with the search's end."""
    one, other = ({what: getattr(stores, what)(each) for what in STATE}
                  for each in (undisturbed, search))  # fmt: skip
    wrong = stores.differences(one, other) + stores.damage(search)
    wrong += ["a traceback was printed"] if "Traceback" in search.printed() else []
    return wrong


def run(seed: int, seconds: float, keep: Path | None) -> tuple[list[list[object]], list[str], str]:
    """Returns what happened, what was wrong, and what the search has printed."""
    root = make_folder("cut-links-")
    plan = Plan("random", CANDIDATES, EPOCHS, workers=3, seed=seed, stand_in=SECONDS)
    quick = Plan("random", CANDIDATES, EPOCHS, seed=seed, stand_in=0.01)
    undisturbed = Search(quick, root / "undisturbed")
    undisturbed.finish()
    search = Search(plan, root / "cluster", prefix=tuple(hosts.on(hosts.HEAD)),
                    more=("--ray", f"{hosts.address(hosts.HEAD)}:{hosts.PORT}"))  # fmt: skip
    log = Path(str(hosts.TEMPORARY) + ".log")  # on a disk that all hosts see
    environment = {**search.variables(), "CNNSEARCH_FAULT_LOG": str(log)}
    with hosts.network():
        rays = start_cluster(environment)
        rows = disturb(search, seconds)
    for ray in rays:
        ray.wait()
    log.unlink(missing_ok=True)
    wrong, printed = check(search, undisturbed), search.printed()
    if wrong and keep:
        shutil.copytree(root, keep / root.name)
    shutil.rmtree(root)
    return rows, wrong, printed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="a cut link stays cut after")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", type=Path, help="folder for what went wrong")
    asked = parser.parse_args()
    if unable := hosts.explain_unable():
        print(f"cut_links: left out: {unable}")
        return
    rows, wrong, printed = run(asked.seed, asked.seconds, asked.keep)
    print(*wrong, sep="\n")
    if asked.out:
        write(asked.out, "cut_links", asked, _report(rows, wrong, printed))
    sys.exit(1 if wrong else 0)


def _report(rows: list[list[object]], wrong: list[str], printed: str) -> str:
    said = [line for line in printed.splitlines() if "It resumes from" in line]
    lines = [
        f"Three hosts, {CANDIDATES} candidates, the links of two cut: {len(wrong)} differences "
        "from a search of one process.",
        *(["", "Wrong:"] if wrong else []),
        *wrong,
        "",
        table(("seconds", "epochs", "what happened"), rows),
        "",
        "Printed:",
        *said,
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
