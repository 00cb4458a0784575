"""Runs a module of this package in a Python process of its own.

For work that would leave a framework, its threads or its GPU memory behind in this process.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cnnsearch.errors import CnnsearchError


def run_module(
    module: str,
    *arguments: object,
    fail: Callable[[str], CnnsearchError],
    environment: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> Any:
    """Runs ``python -m module`` to its end and returns the last line it prints, read as JSON.

    The arguments are those of :func:`stream_module`. None is returned if it prints nothing.
    """
    lines = list(
        stream_module(module, *arguments, fail=fail, environment=environment, seconds=seconds)
    )
    return json.loads(lines[-1]) if lines else None


def stream_module(
    module: str,
    *arguments: object,
    fail: Callable[[str], CnnsearchError],
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    seconds: float | None = None,
) -> Iterator[str]:
    """Runs ``python -m module`` and yields each line when it is printed.

    Args:
        module: its full name.
        arguments: of its command line.
        fail: makes the exception of one line of text: the cause.
        environment: variables to set in addition to those of this process.
        stdin: the job, on its standard input.
        seconds: after which it is killed; None: never.

    Raises:
        CnnsearchError: what ``fail`` makes, if the process ends with a signal or an exit code
            other than 0; the cause is the last line on its standard error.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    with tempfile.TemporaryFile() as job, tempfile.TemporaryFile() as errors:
        job.write(stdin)
        job.seek(0)
        # Errors go to a file: a pipe that nobody reads would block the process when it is full.
        process = subprocess.Popen(
            command,
            stdin=job,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **(environment or {})},
        )
        started = time.monotonic()
        with _kill_after(process, seconds):
            yield from _read_lines(process)
        if process.returncode and seconds is not None and time.monotonic() - started >= seconds:
            raise fail(f"it took longer than {seconds:g} s")
        if process.returncode:
            errors.seek(0)
            raise fail(_describe_failure(process.returncode, errors.read()))


@contextmanager
def _kill_after(process: "subprocess.Popen[bytes]", seconds: float | None) -> Iterator[None]:
    timer = threading.Timer(seconds or 0.0, process.kill)
    timer.daemon = True
    if seconds is not None:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _read_lines(process: "subprocess.Popen[bytes]") -> Iterator[str]:
    """Yields a process's lines until it ends; ends it if the caller stops reading."""
    with process:
        try:
            for line in process.stdout or ():
                yield line.decode(errors="replace").rstrip("\n")
        except BaseException:  # Ctrl-C, or the generator is closed
            process.terminate()
            raise


def _describe_failure(code: int, errors: bytes) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    lines = errors.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"exit code {code}"
