"""Makes a table of learning curves from a run over the candidates of a space.

    python -m benchmarks.replay.make_table runs/own0 --out benchmarks/replay/own_table.json

The run may be unfinished: the table has the candidates that are completed, and a replay treats the
others as if they were over the budget. Values that the space beside the table fixes are left out.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from cnnsearch import SearchSpace
from cnnsearch.runs.directory import RunDirectory


def read_candidate(run: RunDirectory, trial: Any, names: set[str]) -> dict[str, Any]:
    """Returns a completed candidate's values, costs and curve."""
    epochs = run.db.get_history(trial.id)
    return {
        "values": {name: value for name, value in trial.values.items() if name in names},
        "params": trial.params,
        "macs": trial.macs,
        "epoch_seconds": round(statistics.median(row["seconds"] for row in epochs), 3),
        "val_accuracy": [round(row["val_accuracy"], 4) for row in epochs],
        "loss": [round(row["loss"], 4) for row in epochs],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    run = RunDirectory.open(given.run.parent, given.run.name)
    try:
        trials = [t for t in run.db.get_trials() if t.status == "completed" and not t.role]
        space = SearchSpace.load(given.out.with_suffix(".yaml"))
        names = {parameter.name for parameter in space.parameters}
        rows = [read_candidate(run, trial, names) for trial in trials]
        facts = run.manifest
    finally:
        run.close()
    data = facts["dataset"]
    head = {
        "space": given.out.stem,
        "images": {key: data[key] for key in ("train", "validation", "image", "fingerprint")},
        "environment": facts["environment"],
    }
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    given.out.write_text(json.dumps(head)[:-1] + ', "candidates": [\n' + lines + "\n]}\n")
    print(f"{len(rows)} candidates, {given.out.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
