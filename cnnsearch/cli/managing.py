"""Commands that stop and delete runs."""

from pathlib import Path
from typing import Annotated

import typer

from cnnsearch.cli.common import RUNS, RunName, Runs, command


@command("cnnsearch stop first")
def stop(
    run: RunName,
    wait: Annotated[float, typer.Option(help="Seconds to wait.", min=0.0)] = 60.0,
    runs: Runs = RUNS,
) -> None:
    """Stop a run in good order, from another terminal.

    What is finished is kept, and cnnsearch resume continues.
    """
    from cnnsearch.runs.manage import stop as stop_run

    state = stop_run(runs, run, wait)
    if state is None:
        print(f"Run {run} is not running.")
    elif state == "finished":
        print(f"Run {run} had just finished.")
    else:
        print(f"Run {run} has stopped; resume it with: cnnsearch resume {run}{_format_runs(runs)}")


@command("cnnsearch delete first")
def delete(
    run: RunName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    runs: Runs = RUNS,
) -> None:
    """Delete a run: its record, checkpoints and weights.

    Its copy in MLflow stays.
    """
    from contextlib import closing

    from cnnsearch.runs.directory import RunDirectory
    from cnnsearch.runs.manage import delete as delete_run
    from cnnsearch.runs.manage import measure_size
    from cnnsearch.utils.units import pluralize

    with closing(RunDirectory.open(runs, run)) as opened:
        trials, size = len(opened.db.get_trials()), measure_size(opened.path)
    what = f"run {run} ({pluralize(trials, 'candidate')}, {size / 1e6:,.1f} MB)"
    if not yes and not typer.confirm(f"Delete {what}?"):
        print("Nothing was deleted.")
        return
    delete_run(runs, run)
    print(f"Deleted {what}.")


def _format_runs(runs: Path) -> str:
    return "" if runs == RUNS else f" --runs {runs}"
