"""The command line: parses options, calls the library, prints results.

Enters: the arguments. Leaves: text or JSON, and an exit code. No other room imports this one.
"""

import os
import sys
import threading
from typing import Annotated, Any, NoReturn

import typer

from cnnsearch.cli.common import INTERRUPTED, app
from cnnsearch.errors import CnnsearchError

UsageError: Any = typer.BadParameter.__base__  # Typer exports only its subclass

__all__ = ["app", "main", "run_program"]


def run_program() -> None:
    """Runs the command line as a process of its own."""
    try:
        main()
    except SystemExit as end:
        if threading.active_count() > 1:
            _exit_under_threads(end)
        raise


def _exit_under_threads(end: SystemExit) -> None:
    """Exits at once if the thread that writes to MLflow did not catch up in time.

    Python's own exit would end it inside a C++ library, which aborts the process (SIGABRT).
    """
    from cnnsearch.runs.mlflow import is_following

    if is_following():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 0)


def main() -> None:
    """Runs the command line; a user's mistake is one line on stderr and exit code 2."""
    if len(sys.argv) == 1:
        sys.argv.append("--help")
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:  # Typer's code for Ctrl-C
            raise typer.Abort
        sys.exit(code)
    except typer.Abort:  # also Ctrl-C or the end of input at a question
        print("cnnsearch: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except CnnsearchError as error:
        _refuse(str(error))
    except UsageError as error:
        command = error.ctx.command_path if error.ctx else "cnnsearch"
        _refuse(f"{error.format_message()} (see {command} --help)")
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


def _refuse(message: str) -> NoReturn:
    print(f"cnnsearch: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)


def _version(value: bool) -> None:
    if value:
        from cnnsearch import __version__

        print(f"cnnsearch {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the program itself."""
