"""Three commands from a folder of images to a verified export, in a terminal of 80 columns.

    python -m tests.first_hour FOLDER --max-time 10m --out benchmarks/first_hour/NAME.txt

Each command is the one that the last one printed. Nothing else is known of them.
"""

import argparse
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

COLUMNS, LINES = 80, 40
NEXT = re.compile(r"^\s*(?:Export:\s+)?(cnnsearch (?:search|export) .*?)\s*$", re.MULTILINE)
_ESCAPE = re.compile(r"\x1b\[(\??[0-9;]*)([A-Za-z])")


def follow(data: str, folder: Path, max_time: str) -> list[str]:
    """Runs the commands in a folder and returns what each left on the screen.

    Raises:
        RuntimeError: a command failed, or did not print the next one.
    """
    command, screens = f"cnnsearch init {shlex.quote(data)} --max-time {max_time}", list[str]()
    while command:
        code, screen = run_in_terminal(command, folder)
        screens.append(f"$ {command}\n{screen}")
        if code:
            raise RuntimeError("\n".join(screens))
        found = NEXT.findall(screen)
        command = found[-1] if found and len(screens) < 3 else ""
    if len(screens) < 3:
        raise RuntimeError("\n".join(screens))
    return screens


def run_in_terminal(command: str, folder: Path) -> tuple[int, str]:
    """Runs a command of cnnsearch; returns its exit code and the screen at its end."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    words = [sys.executable, "-m", *shlex.split(command)]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    with subprocess.Popen(
        words, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        text = b""
        while chunk := _read(ours):
            text += chunk
    os.close(ours)
    return process.returncode, render(text.decode(errors="replace"))


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""


def render(text: str) -> str:
    """Returns the lines that a terminal shows after some text: a table is redrawn in place."""
    screen, row, column, place = [""], 0, 0, 0
    while place < len(text):
        escape, char = _ESCAPE.match(text, place), text[place]
        if escape:
            place = escape.end()
            count = int(escape[1]) if escape[1].isdecimal() else 1
            row = max(0, row - count) if escape[2] == "A" else row
            screen[row] = "" if (escape[1], escape[2]) == ("2", "K") else screen[row]
            continue
        place += 1
        if char == "\n":
            row, column = row + 1, 0
            screen += [""] * (row + 1 - len(screen))
        elif char == "\r":
            column = 0
        elif char.isprintable():
            screen[row] = screen[row].ljust(column)[:column] + char + screen[row][column + 1 :]
            column += 1
    return "\n".join(line.rstrip() for line in screen).strip("\n")


def main() -> None:
    """Writes the transcript."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--max-time", default="6m")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    screens = follow(given.data.name, given.data.parent, given.max_time)
    given.out.write_text("\n\n".join(screens) + "\n", "utf-8")


if __name__ == "__main__":
    main()
