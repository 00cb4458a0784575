"""Commands that search, and that look at what was found."""

import sys
from typing import Annotated

import typer

from cnnsearch.cli.common import (
    INTERRUPTED,
    RUNS,
    Gpus,
    GpusPerTrial,
    Json,
    MaxDisk,
    MaxMacs,
    MaxParams,
    PlacedCommand,
    Ray,
    Runs,
    Space,
    Workers,
    WorkersPerGpu,
    app,
    console,
    open_run,
    print_json,
    watcher_of,
)
from cnnsearch.oracles import DEFAULT_STRATEGY, describe_strategies


@app.command(cls=PlacedCommand)
def search(
    space: Space,
    data: Annotated[
        str,
        typer.Option(
            help="digits, a folder of class folders, a .zip or .tar of one, a .csv or .parquet "
            "of path,label, npz:FILE or tfds:NAME."
        ),
    ] = "digits",
    strategy: Annotated[str, typer.Option(help=describe_strategies())] = DEFAULT_STRATEGY,
    trials: Annotated[
        int, typer.Option(help="How many candidates to train; those that fail are replaced.")
    ] = 20,
    max_time: Annotated[
        str | None, typer.Option("--max-time", help="Stop after so long: 2h, 45m, 90s.")
    ] = None,
    max_params: MaxParams = None,
    max_macs: MaxMacs = None,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs of a candidate; default: what its recipe says.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the run; the same name again goes on with it.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same candidates, same order.")] = 0,
    weights: Annotated[
        str | None,
        typer.Option(help="Start a published network from imagenet, or from a .weights.h5 file."),
    ] = None,
    freeze: Annotated[
        bool, typer.Option("--freeze", help="With --weights: train nothing but the head.")
    ] = False,
    image: Annotated[
        str | None, typer.Option(help="The size candidates read: 96 or 96x64; default: their own.")
    ] = None,
    objective: Annotated[
        str, typer.Option(help="Rank by accuracy, balanced_accuracy or macro_f1.")
    ] = "accuracy",
    class_weights: Annotated[
        str,
        typer.Option("--class-weights", help="balanced: all classes weigh the same in the loss."),
    ] = "none",
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change every candidate's recipe: --set ema=0.99."),
    ] = None,
    train_share: Annotated[
        float, typer.Option("--train-share", help="Candidates learn from this share of train.")
    ] = 1.0,
    max_memory: Annotated[
        str | None,
        typer.Option("--max-memory", help="For images, in each process: 500M. More is streamed."),
    ] = None,
    workers: Workers = None,
    gpus: Gpus = None,
    workers_per_gpu: WorkersPerGpu = 1,
    start_method: Annotated[
        str,
        typer.Option("--start-method", help="Of candidates' processes: forkserver, spawn or auto."),
    ] = "auto",
    max_disk: MaxDisk = None,
    ray: Ray = None,
    gpus_per_trial: GpusPerTrial = None,
    trial_timeout: Annotated[
        str | None, typer.Option("--trial-timeout", help="Give a candidate up after so long.")
    ] = None,
    skip_bad_images: Annotated[
        bool, typer.Option("--skip-bad-images", help="Leave unreadable images out and say which.")
    ] = False,
    data_dir: Annotated[
        str | None, typer.Option("--data-dir", help="Where TensorFlow Datasets keeps its data.")
    ] = None,
    mlflow_uri: Annotated[
        str | None, typer.Option("--mlflow-uri", help="Another MLflow store than runs/mlflow.db.")
    ] = None,
    runs: Runs = RUNS,
    json_: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a live table.")] = False,
) -> None:
    """Search a space on your images.

    The same --name again goes on where it stopped. Ctrl-C once ends it and keeps everything.
    """
    from cnnsearch.engine.search import search as run_search

    result = run_search(
        space,
        data,
        strategy=strategy,
        trials=trials,
        max_time=max_time,
        max_params=max_params,
        max_macs=max_macs,
        epochs=epochs,
        name=name,
        seed=seed,
        weights=weights,
        freeze=freeze,
        image=image,
        objective=objective,
        class_weights=class_weights,
        changes=tuple(change or ()),
        train_share=train_share,
        max_memory=max_memory,
        workers=workers,
        gpus=gpus,
        workers_per_gpu=workers_per_gpu,
        start_method=start_method,
        max_disk=max_disk,
        ray=ray,
        gpus_per_trial=gpus_per_trial,
        trial_timeout=trial_timeout,
        skip_bad_images=skip_bad_images,
        data_dir=data_dir,
        mlflow_uri=mlflow_uri,
        runs=runs,
        watcher=watcher_of(json_, quiet, plain),
    )
    _leave(result.reason)


def _leave(reason: str) -> None:
    """An interrupted search is told apart by its exit code, as a shell does it."""
    if reason == "interrupted":
        sys.exit(INTERRUPTED)


@app.command(cls=PlacedCommand)
def resume(
    run: Annotated[str, typer.Argument(help="The run's name.")],
    trials: Annotated[int | None, typer.Option(help="How many candidates in all, if more.")] = None,
    max_time: Annotated[
        str | None, typer.Option("--max-time", help="Stop after so long: 2h, 45m, 90s.")
    ] = None,
    workers: Workers = None,
    gpus: Annotated[
        str | None, typer.Option(help="Other GPUs: 0-3, 0,2, all; none: no worker has its own.")
    ] = None,
    workers_per_gpu: Annotated[
        int | None, typer.Option("--workers-per-gpu", help="Workers that share one of --gpus.")
    ] = None,
    max_disk: MaxDisk = None,
    ray: Ray = None,
    gpus_per_trial: GpusPerTrial = None,
    runs: Runs = RUNS,
    json_: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Lines instead of a live table.")] = False,
) -> None:
    """Go on with a run as it was asked for."""
    from cnnsearch.engine.search import resume as resume_search

    watcher = watcher_of(json_, quiet, plain)
    from cnnsearch.studies.final.run import exists_final, resume_final

    if exists_final(runs, run):
        from cnnsearch.cli.train import show_final

        final = resume_final(
            runs, run, watcher, max_time,
            workers=workers, gpus=gpus, workers_per_gpu=workers_per_gpu,
            ray=ray, gpus_per_trial=gpus_per_trial,
        )  # fmt: skip
        if not quiet:
            show_final(final.run, json_, final.reason)
        _leave(final.reason)
        return
    result = resume_search(
        run,
        runs=runs,
        trials=trials,
        max_time=max_time,
        workers=workers,
        gpus=gpus,
        workers_per_gpu=workers_per_gpu,
        max_disk=max_disk,
        ray=ray,
        gpus_per_trial=gpus_per_trial,
        watcher=watcher,
    )
    _leave(result.reason)


@app.command("runs")
def list_all(runs: Runs = RUNS, json_: Json = False) -> None:
    """List the runs and their states."""
    from rich.table import Table

    from cnnsearch.runs.directory import list_runs

    found = list_runs(runs)
    if json_:
        print_json([vars(summary) for summary in found])
        return
    if not found:
        print(f"There is no run in {runs} yet; cnnsearch search tiny makes one.")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("run", "kind", "state", "candidates", "completed", "best"):
        table.add_column(name)
    for one in found:
        best = "-" if one.best is None else f"{one.best:.2%}"
        table.add_row(one.name, one.kind, one.state, str(one.trials), str(one.completed), best)
    console().print(table)


@app.command()
def results(
    run: Annotated[str | None, typer.Argument(help="The run's name; default: the latest.")] = None,
    limit: Annotated[int, typer.Option(help="Show the best so many.", min=1)] = 20,
    runs: Runs = RUNS,
    json_: Json = False,
) -> None:
    """Show the leaderboard and Pareto front.

    The front holds the candidates that no other one beats in both accuracy and MACs.
    """
    from cnnsearch.report import leaderboard, longest, pareto_front, pareto_plot, results_table
    from cnnsearch.training.metrics import measured

    opened = open_run(runs, run)
    if opened.manifest.get("kind") == "final":
        from cnnsearch.cli.train import show_final

        show_final(opened, json_)
        return
    trials = longest(opened.db.trials())
    if json_:
        from cnnsearch.engine.display import trial_data

        ranked, front = leaderboard(trials), pareto_front(trials)
        board = [trial_data(trial) for trial in ranked]
        print_json({"run": opened.name, "leaderboard": board, "pareto": [t.id for t in front]})
        return
    terminal = console()
    finished = sum(trial.score is not None for trial in trials)
    title = f"Run {opened.name}: {finished} finished candidates, best first"
    what = measured(opened.manifest["settings"].get("objective", "accuracy"))
    terminal.print(results_table(trials, title, limit, what))
    plot = pareto_plot(trials)
    if plot:
        words = what.replace("val", "Validation")
        terminal.print(f"\n{words} against MACs (log scale); ● no other beats in both")
        terminal.print(plot, highlight=False, markup=False)
    for trial in trials:
        if trial.status == "failed":
            terminal.print(
                f"trial {trial.id} failed: {trial.reason}", highlight=False, markup=False
            )
