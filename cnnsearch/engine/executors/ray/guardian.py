"""A script beside a local Ray cluster: when the driver is gone, it removes what Ray left.

The system ends Ray's servers with the driver, but two of their helpers try to reach them for more
than a minute. They are recognized by the files they have open in the cluster's folder. Python runs
this without site-packages, to start fast and depend on nothing: hence /proc instead of psutil.

    python guardian.py FOLDER    waits for the end of its standard input, kills, removes FOLDER
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

GRACE = 2.0
"""Seconds in which processes may end by themselves."""


def main() -> None:
    """Waits for the end of the driver, then kills what it left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    folder = os.path.realpath(sys.argv[1])
    driver = os.getppid()
    sys.stdin.buffer.read()
    until = time.monotonic() + GRACE
    while list(_list_users(folder, driver)) and time.monotonic() < until:
        time.sleep(0.1)
    for process in _list_users(folder, driver):
        with suppress(OSError):
            os.kill(process, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def _list_users(folder: str, driver: int) -> Iterator[int]:
    """Yields the processes, but the driver, that have a file open in a folder."""
    for process in Path("/proc").glob("[0-9]*"):
        number = int(process.name)
        if number not in (driver, os.getpid()) and _has_open_file(process, folder):
            yield number


def _has_open_file(process: Path, folder: str) -> bool:
    with suppress(OSError):
        for opened in (process / "fd").iterdir():
            with suppress(OSError):
                if os.readlink(opened).startswith(f"{folder}/"):
                    return True
    return False


if __name__ == "__main__":
    main()
