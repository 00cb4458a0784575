"""RAM and flash as counted from the wiring, against the int8 LiteRT files of random architectures.

    for n in $(seq 40 40 1000); do python -m benchmarks.devices.count_exports --networks $n; done
    python -m benchmarks.devices.count_exports --networks 0 > benchmarks/devices/exports.txt

For each architecture, a line of exports.csv: RAM and flash of the file, as counted, and as the
converter writes it; what a greedy planner takes for its feature maps, what LiteRT's own interpreter
takes, and the image.
Spaces take turns, so the program can be stopped at any time; what is in --out is not converted
again. TensorFlow keeps some memory of every conversion: hence a process for every 40 networks.
"""

import argparse
import csv
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.devices.exported_file import ExportedFile, convert_random, list_networks
from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count, lower_network
from cnnsearch.exporters.litert_file import shrink
from cnnsearch.space.files import list_spaces
from cnnsearch.utils.environment import configure_backend, import_frameworks

OUT = Path(__file__).with_name("exports.csv")
TEXT = ("name", "space", "fingerprint")
Row = dict[str, str | int]


def compare(name: str, space: str, architecture: Architecture) -> Row:
    """Returns what is counted and what the file has, in bytes, without description and labels."""
    converted, cost = convert_random(architecture), count(architecture)
    content = shrink(converted)
    file = ExportedFile.read(content)
    return {
        "name": name,
        "space": space,
        "fingerprint": architecture.fingerprint,
        "ram": file.peak,
        "counted_ram": cost.peak_activation_bytes or 0,
        "converted_ram": ExportedFile.read(converted).peak,
        "flash": len(content),
        "counted_flash": lower_network(architecture).flash_bytes,
        "converted_flash": len(converted),
        "planned": file.plan(),
        "arena": file.arena,
        "image": file.maps[0].size,
    }


def read_rows(path: Path) -> list[Row]:
    """Returns the lines of a file that was written; none if there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v if k in TEXT else int(v) for k, v in row.items()} for row in rows]


def append(path: Path, row: Row) -> None:
    """Adds a line to a file, below a head."""
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def summarize(rows: Sequence[Row]) -> str:
    """Returns how well counts and files agree."""
    equal = sum(row["ram"] == row["counted_ram"] for row in rows)
    flash = [_compare(row["counted_flash"], row["flash"]) for row in rows]
    saved = {key: [1 - int(row[key]) / int(row[f"converted_{key}"]) for row in rows]
             for key in ("flash", "ram")}  # fmt: skip
    lower = [saving for saving in saved["ram"] if saving > 0]
    planned = [_compare(row["planned"], row["counted_ram"]) for row in rows]
    arena = [_compare(row["arena"], row["counted_ram"]) for row in rows]
    kept = [int(row["arena"]) / (int(row["counted_ram"]) + int(row["image"])) - 1 for row in rows]
    return (
        f"{len(rows)} networks of {len({row['space'] for row in rows})} spaces\n"
        f"RAM equal: {equal}\n"
        f"flash within 2 %: {_count(flash, 0.02)}, all within {max(flash):.2%}\n"
        f"flash less than the converter's file: {min(saved['flash']):.1%} to"
        f" {max(saved['flash']):.1%}, median {statistics.median(saved['flash']):.1%}\n"
        f"RAM less than in the converter's order: {len(lower)}, by up to"
        f" {max(lower, default=0.0):.1%}\n"
        f"greedy plan within 5 % of the count: {_count(planned)}, all within {max(planned):.0%}\n"
        f"LiteRT's arena within 5 % of the count: {_count(arena)}, all within {max(arena):.0%}\n"
        f"LiteRT's arena against count and image: {min(kept):+.0%} to {max(kept):+.0%}"
    )


def _compare(found: str | int, expected: str | int) -> float:
    return abs(int(found) / int(expected) - 1)


def _count(errors: Sequence[float], most: float = 0.05) -> int:
    return sum(error <= most for error in errors)


def main() -> None:
    """Appends to --out, and prints a line for each network and a summary."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", type=int, default=1000)
    parser.add_argument("--spaces", nargs="*", default=list(list_spaces()))
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    rows = read_rows(asked.out)
    done = {row["name"] for row in rows}
    for name, space, architecture in list_networks(asked.spaces, asked.networks):
        if name in done:
            continue
        configure_backend()
        import_frameworks()
        start = time.time()
        rows.append(compare(name, space, architecture))
        append(asked.out, rows[-1])
        print(f"{rows[-1]}  {time.time() - start:.1f} s", flush=True)
    print(summarize(rows))


if __name__ == "__main__":
    main()
