"""The command line: reads what was asked, calls the library, prints what it answers."""

import sys
from typing import Annotated

import typer

from cnnsearch.cli import architectures, models, runs, scaling, spaces
from cnnsearch.cli.common import app
from cnnsearch.errors import CnnsearchError

__all__ = ["app", "architectures", "main", "models", "runs", "scaling", "spaces"]


def main() -> None:
    """Runs the command line: a mistake of the user's is one line on stderr and exit code 2."""
    try:
        app(standalone_mode=True)
    except CnnsearchError as error:
        print(f"cnnsearch: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except SystemExit as end:
        ended = end.__context__  # Typer turns Ctrl-C into a silent exit code 130
        if ended and isinstance(ended.__cause__, KeyboardInterrupt):
            print("cnnsearch: interrupted", file=sys.stderr)
        raise


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
