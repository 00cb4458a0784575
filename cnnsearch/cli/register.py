"""The command that puts a model into MLflow's registry."""

from typing import Annotated

import typer

from cnnsearch.cli.common import RUNS, Json, Runs, app, open_run, print_json


@app.command()
def register(
    name: Annotated[str, typer.Argument(help="The registered model; made if need be.")],
    run: Annotated[str | None, typer.Option(help="The run's name; default: the latest.")] = None,
    which: Annotated[str, typer.Option("--trial", help="best, or a trial's id.")] = "best",
    alias: Annotated[
        str | None, typer.Option(help="Let this stand for the version: champion.")
    ] = None,
    mlflow_uri: Annotated[
        str | None, typer.Option("--mlflow-uri", help="The store; default: the run's own.")
    ] = None,
    runs: Runs = RUNS,
    json_: Json = False,
) -> None:
    """Register a candidate in MLflow.

    Exports it, logs it as an MLflow model that takes uint8 images and answers with the probability
    of each class, and makes it a version of the registered model NAME, ready to be served.
    """
    from dataclasses import asdict

    from cnnsearch.exporters.model_registry import register as register_model

    done = register_model(
        open_run(runs, run), name, which=which, alias=alias, mlflow_uri=mlflow_uri
    )
    if json_:
        print_json(asdict(done))
        return
    already = "" if done.new else " (registered before)"
    print(f"Trial {done.trial} of run {done.run} is {name} version {done.version}{already}.")
    if alias:
        print(f"The alias {alias} stands for version {done.version} now.")
    print("Serve it with:")
    print(f"  MLFLOW_TRACKING_URI={done.tracking_uri} \\")
    print(f"  mlflow models serve -m {done.uri} --env-manager local --port 5001")
