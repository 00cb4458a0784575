"""Puts the parts together: one call from a space and a data source to the best candidate."""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cnnsearch.data import Dataset, save_source
from cnnsearch.engine.display.callback import Watcher
from cnnsearch.engine.executors import Executor
from cnnsearch.engine.initial_weights import (
    check_same_weights,
    check_weights,
    fetched,
    keep,
    starting_space,
)
from cnnsearch.engine.placement import check_placement, executor_of, moved
from cnnsearch.engine.settings import (
    Settings,
    check_same,
    check_same_data,
    check_settings,
    load_data,
    manifest,
    recorded,
)
from cnnsearch.errors import RunError
from cnnsearch.oracles import DEFAULT_STRATEGY
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.utils import environment
from cnnsearch.utils.units import parse_amount, parse_time

if TYPE_CHECKING:
    from cnnsearch.engine.session import SearchResult

RUNS = Path("runs")


def search(
    space: str | Path | SearchSpace,
    data: object = "digits",
    *,
    strategy: str = DEFAULT_STRATEGY,
    trials: int | None = 20,
    max_time: str | float | None = None,
    max_params: str | int | None = None,
    max_macs: str | int | None = None,
    epochs: int | None = None,
    name: str | None = None,
    seed: int = 0,
    weights: str | Path | None = None,
    freeze: bool = False,
    image: str | int | None = None,
    objective: str = "accuracy",
    class_weights: str = "none",
    changes: Sequence[str] = (),
    train_share: float = 1.0,
    max_memory: str | int | None = None,
    runs: str | Path = RUNS,
    workers: int | None = None,
    gpus: str | None = None,
    workers_per_gpu: int = 1,
    start_method: str = "auto",
    max_disk: str | int | None = None,
    ray: str | None = None,
    gpus_per_trial: float | None = None,
    mlflow_uri: str | None = None,
    trial_timeout: str | float | None = None,
    skip_bad_images: bool = False,
    data_dir: str | None = None,
    watcher: Watcher | None = None,
) -> "SearchResult":
    """Searches a space on a data set; the same name again goes on where it stopped.

    Args:
        space: a space, the name of one that ships, a published network's, or a file.
        data: what `load` takes, such as a folder, or what `save_source` takes: a `Dataset`, arrays
            ``(x, y)``, a ``tf.data.Dataset``, a ``keras.utils.PyDataset``, or a dict of splits.
        strategy: the name of one of ``cnnsearch.oracles.STRATEGIES``.
        trials: how many candidates in all, besides those that fail, which are replaced; None: until
            something else ends the search.
        max_time: how long this session may take: ``2h``, ``45m``, seconds.
        max_params: the most trainable parameters: ``1M``, ``300K``.
        max_macs: the most multiply-accumulates for one image.
        epochs: of every candidate; None: what its recipe says.
        name: of the run, a folder in ``runs``; None: the space's name and a number.
        seed: the same seed gives the same candidates in the same order.
        weights: start a published network from keras.applications' weights: ``imagenet`` downloads
            them, otherwise a file; the recipe alone may be searched then.
        freeze: train nothing but the head of such a network.
        image: height and width that candidates read, ``96`` or ``96x64``; None: the space's own.
        objective: what ranks candidates on the validation split: ``accuracy``,
            ``balanced_accuracy`` (mean recall of the classes) or ``macro_f1``.
        class_weights: ``balanced`` weighs every class the same in the loss, ``none`` every image.
        changes: of every candidate's recipe, ``key=value``: ``("ema=0.99", "mixup=0.2")``.
        train_share: stratified share of the training split that candidates learn from.
        max_memory: what a process may take for images, beside frameworks and model: ``500M``;
            larger data is streamed from disk. None: what the machine has left.
        runs: the folder that holds all runs.
        workers: candidates trained side by side; 0 trains in this process, for debugging. None:
            one, or one for each of ``gpus``.
        gpus: ``0-3``, ``0,2`` or ``all``: each worker gets one of these to itself.
        workers_per_gpu: workers that share one of ``gpus``.
        start_method: of candidates' processes: ``forkserver``, ``spawn`` or ``auto``, which forks
            where that is safe.
        max_disk: what checkpoints may take on disk, ``50G``; the states and then the weights of
            the candidates with the lowest scores go first. None: 20G.
        ray: train on a Ray cluster: ``local`` starts one on this machine, otherwise HOST:PORT or
            ``auto``. ``workers`` are then as many as it has room for, if not given.
        gpus_per_trial: of the cluster's, for a candidate: 0.25 lets four share one. None: one each.
        mlflow_uri: where MLflow tracks; None: an SQLite store in ``runs``.
        trial_timeout: how long one candidate may take.
        skip_bad_images: leave unreadable images out instead of refusing them.
        data_dir: where TensorFlow Datasets keeps what it prepared.
        watcher: is told what happens; None: nobody is.

    Returns:
        What was found.

    Raises:
        CnnsearchError: a mistake in what was asked, in one line.
    """
    loaded = space if isinstance(space, SearchSpace) else SearchSpace.load(space)
    root = Path(runs)
    settings = Settings(
        space=loaded.text,
        source=loaded.source,
        data=save_source(data, root / ".cache"),
        strategy=strategy,
        epochs=epochs,
        max_params=None if max_params is None else parse_amount(max_params, "--max-params"),
        max_macs=None if max_macs is None else parse_amount(max_macs, "--max-macs"),
        seed=seed,
        skip_bad_images=skip_bad_images,
        data_dir=data_dir,
        image=None if image is None else str(image),
        weights=None if weights is None else str(weights),
        freeze=freeze,
        objective=objective,
        class_weights=class_weights,
        changes=tuple(changes),
        train_share=train_share,
        max_memory=None if max_memory is None else parse_amount(max_memory, "--max-memory"),
        trials=trials,
        max_time=None if max_time is None else parse_time(max_time, "--max-time"),
        workers=workers,
        gpus=gpus,
        workers_per_gpu=workers_per_gpu,
        start_method=start_method,
        max_disk=None if max_disk is None else parse_amount(max_disk, "--max-disk"),
        ray=ray,
        gpus_per_trial=gpus_per_trial,
        mlflow_uri=mlflow_uri,
        trial_timeout=None
        if trial_timeout is None
        else parse_time(trial_timeout, "--trial-timeout"),
    )
    chosen = free_name(root, loaded.name) if name is None else name
    return run_search(settings, loaded, root, chosen, watcher)


def resume(
    name: str,
    *,
    runs: str | Path = RUNS,
    trials: int | None = None,
    max_time: str | float | None = None,
    workers: int | None = None,
    gpus: str | None = None,
    workers_per_gpu: int | None = None,
    max_disk: str | int | None = None,
    ray: str | None = None,
    gpus_per_trial: float | None = None,
    watcher: Watcher | None = None,
) -> "SearchResult":
    """Goes on with a run as it was asked for; only the arguments given here may change.

    ``gpus="none"`` lets every candidate see all GPUs again, ``ray="none"`` trains on this machine.

    Raises:
        RunError: there is no such run.
    """
    root = Path(runs)
    with closing(RunDirectory.open(root, name)) as run:
        asked = recorded(run)
        space = SearchSpace.from_text(run.space_text, asked.source)
    seconds = None if max_time is None else parse_time(max_time, "--max-time")
    disk = None if max_disk is None else parse_amount(max_disk, "--max-disk")
    settings = moved(
        replace(asked, trials=asked.trials if trials is None else trials, max_time=seconds),
        workers=workers,
        gpus=gpus,
        workers_per_gpu=workers_per_gpu,
        max_disk=disk,
        ray=ray,
        gpus_per_trial=gpus_per_trial,
    )
    return run_search(settings, space, root, name, watcher)


def free_name(root: Path, base: str) -> str:
    """Returns the first of ``base-1``, ``base-2`` … that is no run yet."""
    number = 1
    while RunDirectory.exists(root, f"{base}-{number}"):
        number += 1
    return f"{base}-{number}"


def run_search(
    settings: Settings, space: SearchSpace, root: Path, name: str, watcher: Watcher | None = None
) -> "SearchResult":
    """Runs one session of a search: makes or reopens the run, and holds its lock meanwhile."""
    check_settings(settings)
    check_placement(settings)
    space = starting_space(space, settings)
    started = time.monotonic()
    reopened = RunDirectory.open(root, name) if RunDirectory.exists(root, name) else None
    if reopened:
        check_same(reopened, settings)
        check_same_weights(reopened, settings)
    else:
        check_weights(settings)
    environment.settle_backend()
    dataset = load_data(settings, space, root)
    executor = executor_of(settings)
    if reopened is None:
        _import_while_warming(executor)
        from cnnsearch.engine.session import rehearse

        rehearse(settings, space, dataset)
    run = reopened or _created(root, name, settings, space, dataset, watcher)
    with run.lock():
        check_same_data(run, dataset)
        _import_while_warming(executor)
        from cnnsearch.engine.session import Session

        session = Session(run, settings, space, dataset, watcher, executor, started)
        return session.search()


def _created(
    root: Path,
    name: str,
    settings: Settings,
    space: SearchSpace,
    dataset: Dataset,
    watcher: Watcher | None,
) -> RunDirectory:
    """Makes a run; the weights it starts from are had first, or nothing is left behind."""
    note = watcher.note if watcher else _silent
    with fetched(space, settings, root, note) as weights:
        record = manifest(space.name, settings, dataset, weights.record if weights else None)
        run = RunDirectory.create(root, name, record, settings.space)
        keep(weights, run)
    return run


def _silent(text: str) -> None:
    """Nobody is told."""


def _import_while_warming(executor: Executor) -> None:
    """Imports the frameworks here and in the executor's server at once; a second time is free."""
    executor.warm()
    environment.import_frameworks()
    if executor.free < 1:  # a cluster that cannot be had is told before there is a run
        raise RunError("there is nowhere to train: no slot is free")
