"""Trains on a data set four times larger than the memory it may have, and prints what it took.

    python benchmarks/bench_memory.py [--mb 2000] [--max-memory 500M]

Makes a folder of JPEGs whose decoded images take ``--mb`` megabytes (96 x 96, two classes), and
searches one small network on it, one epoch, streamed and then mapped. Decoding is part of the
streamed search; the mapped one finds the images in the cache. What frameworks and model take by
themselves is what the same search takes on a hundredth of the images.

Resident memory is read from /proc every 50 ms: the driver is the process that searches, the trial
the one that trains. ``own`` is what no other process shares (RssAnon),
``of files`` what is mapped (RssFile), which the system takes back when it needs it.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from cnnsearch.utils.environment import describe_device

SIDE = 96
SPACE = """
input: [96, 96, 3]
classes: 2
stem: [{type: conv, filters: 8, kernel: 5, stride: 4}]
stages: [{block: plain, depth: 1, width: 16, stride: 2}]
recipe: {batch_size: 128, epochs: 1}
"""
PROGRAM = """
import sys, cnnsearch
space, data, runs, name, limit = sys.argv[1:]
found = cnnsearch.search(space, data, trials=1, strategy="random", runs=runs, name=name,
                         max_memory=limit)
"""
FIELDS = {"VmHWM": "peak", "RssAnon": "own", "RssFile": "of files"}
Memory = dict[str, float]


def make_images(folder: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    for label in range(2):
        (folder / str(label)).mkdir(parents=True)
    blocks = rng.integers(0, 256, (64, 12, 12, 3), dtype=np.uint8)
    for i in range(count):
        small = Image.fromarray(np.roll(blocks[i % 64], i // 64, axis=0))
        small.resize((SIDE, SIDE)).save(folder / str(i % 2) / f"{i}.jpg", quality=60)


def children(processes: list[int]) -> list[int]:
    files = [f for p in processes for f in Path(f"/proc/{p}/task").glob("*/children")]
    return [int(child) for file in files for child in text_of(file).split()]


def text_of(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


def look(process: int, into: dict[int, Memory]) -> None:
    """Raises the greatest of each figure, in MiB; peak is the system's own."""
    for line in text_of(Path(f"/proc/{process}/status")).splitlines():
        name, _, value = line.partition(":")
        if name in FIELDS:
            memory = into.setdefault(process, dict.fromkeys(FIELDS.values(), 0.0))
            memory[FIELDS[name]] = max(memory[FIELDS[name]], int(value.split()[0]) / 1024)


def measure(*arguments: str) -> tuple[Memory, Memory, float]:
    """Returns what the driver and the trial took, and the seconds."""
    since, memory = time.monotonic(), {}
    with subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments]) as searching:
        while searching.poll() is None:
            trials = children(children([searching.pid]))  # forked from a server, which idles
            for process in (searching.pid, *trials):
                look(process, memory)
            time.sleep(0.05)
    if searching.returncode:
        raise SystemExit(searching.returncode)
    driver = memory.pop(searching.pid)
    return driver, max(memory.values(), key=lambda m: m["peak"]), time.monotonic() - since


def row(words: str, memory: Memory, base: Memory) -> str:
    figures = "".join(f"{memory[name]:>10.0f}" for name in FIELDS.values())
    return f"{words:34}{figures}{memory['peak'] - base['peak']:>+12.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=2000)
    parser.add_argument("--max-memory", default="500M")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        (root / "space.yaml").write_text(SPACE)
        count = asked.mb * 10**6 // (SIDE * SIDE * 3)
        make_images(root / "few", count // 100)
        make_images(root / "many", count)
        print(f"{describe_device()}: {count:,} images of {SIDE}x{SIDE}x3, {asked.mb:,} MB decoded")
        print(f"{'MiB resident':34}{''.join(f'{n:>10}' for n in FIELDS.values())}{'data':>12}")
        bases: tuple[Memory, Memory] | None = None
        for words, data, limit in (
            ("a hundredth of the images", "few", "64G"),
            (f"streamed, --max-memory {asked.max_memory}", "many", asked.max_memory),
            ("mapped, --max-memory 64G", "many", "64G"),
        ):
            names = (str(root / "space.yaml"), str(root / data), str(root / "runs"))
            driver, trial, seconds = measure(*names, f"{data}-{limit}", limit)
            bases = bases or (driver, trial)
            print(f"{words}, {seconds:.0f} s")
            print(row("  driver", driver, bases[0]))
            print(row("  trial", trial, bases[1]), flush=True)


if __name__ == "__main__":
    main()
