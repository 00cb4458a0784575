"""Runs the command line: ``python -m cnnsearch`` is ``cnnsearch``."""

from cnnsearch.cli import run_program

if __name__ == "__main__":
    run_program()
