"""Results of the fault harness as text: the command, the machine in words, and a table."""

import argparse
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from psutil import virtual_memory


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Returns rows as aligned text, numbers to the right."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    right = [all(not isinstance(row[i], str) for row in rows) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    )


def write(path: Path, module: str, asked: argparse.Namespace, text: str) -> None:
    """Writes results beside what made them."""
    given = {k: v for k, v in vars(asked).items() if v is not None and v is not False}
    shown = {k: v for k, v in given.items() if k not in ("out", "keep")}
    words = (f"--{k.replace('_', '-')}{'' if v is True else f' {v}'}" for k, v in shown.items())
    options = " ".join(words)
    memory = virtual_memory().total / 2**30
    machine = f"{os.cpu_count()} CPU cores, {memory:.0f} GiB, {platform.system()}"
    versions = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras", "mlflow"))
    head = f"$ python -m tests.faults.{module} {options}\n{machine}; Python "
    head += f"{platform.python_version()}, {versions}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{head}\n{text}\n")
