"""When a session of a search is killed: drawn by what it has done, not by the clock.

Seconds would depend on what else the machine does: all kills at a search's start, or after its end.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.searches import Plan, Search

POINTS = (
    "RunDatabase._execute",
    "Store.write",
    "Store.create_run",
    "Store.set_status",
    "Store.upload_file",
    "os.fsync",
    "atomic_files.replace_file",
    "Training._enter_phase_of",
    "Training._collect_files",
    "checkpoint_writer.write_files",
    "lock._write",
    "directory._fill",
)
"""Where hooks/sitecustomize.py can kill."""
FIRST, LAST = "directory._fill", "Store.upload_file"
"""Points of a search's first moments, and of its last."""
KINDS = {"start": 25, "point": 20, "work": 55}
"""How often each is drawn, in percent."""


@dataclass
class Pace:
    """Of an undisturbed search: seconds to start and to work, events, calls of each point."""

    start: float
    work: float
    events: int = 0
    calls: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Moment:
    """When a session is killed.

    Attributes:
        kind: start, work, end, or the point.
        point: where it kills itself, as the hooks take it; empty: it is killed from outside,
        happened: as soon as this is true,
        after: and so many seconds later.
    """

    kind: str
    point: str = ""
    happened: Callable[[], bool] = lambda: True
    after: float = 0.0


def reference(plan: Plan, folder: Path) -> tuple[Search, Pace]:
    """Runs a search undisturbed."""
    search, launched = Search(plan, folder), time.time()
    seconds = search.finish()
    ((began,),) = search.ask("select min(time) from event where kind = 'run_started'")
    start = began - launched
    return search, Pace(start, seconds - start, search.events(), search.calls())


def draw(search: Search, pace: Pace, rng: random.Random, share: float, whom: str) -> Moment:
    """Draws a moment within the next ``share`` of what a search has to do, or at its end."""
    done = search.events()
    share = min(share, 1 - done / pace.events)
    (kind,) = rng.choices(tuple(KINDS), tuple(KINDS.values()))
    if kind == "start":
        return Moment(kind, after=rng.uniform(0.0, pace.start))
    if kind == "point":
        point = _draw_point(search, pace, rng, share, whom)
        return Moment(point.rpartition(":")[0].replace(":", " "), point)
    if share <= 0.02:  # all is trained, but MLflow may have to catch up
        ended = search.count("run_ended")
        return Moment("end", "", lambda: search.count("run_ended") > ended, rng.uniform(0.0, 2.0))
    wanted = done + 1 + rng.uniform(0.0, pace.events * share)
    return Moment(kind, "", lambda: search.events() >= wanted, rng.uniform(0.0, 0.2))


def _draw_point(search: Search, pace: Pace, rng: random.Random, share: float, whom: str) -> str:
    left_out = {FIRST if search.started_sessions() else "", LAST if share > 0.1 else ""}
    name = rng.choice([name for name in POINTS if name not in left_out])
    often = pace.calls.get(name, 4 if name.startswith(("Training", "checkpoint")) else 1)
    number = rng.randint(1, max(1, round(often * share)))
    return f"{name}:{number}:{rng.choice(('before', 'after'))}:{whom}"
