"""Commands that end and remove runs."""

from pathlib import Path
from typing import Annotated

import typer

from cnnsearch.cli.common import RUNS, Runs, app

Name = Annotated[str, typer.Argument(help="The run's name.")]


@app.command()
def stop(
    run: Name,
    wait: Annotated[float, typer.Option(help="Seconds to wait for its end.", min=0.0)] = 60.0,
    runs: Runs = RUNS,
) -> None:
    """End a run in good order, from another terminal.

    What is finished is kept, and cnnsearch resume goes on with it.
    """
    from cnnsearch.runs.manage import stop as stop_run

    state = stop_run(runs, run, wait)
    if state is None:
        print(f"Run {run} is not running.")
    elif state == "finished":
        print(f"Run {run} had just finished.")
    else:
        print(f"Run {run} has stopped; go on with: cnnsearch resume {run}{_where(runs)}")


@app.command()
def delete(
    run: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    runs: Runs = RUNS,
) -> None:
    """Delete a run: its record, checkpoints and weights.

    What MLflow has of it stays there.
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


def _where(runs: Path) -> str:
    return "" if runs == RUNS else f" --runs {runs}"
