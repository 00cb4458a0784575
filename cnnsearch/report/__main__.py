"""Writes a run's report in a process of its own: ``python -m cnnsearch.report RUN_FOLDER``."""

import json
import sys
from contextlib import closing
from pathlib import Path

from cnnsearch.errors import CnnsearchError
from cnnsearch.report.report import write_report
from cnnsearch.runs.directory import RunDirectory


def main(folder: Path) -> None:
    """Writes the report and prints its path as JSON."""
    with closing(RunDirectory.open(folder.parent, folder.name)) as run:
        print(json.dumps([str(path) for path in write_report(run)]))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except CnnsearchError as error:
        sys.exit(str(error))
