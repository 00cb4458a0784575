"""What every corpus has in common: one input, its outcome, and what counts as a finding.

An input either works or is refused by a ``CnnsearchError`` of one line that names the place. Any
other exception, a second line, more time or memory than is allowed, or a file that lies elsewhere
afterwards is a finding.
"""

import random
import resource
import shutil
import signal
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cnnsearch.errors import CnnsearchError

PATIENCE = 10.0  # processor seconds after which an input is interrupted
LONGEST = 2000  # characters of a message
CANARY = "what lies outside is left alone"


class Corpus(Protocol):
    """Makes inputs and hands them to the code under test."""

    name: str
    seconds: float
    """Processor time that an input may take."""

    def make(self, rng: random.Random, folder: Path) -> tuple[object, tuple[str, ...]]:
        """Writes an input below ``folder``; returns it, and words one of which a refusal names."""

    def use(self, subject: Any, folder: Path) -> None:
        """Does with it what a user would."""


class Interrupted(BaseException):
    """An input took too long; no ``except Exception`` may swallow that."""


@dataclass(frozen=True)
class Outcome:
    """How one input ended: ``works``, ``refused`` or the kind of a finding."""

    corpus: str
    number: int
    kind: str
    words: str
    seconds: float

    @property
    def is_finding(self) -> bool:
        return self.kind not in ("works", "refused")


def try_one(corpus: Corpus, number: int, sandbox: Path) -> Outcome:
    """Tries input ``number`` of a corpus, which is the same whenever and wherever it is made."""
    shutil.rmtree(sandbox, ignore_errors=True)
    inside = sandbox / "inside"
    inside.mkdir(parents=True)
    (sandbox / "canary").write_text(CANARY)
    rng = random.Random(f"{corpus.name} {number}")
    subject, places = corpus.make(rng, inside)
    since = time.process_time()
    kind, words = _judged(corpus, subject, inside, places)
    seconds = time.process_time() - since
    if kind in ("works", "refused"):
        if seconds > corpus.seconds:
            kind = "slow"
        if sorted(p.name for p in sandbox.iterdir()) != ["canary", "inside"] or (
            (sandbox / "canary").read_text() != CANARY
        ):
            kind = "outside"
    return Outcome(corpus.name, number, kind, words, seconds)


def _judged(
    corpus: Corpus, subject: object, folder: Path, places: tuple[str, ...]
) -> tuple[str, str]:
    try:
        with _time_limit(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            corpus.use(subject, folder)
    except CnnsearchError as error:
        return _told(str(error), places)
    except Interrupted:
        return "hang", ""
    except MemoryError as error:
        return "memory", _last(error)
    except Exception as error:
        return "crash", _last(error)
    return "works", ""


def _told(message: str, places: tuple[str, ...]) -> tuple[str, str]:
    if not message or not message.isprintable():
        return "not one line", repr(message[:200])
    if len(message) > LONGEST:
        return "long", message[:200]
    if not any(place in message for place in places):
        return "no place", message
    return "refused", message


def _last(error: BaseException) -> str:
    """The exception and the line of the package that it came through last."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "cnnsearch" in frame.filename and "fuzz" not in frame.name]
    at = f"{Path(ours[-1].filename).name}:{ours[-1].lineno} {ours[-1].name}" if ours else "?"
    return f"{type(error).__name__} at {at}: {str(error)[:160]!r}"


@contextmanager
def _time_limit() -> Iterator[None]:
    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGPROF, interrupt)
    signal.setitimer(signal.ITIMER_PROF, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextmanager
def memory_limit(more: int) -> Iterator[None]:
    """Lets this process take ``more`` bytes of addresses than it has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
