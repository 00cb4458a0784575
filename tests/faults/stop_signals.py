"""Stops searches as schedulers and people do, goes on with them, and compares.

    python -m tests.faults.stop_signals --rounds 3 --out benchmarks/faults/stop_signals.txt

SIGTERM to the driver and to its whole group, Ctrl-C once and twice and a closed terminal in a
terminal of its own (a pty, whose foreground group gets the signal), each while the search starts
and while it works.
"""

import argparse
import fcntl
import os
import pty
import random
import shutil
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.faults import stores
from tests.faults.moments import Pace, reference
from tests.faults.processes import family, leave_time, reaped
from tests.faults.report import table, write
from tests.faults.searches import Plan, Search, make_folder, wait_until

SAVING = 30.0
"""Seconds that a preempting scheduler gives: times the load of a core where others work too."""
DEAF = 3.0
"""A session that ends well so many seconds after its signal has not heard it."""
CTRL_C = b"\x03"


@dataclass
class Terminal:
    """A search in a terminal of its own."""

    process: "subprocess.Popen[bytes]"
    master: int

    def type(self, keys: bytes) -> None:
        with suppress(OSError):
            os.write(self.master, keys)

    def close(self) -> None:
        with suppress(OSError):
            os.close(self.master)


def in_terminal(search: Search) -> Terminal:
    """Starts a session as the foreground job of a new terminal, with the live display."""
    search.prepare()
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [word for word in search.command() if word != "--plain"],
        cwd=search.folder,
        env={**search.variables(), "TERM": "xterm"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    os.close(slave)
    threading.Thread(target=_copy, args=(master, search.folder / "out.log"), daemon=True).start()
    return Terminal(process, master)


def _take_terminal() -> None:
    """Makes this process its terminal's foreground job, also where the harness runs under nohup."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _copy(master: int, path: Path) -> None:
    with path.open("ab") as out, suppress(OSError):
        while shown := os.read(master, 65536):
            out.write(shown)
            out.flush()


def terminate(terminal: Terminal) -> None:
    terminal.process.send_signal(signal.SIGTERM)


def terminate_group(terminal: Terminal) -> None:
    with suppress(ProcessLookupError):
        os.killpg(terminal.process.pid, signal.SIGTERM)


def once(terminal: Terminal) -> None:
    terminal.type(CTRL_C)


def twice(terminal: Terminal) -> None:
    terminal.type(CTRL_C)
    time.sleep(0.05)
    terminal.type(CTRL_C)


def hang_up(terminal: Terminal) -> None:
    terminal.close()


WAYS: dict[str, Callable[[Terminal], None]] = {
    "SIGTERM to the driver": terminate,
    "SIGTERM to the group": terminate_group,
    "Ctrl-C once": once,
    "Ctrl-C twice": twice,
    "terminal closed": hang_up,
}


@dataclass
class Stop:
    """One session that was stopped.

    Attributes:
        way: how.
        phase: start or work.
        code: exit code.
        seconds: until the driver was gone.
        left: until the last of its processes was gone.
        load: of each of the machine's cores then, at least 1.
    """

    way: str
    phase: str
    code: int
    seconds: float
    left: float
    load: float

    @property
    def row(self) -> list[object]:
        return [self.way, self.phase, self.code, f"{self.seconds:.2f}", f"{self.left:.2f}",
                f"{self.load:.1f}"]  # fmt: skip


def stop_once(
    search: Search, pace: Pace, way: str, phase: str, rng: random.Random, share: float
) -> Stop | None:
    """Starts a session and stops it in this way; None: it came to its end before, or just then."""
    sessions = search.started_sessions()
    terminal = in_terminal(search)
    with reaped(terminal.process) as process:
        after = rng.uniform(0.0, pace.start if phase == "start" else pace.work * share)
        if phase == "work":
            wait_until(lambda: search.started_sessions() > sessions, process)
        with suppress(subprocess.TimeoutExpired):
            process.wait(after)
        processes = [] if process.poll() is not None else family(process.pid)
        since = time.monotonic()
        if process.poll() is None:
            WAYS[way](terminal)
        code = process.wait(120)
        seconds = time.monotonic() - since
        leave_time(processes)
        left = time.monotonic() - since
    terminal.close()
    load = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    stop = Stop(way, phase, code, seconds, left, load)
    return stop if code or seconds > DEAF * load else None


def judge(stop: Stop, printed: str) -> list[str]:
    """Returns what is wrong with how a session ended."""
    expected = {130} if stop.phase == "work" else {130, 143, -signal.SIGTERM, -signal.SIGINT}
    if stop.way == "terminal closed":
        expected = {130, 129, -signal.SIGHUP}
    wrong = []
    if stop.code not in expected:
        wrong.append(f"{stop.way}, {stop.phase}: exit code {stop.code}")
    if stop.seconds > SAVING * stop.load:
        wrong.append(f"{stop.way}, {stop.phase}: took {stop.seconds:.1f} s")
    if "Traceback" in printed or "Error" in printed:
        wrong.append(f"{stop.way}, {stop.phase}: printed {printed[-1500:]!r}")
    return wrong


def stop_in_every_way(plan: Plan, folder: Path, rng: random.Random) -> tuple[list[Stop], list[str]]:
    """Stops one search in every way and phase, lets it end, and compares."""
    undisturbed, pace = reference(plan, folder / "undisturbed")
    search, stops, wrong = Search(plan, folder / "stopped"), list[Stop](), list[str]()
    ways = [(way, phase) for way in WAYS for phase in ("start", "work")]
    rng.shuffle(ways)
    for way, phase in ways:
        heard = search.length()
        stop = stop_once(search, pace, way, phase, rng, 1.0 / len(ways))
        if stop is None:
            continue
        stops.append(stop)
        wrong += judge(stop, search.printed()[heard:])
        print(*stop.row, flush=True)
    search.finish()
    wrong += stores.differences(stores.state(undisturbed), stores.state(search))
    wrong += stores.damage(search)
    again = stores.repeated_epochs(search)
    if len(again) > len(stops):
        wrong.append(f"{len(again)} epochs repeated after {len(stops)} stops")
    print(f"{plan.words}: {len(stops)} stops, {len(again)} epochs again, {len(wrong)} wrong",
          *wrong[:20], sep="\n  ", flush=True)  # fmt: skip
    return stops, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", type=Path, help="folder for what went wrong")
    asked = parser.parse_args()
    rng, stops, wrong = random.Random(asked.seed), list[Stop](), list[str]()
    for number in range(asked.rounds):
        folder = make_folder("stop-signals-")
        plan = Plan(("random", "evolution", "hyperband")[number % 3], trials=10, epochs=6,
                    seed=asked.seed + number)  # fmt: skip
        found, faults = stop_in_every_way(plan, folder, rng)
        stops, wrong = [*stops, *found], [*wrong, *faults]
        if faults and asked.keep:
            shutil.copytree(folder, asked.keep / folder.name)
        shutil.rmtree(folder)
    if asked.out:
        write(asked.out, "stop_signals", asked, _report(stops, wrong, asked.rounds))


def _report(stops: list[Stop], wrong: list[str], searches: int) -> str:
    rows, loads = [], [stop.load for stop in stops]
    for way in WAYS:
        for phase in ("start", "work"):
            these = [s for s in stops if (s.way, s.phase) == (way, phase)]
            codes = ", ".join(map(str, sorted({s.code for s in these})))
            longest = [f"{max((getattr(s, what) for s in these), default=0.0):.2f}"
                       for what in ("seconds", "left")]  # fmt: skip
            rows.append([way, phase, len(these), codes, *longest])
    head = ["stopped by", "phase", "times", "exit codes", "driver gone after s", "all after s"]
    lines = [
        f"{len(stops)} stops of {searches} searches; {len(wrong)} differences from undisturbed.",
        f"Load of a core meanwhile: {min(loads):.1f} to {max(loads):.1f}. The longest of each:",
        "",
        table(head, rows),
        *(["", "Wrong:"] if wrong else []),
        *wrong,
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
