"""Runs the command line: ``python -m cnnsearch`` is ``cnnsearch``."""

from cnnsearch.cli import main

if __name__ == "__main__":
    main()
