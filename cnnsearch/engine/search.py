"""The Python API of a search: from a space and a data source to the best candidate."""

import time
from contextlib import closing
from pathlib import Path
from typing import Any

from cnnsearch.data import Dataset, save_source
from cnnsearch.engine.backbones import (
    check_backbones,
    check_same_backbones,
    fetch_backbones,
    keep_backbones,
)
from cnnsearch.engine.display import Quiet
from cnnsearch.engine.display.callback import SearchCallback
from cnnsearch.engine.display.notebook import choose_display
from cnnsearch.engine.earlier_runs import read_earlier_runs, record_earlier_runs
from cnnsearch.engine.initial_weights import (
    FILE,
    check_same_weights,
    check_weights_file,
    fetch_weights,
    prepare_space,
)
from cnnsearch.engine.latency import find_measured, record
from cnnsearch.engine.option_group import Options
from cnnsearch.engine.placement import find_gpus, make_executor
from cnnsearch.engine.run_data import load_data
from cnnsearch.engine.run_manifest import (
    check_same_data,
    check_same_settings,
    create_manifest,
    keep_earlier,
    read_settings,
)
from cnnsearch.engine.search_oracle import check_first_proposal
from cnnsearch.engine.search_session import SearchResult, train_candidates
from cnnsearch.engine.session import warm_up
from cnnsearch.engine.settings import Settings, document_settings
from cnnsearch.oracles import AUTO, choose_strategy
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.lookup import find_space
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.objectives import find_objective
from cnnsearch.utils import environment
from cnnsearch.utils.atomic_files import replace_file

RUNS = Path("runs")


@document_settings
def search(
    space: str | Path | SearchSpace,
    data: object = "digits",
    *,
    name: str | None = None,
    runs: str | Path = RUNS,
    callback: SearchCallback | None = None,
    **settings: Any,
) -> SearchResult:
    """Searches a space on a data set; the same name again resumes the run.

        search("residual", "photos/", max_macs="300M", trials=60)
        search("residual", "photos/", trials=60, training=TrainingOptions(objective="macro_f1"))

    Args:
        space: a space, the name of one that ships, a published network's, a file, or ``RUN:TRIAL``.
        data: a folder, file or name as on the command line; a `Dataset`, arrays ``(x, y)``, a
            ``tf.data.Dataset``, a ``keras.utils.PyDataset``, or a dict of splits; or `DataOptions`.
        name: of the run, a folder in ``runs``; None: the space's name and a number.
        runs: the folder that holds all runs.
        callback: is called on the search's events; None: a table in notebooks, else nothing.
        **settings: each setting of `SearchOptions`, `TrainingOptions`, `DataOptions` and
            `Placement` by its name, with the defaults and meanings documented there. Most used:
            strategy, trials, max_time, max_params, max_macs, epochs, seed, objective, image,
            weights, workers. Or such an object, under any keyword.

    Returns:
        The best candidate, and all others.

    Raises:
        CnnsearchError: an invalid or unknown setting, in one line.
    """
    root = Path(runs)
    loaded = space if isinstance(space, SearchSpace) else find_space(space, root)
    images = data if isinstance(data, Options) else save_source(data, root / ".cache")
    made = Settings.create(loaded.text, loaded.source, data=images, **settings)
    chosen = free_name(root, loaded.name) if name is None else name
    return run_search(made, loaded, root, chosen, callback or choose_display())


def resume(
    name: str, *, runs: str | Path = RUNS, callback: SearchCallback | None = None, **changes: Any
) -> SearchResult:
    """Resumes a run with the settings that it was started with.

    Args:
        name: of the run.
        runs: the folder that holds all runs.
        callback: is called on the search's events; None: a table in notebooks, else nothing.
        **changes: settings that do not affect what is found: trials, max_time, and those of
            `Placement`. ``gpus="none"`` lets every candidate see all GPUs again, ``ray="none"``
            trains on this machine.

    Raises:
        RunError: there is no such run.
    """
    root = Path(runs)
    with closing(RunDirectory.open(root, name)) as run:
        began = read_settings(run)
        space = SearchSpace.from_text(run.space_text, began.source)
    time_limit = changes.pop("max_time", None)  # the former session's is over
    settings = began.move(**changes).replace(max_time=time_limit)
    return run_search(settings, space, root, name, callback or choose_display())


def free_name(root: Path, base: str) -> str:
    """Returns the first of ``base-1``, ``base-2`` … that is no run yet."""
    number = 1
    while RunDirectory.exists(root, f"{base}-{number}"):
        number += 1
    return f"{base}-{number}"


def run_search(
    settings: Settings,
    space: SearchSpace,
    root: Path,
    name: str,
    callback: SearchCallback | None = None,
) -> SearchResult:
    """Runs one session of a search, in a new run or in one that is resumed."""
    started, why = time.monotonic(), ""
    callback = callback or Quiet()
    find_gpus(settings.placement.gpus)
    space = prepare_space(space, settings)
    reopened = RunDirectory.open(root, name) if RunDirectory.exists(root, name) else None
    if reopened:
        settings = keep_earlier(reopened, settings)
        check_same_settings(reopened, settings)
        check_same_weights(reopened, settings)
        check_same_backbones(reopened, space)
    else:
        settings, why = _resolve_strategy(settings, space)
        check_weights_file(settings)
        check_backbones(space, settings)
        read_earlier_runs(settings.search.learn_from, root, space)
    environment.configure_backend()
    find_objective(settings.training.objective).check_installed()
    dataset = load_data(settings, space, root)
    if reopened:
        check_same_data(reopened, dataset)
    executor = make_executor(settings.placement)
    warm_up(executor)
    measured = find_measured(settings, space, dataset, reopened, callback.on_message)
    latency_model = measured.fit() if measured else None
    if reopened is None:
        check_first_proposal(settings, space, dataset, latency_model)
    run = reopened or _create_run(root, name, settings, space, dataset, callback)
    record(run, measured)
    record_earlier_runs(run, settings.search.learn_from, root, space)
    if why:
        callback.on_message(why)
    return train_candidates(
        run, settings, space, dataset, callback, executor, started, latency_model
    )


def _resolve_strategy(settings: Settings, space: SearchSpace) -> tuple[Settings, str]:
    """Returns the settings of a new run with a strategy in place of ``auto``, and the reason."""
    if settings.search.strategy != AUTO:
        return settings, ""
    size = None if space.continuous else space.size
    choice = choose_strategy(settings.search.trials, size)
    return settings.replace(strategy=choice.strategy.name), choice.reason


def _create_run(
    root: Path,
    name: str,
    settings: Settings,
    space: SearchSpace,
    dataset: Dataset,
    callback: SearchCallback,
) -> RunDirectory:
    """Creates a run, after its initial weights are fetched: an error leaves nothing behind."""
    notify = callback.on_message
    with (
        fetch_weights(space, settings, root, notify) as weights,
        fetch_backbones(space, root, notify) as backbones,
    ):
        path, record = weights or (None, None)
        records = [each for _, each in backbones]
        manifest = create_manifest(space.name, settings, dataset, record, records)
        run = RunDirectory.create(root, name, manifest, settings.space)
        keep_backbones(run, backbones)
        if path is not None:
            replace_file(path, run.path / FILE)
    return run
