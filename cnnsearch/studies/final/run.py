"""The run of a final training: created, resumed, and found again."""

import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnsearch.data import Dataset
from cnnsearch.engine.backbones import FOLDER as BACKBONES
from cnnsearch.engine.backbones import fetch_backbones, keep_backbones
from cnnsearch.engine.display.callback import SearchCallback
from cnnsearch.engine.initial_weights import FILE as WEIGHTS
from cnnsearch.engine.placement import find_gpus
from cnnsearch.engine.run_data import load_data
from cnnsearch.engine.run_manifest import check_same_data, create_manifest, read_settings
from cnnsearch.engine.session import open_session
from cnnsearch.engine.settings import Settings
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.studies.final.plan import KIND, FinalPlan
from cnnsearch.studies.final.results import Row, compute_rows
from cnnsearch.studies.final.session import FinalTraining, is_complete
from cnnsearch.utils import environment
from cnnsearch.utils.atomic_files import atomic_file
from cnnsearch.utils.units import parse_time


@dataclass(frozen=True)
class FinalResult:
    """How a final training ended.

    Attributes:
        run: the run's folder and database.
        reason: why it ended: trials (all are trained and evaluated), time or interrupted.
        rows: the results of each network.
    """

    run: RunDirectory
    reason: str
    rows: tuple[Row, ...]


def create_run(
    root: Path,
    name: str,
    settings: Settings,
    data: Dataset,
    plan: FinalPlan,
    callback: SearchCallback,
    search: RunDirectory | None = None,
) -> RunDirectory:
    """Creates the run's folder; pretrained weights that ``search`` started from are copied."""
    if search is None:
        space = SearchSpace.from_text(settings.space, settings.source)
        with fetch_backbones(space, root, callback.on_message) as fetched:
            records = [record for _, record in fetched]
            run = _create(root, name, settings, data, plan, {}, records)
            keep_backbones(run, fetched)
        return run
    pretrained = search.manifest.get("pretrained")
    backbones = search.manifest.get("backbones", [])
    run = _create(root, name, settings, data, plan, pretrained, backbones)
    files = [f"{BACKBONES}/{record['file']}" for record in backbones]
    for file in [*files, *([WEIGHTS] if pretrained else [])]:
        (run.path / file).parent.mkdir(exist_ok=True)
        with (search.path / file).open("rb") as source, atomic_file(run.path / file) as copy:
            shutil.copyfileobj(source, copy)
    return run


def _create(
    root: Path,
    name: str,
    settings: Settings,
    data: Dataset,
    plan: FinalPlan,
    pretrained: Mapping[str, Any] | None,
    backbones: Sequence[Mapping[str, Any]],
) -> RunDirectory:
    record = create_manifest(plan.source, settings, data, pretrained, backbones)
    record = {**record, "kind": KIND, "strategy": KIND, KIND: plan.to_data()}
    return RunDirectory.create(root, name, record, settings.space)


def run_final(
    run: RunDirectory,
    callback: SearchCallback | None = None,
    max_time: str | float | None = None,
    **placement: Any,
) -> FinalResult:
    """Trains what is not yet trained, evaluates what is not yet evaluated, writes the results.

    Of a complete run, only its records are read.

    Args:
        run: of a final training.
        callback: is called on events.
        max_time: when no more is trained, and what is finished by then is evaluated; None: never.
        **placement: of :meth:`cnnsearch.engine.settings.Settings.move`.
    """
    if is_complete(run):
        return FinalResult(run, "trials", tuple(compute_rows(run)))
    started = time.monotonic()
    deadline = None if max_time is None else started + parse_time(max_time, "--max-time")
    settings = read_settings(run).move(**placement)
    find_gpus(settings.placement.gpus)
    environment.configure_backend()
    space = SearchSpace.from_text(run.space_text, settings.source)
    data = load_data(settings, space, run.path.parent)
    check_same_data(run, data)
    with open_session(run, settings, callback, deadline=deadline) as session:
        reason = FinalTraining(session, space, data).run()
    return FinalResult(run, reason, tuple(compute_rows(run)))


def is_final(run: RunDirectory) -> bool:
    """Whether a run is a final training."""
    return run.manifest.get("kind") == KIND


def exists_final(root: Path, name: str) -> bool:
    """Whether there is such a run, and it is a final training."""
    if not RunDirectory.exists(root, name):
        return False
    with closing(RunDirectory.open(root, name)) as run:
        return is_final(run)
