"""Trains on a data set four times larger than the memory it may have, and prints what it took.

    python benchmarks/bench_memory.py [--mb 2000] [--max-memory 500M]

Makes a folder of JPEGs whose decoded images take ``--mb`` megabytes (96 x 96, two classes), and
searches one small network on it, one epoch, mapped and streamed. A process's memory is also that of
the frameworks: the same search on digits says how much.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 96
SPACE = """
input: [96, 96, 3]
classes: 2
stem: [{type: conv, filters: 8, kernel: 5, stride: 4}]
stages: [{block: plain, depth: 1, width: 16, stride: 2}]
recipe: {batch_size: 128, epochs: 1}
"""
PROGRAM = """
import json, resource, sys, cnnsearch
space, data, runs, limit = sys.argv[1:]
found = cnnsearch.search(space, data, trials=1, strategy="random", runs=runs, name="m",
                         max_memory=limit or None)
mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"driver": mine, "trial": found.best.metrics["peak_memory_mb"],
                  "seconds": found.best.seconds}))
"""


def make_images(folder: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    for label in range(2):
        (folder / str(label)).mkdir(parents=True)
    blocks = rng.integers(0, 256, (64, 12, 12, 3), dtype=np.uint8)
    for i in range(count):
        small = Image.fromarray(np.roll(blocks[i % 64], i // 64, axis=0))
        small.resize((SIDE, SIDE)).save(folder / str(i % 2) / f"{i}.jpg", quality=60)


def measure(space: Path, data: str, runs: Path, limit: str) -> dict[str, float]:
    command = [sys.executable, "-c", PROGRAM, str(space), data, str(runs), limit]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=2000)
    parser.add_argument("--max-memory", default="500M")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        space = root / "space.yaml"
        space.write_text(SPACE)
        count = asked.mb * 10**6 // (SIDE * SIDE * 3)
        make_images(root / "images", count)
        print(f"{count:,} images of {SIDE}x{SIDE}x3: {asked.mb:,} MB decoded")
        print(f"{'':32}{'driver':>10}{'trial':>10}  peak resident memory, MiB")
        for words, data, limit in (
            ("digits (frameworks alone)", "digits", ""),
            (f"streamed, --max-memory {asked.max_memory}", str(root / "images"), asked.max_memory),
            ("mapped (no limit)", str(root / "images"), "64G"),
        ):
            found = measure(space, data, root / f"runs-{words[:6]}", limit)
            print(f"{words:32}{found['driver']:>10.0f}{found['trial']:>10.0f}", flush=True)


if __name__ == "__main__":
    main()
