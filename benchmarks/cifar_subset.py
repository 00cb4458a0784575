"""Unpacks a stratified subset of CIFAR-10 from a zip of class folders, the same for the same seed.

    .venv/bin/python benchmarks/cifar_subset.py ../shared/data/cifar10/train.zip cifar5k --each 500

The zip holds JPEG files as ``train/CLASS/NAME.jpg``; ``--each`` of every class are written below
the folder named.
"""

import argparse
import random
import zipfile
from collections import defaultdict
from pathlib import Path, PurePosixPath


def main() -> None:
    """Writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("zip", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--each", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    with zipfile.ZipFile(asked.zip) as archive:
        classes: dict[str, list[str]] = defaultdict(list)
        for name in archive.namelist():
            if name.endswith(".jpg"):
                classes[PurePosixPath(name).parent.name].append(name)
        for label, names in classes.items():
            (asked.out / label).mkdir(parents=True, exist_ok=True)
            for name in rng.sample(sorted(names), asked.each):
                target = asked.out / label / PurePosixPath(name).name
                target.write_bytes(archive.read(name))


if __name__ == "__main__":
    main()
