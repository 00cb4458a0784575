"""Tries many inputs of every corpus in processes of their own, and prints a table.

python tests/fuzz/run.py --inputs 100000
python tests/fuzz/run.py --only spaces:1234
"""

import argparse
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.fuzz.corpora import SHARES, corpus_named
from tests.fuzz.harness import Outcome, memory_limit, try_one

MEMORY = 1536 << 20
HANG = 120.0  # seconds without any answer after which a process is killed


@dataclass
class Tally:
    """What became of the inputs of one corpus."""

    kinds: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    slowest_number: int = 0
    seconds: float = 0.0
    findings: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.kinds[outcome.kind] += 1
        self.seconds += outcome.seconds
        if outcome.seconds > self.slowest:
            self.slowest, self.slowest_number = outcome.seconds, outcome.number
        if outcome.is_finding:
            self.findings.append(outcome)


def work(name: str, numbers: range, answers: Any) -> None:
    """Tries inputs one after the other, and sends what became of each."""
    corpus = corpus_named(name)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # spares the disk
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory) as folder:
        tempfile.tempdir = folder
        for number in numbers:
            answers.send(number)
            with memory_limit(MEMORY):
                outcome = try_one(corpus, number, Path(folder) / "sandbox")
            answers.send(outcome)
    answers.send(None)


def attempt(name: str, numbers: range, tally: Tally) -> range:
    """Works through numbers in a process; returns those that are left when it has ended."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(name, numbers, theirs))
    process.start()
    theirs.close()
    at = numbers.start
    try:
        while ours.poll(HANG):
            answer = ours.recv()
            if answer is None:
                process.join()
                return range(0)
            if isinstance(answer, int):
                at = answer
            else:
                tally.add(answer)
        kind = "hang"
    except EOFError:
        kind = "death"
    process.kill()
    process.join()
    tally.add(Outcome(name, at, kind, f"exit {process.exitcode}", 0.0))
    return range(at + numbers.step, numbers.stop, numbers.step)


def share(name: str, numbers: range) -> Tally:
    tally = Tally()
    while numbers:
        numbers = attempt(name, numbers, tally)
    return tally


def _share(arguments: tuple[str, range]) -> tuple[str, Tally]:
    return arguments[0], share(*arguments)


def tally_all(counts: dict[str, int], first: int, workers: int) -> dict[str, Tally]:
    """Tries so many inputs of each corpus, in pieces, by so many threads of one process each."""
    from concurrent.futures import ThreadPoolExecutor

    pieces = [
        (name, range(first + start, first + min(count, start + 500)))
        for name, count in counts.items()
        for start in range(0, count, 500)
    ]
    tallies = {name: Tally() for name in counts}
    with ThreadPoolExecutor(workers) as pool:
        for name, tally in pool.map(_share, pieces):
            merge(tallies[name], tally)
    return tallies


def merge(into: Tally, other: Tally) -> None:
    into.kinds += other.kinds
    into.seconds += other.seconds
    into.findings += other.findings
    if other.slowest > into.slowest:
        into.slowest, into.slowest_number = other.slowest, other.slowest_number


def table(tallies: dict[str, Tally]) -> str:
    """One line a corpus."""
    lines = [f"{'corpus':10} {'inputs':>8} {'works':>8} {'refused':>8} {'findings':>8} "
             f"{'mean ms':>8} {'slowest s':>9}  which"]  # fmt: skip
    for name, tally in tallies.items():
        total = tally.kinds.total()
        lines.append(
            f"{name:10} {total:8,} {tally.kinds['works']:8,} {tally.kinds['refused']:8,} "
            f"{len(tally.findings):8,} {1e3 * tally.seconds / max(1, total):8.1f} "
            f"{tally.slowest:9.2f}  {name}:{tally.slowest_number}"
        )
    total = sum(tally.kinds.total() for tally in tallies.values())
    found = sum(len(tally.findings) for tally in tallies.values())
    return "\n".join([*lines, f"{'all':10} {total:8,} {'':8} {'':8} {found:8,}"])


def findings(tallies: dict[str, Tally]) -> str:
    """Each kind of finding once, with its first input."""
    seen: dict[tuple[str, str, str], list[Outcome]] = {}
    for tally in tallies.values():
        for one in tally.findings:
            what = (one.corpus, one.kind, one.words.split(":")[0])
            seen.setdefault(what, []).append(one)
    return "\n".join(
        f"{ones[0].kind:8} {len(ones):5} x  {ones[0].corpus}:{ones[0].number}  "
        f"{ones[0].seconds:.2f} s  {ones[0].words}"
        for ones in sorted(seen.values(), key=len, reverse=True)
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--corpus", choices=list(SHARES), help="this one alone")
    parser.add_argument("--only", help="one input, CORPUS:NUMBER, with its traceback")
    asked = parser.parse_args(arguments)
    if asked.only:
        return once(*asked.only.split(":"))
    shares = {asked.corpus: 1.0} if asked.corpus else SHARES
    counts = {name: round(asked.inputs * part) for name, part in shares.items()}
    since = time.monotonic()
    tallies = tally_all(counts, asked.first, asked.workers)
    print(table(tallies))
    print(f"\n{time.monotonic() - since:,.0f} s, {asked.workers} processes, inputs from number "
          f"{asked.first}, Python {platform.python_version()}")  # fmt: skip
    print(findings(tallies) or "No findings.")
    return int(any(tally.findings for tally in tallies.values()))


def once(name: str, number: str) -> int:
    """Tries one input in this process and lets its exception through."""
    import random

    corpus: Any = corpus_named(name)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        inside = Path(folder) / "inside"
        inside.mkdir()
        subject, _ = corpus.make(random.Random(f"{name} {number}"), inside)
        print(*(f"{p} {p.lstat().st_size}" for p in inside.rglob("*")), sep="\n")
        since = time.process_time()
        try:
            corpus.use(subject, inside)
        finally:
            print(f"{time.process_time() - since:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
