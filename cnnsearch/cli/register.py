"""The command that puts a model into MLflow's registry."""

from typing import Annotated

import typer

from cnnsearch.cli.common import (
    RUNS,
    Json,
    RunOption,
    Runs,
    StoreUri,
    command,
    open_run,
    print_json,
)


@command(
    "cnnsearch register flowers",
    "cnnsearch register flowers --run first --trial 007 --alias champion",
)
def register(
    name: Annotated[str, typer.Argument(help="The registered model; created if needed.")],
    run: RunOption = None,
    which: Annotated[str, typer.Option("--trial", help="best, or a trial's id.")] = "best",
    alias: Annotated[
        str | None, typer.Option(help="Alias of the version, such as champion.")
    ] = None,
    mlflow_uri: StoreUri = None,
    runs: Runs = RUNS,
    json_: Json = False,
) -> None:
    """Register a candidate in MLflow.

    Exports it, logs it as an MLflow model that maps uint8 images to class probabilities, and makes
    that a version of the registered model NAME, ready to be served.
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
        print(f"The alias {alias} refers to version {done.version} now.")
    print("Serve it with:")
    print(f"  MLFLOW_TRACKING_URI={done.tracking_uri} \\")
    print(f"  mlflow models serve -m {done.uri} --env-manager local --port 5001")
