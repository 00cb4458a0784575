"""Finds the networks that a final training is asked for, and makes its run."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.data import Dataset
from cnnsearch.engine.display.callback import SearchCallback
from cnnsearch.engine.placement import find_gpus
from cnnsearch.engine.run_data import load_data
from cnnsearch.engine.run_manifest import check_same_data, read_settings
from cnnsearch.engine.settings import Settings
from cnnsearch.errors import CnnsearchError, RunError
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.lookup import find_candidate, find_trial
from cnnsearch.runs.ranking import rank_trials
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.space.search_space import Candidate, SearchSpace
from cnnsearch.studies.final.baselines import of_file, of_search
from cnnsearch.studies.final.entrants import WINNER, Entrant, fit_candidate
from cnnsearch.studies.final.plan import FinalOptions, FinalPlan
from cnnsearch.studies.final.run import create, is_final

LONGER = 5
"""A final training is so many times as long as a candidate's, unless it is said how long."""


@dataclass(frozen=True)
class Request:
    """What is asked for; the attributes are arguments of :func:`cnnsearch.train_final`.

    ``placement`` has the settings of ``Placement`` that are given.
    """

    which: str
    run: str | None
    root: Path
    top: int
    seeds: int
    epochs: int | None
    data: str | None
    hold_out: bool
    changes: tuple[str, ...]
    references: str | None
    placement: Mapping[str, Any]

    @property
    def options(self) -> FinalOptions:
        """The options that decide the outcome."""
        return FinalOptions(
            source=f"{self.run}:{self.which}" if self.run else self.which,
            run=self.run,
            top=self.top,
            seeds=self.seeds,
            epochs=self.epochs,
            data=self.data,
            hold_out=self.hold_out,
            changes=self.changes,
            references=self.references,
        )

    def plan(self, epochs: int, entrants: Sequence[Entrant], notes: Sequence[str]) -> FinalPlan:
        """Returns the options with the networks that they stand for."""
        options = dict(self.options) | {"epochs": epochs}
        return FinalPlan(**options, entrants=tuple(entrants), notes=tuple(notes))


def prepared(request: Request, name: str, callback: SearchCallback) -> RunDirectory:
    """Finds the winners, has the random search done, and makes the run.

    Args:
        request: located: with its search, or the name of a network.
        name: of the run to make.
        callback: is told.

    Raises:
        CnnsearchError: there is no such search, trial or network, or it does not fit the data.
        KeyboardInterrupt: the random search was interrupted.
    """
    if request.run is None:
        return _of_file(request, name, callback)
    with closing(RunDirectory.open(request.root, request.run)) as search:
        _check_search(search)
        before = read_settings(search)
        space = SearchSpace.from_text(search.space_text, before.source)
        settings = _settings(request, before)
        trials = _winners(search, request)
        data = _data(settings, space, request.root)
        if request.data is None and before.data.train_share == 1:
            check_same_data(search, data)
        epochs = request.epochs or LONGER * max(t.epochs for t in trials)
        entrants = [
            Entrant.create(WINNER, f"{search.name}:{t.id}", _candidate(t, data, request, epochs))
            for t in trials
        ]
        beside = of_search(request.references, search, space, entrants[0], data, callback)
        plan = request.plan(epochs, [*entrants, *beside.entrants], beside.notes)
        return create(request.root, name, settings, data, plan, search)


def _check_search(run: RunDirectory) -> None:
    kind = run.manifest.get("kind", "search")
    if is_final(run) or kind != "search":
        what = "a final training" if is_final(run) else f"of cnnsearch {kind}"
        raise RunError(f"--run {run.name}: is {what}; name the search whose winners are meant")


def _of_file(request: Request, name: str, callback: SearchCallback) -> RunDirectory:
    found = find_candidate(request.which, request.root)
    space = SearchSpace.load(request.which)
    settings = _settings(
        request, Settings.create(space.text, space.source, data=request.data or "digits")
    )
    data = _data(settings, space, request.root)
    epochs = request.epochs or found.recipe.epochs
    recipe = _recipe(found.recipe, request, epochs)
    title = found.architecture.name or Path(request.which).stem
    candidate = fit_candidate(Candidate(found.architecture, recipe), data)
    entrant = Entrant.create(WINNER, title, candidate)
    beside = of_file(request.references, request.which, entrant, data, callback)
    plan = request.plan(epochs, [entrant, *beside.entrants], beside.notes)
    return create(request.root, name, settings, data, plan)


def _settings(request: Request, before: Settings) -> Settings:
    """The search's settings, for this training: all of the training split, other data if asked."""
    changes: dict[str, Any] = {"train_share": 1.0, "trial_timeout": None}
    if request.data is not None:
        changes["data"] = request.data
    settings = before.replace(**changes).move(**request.placement)
    find_gpus(settings.placement.gpus)
    return settings


def _data(settings: Settings, space: SearchSpace, root: Path) -> Dataset:
    data = load_data(settings, space, root)
    if not data.test.count:
        raise CnnsearchError(f"--data {settings.data.source}: has no test split to judge by")
    return data


def _winners(search: RunDirectory, request: Request) -> list[TrialRecord]:
    if request.which != "best":
        trial = find_trial(search, request.which)
        if trial.score is None:
            why = f": {trial.reason}" if trial.reason else ""
            raise RunError(
                f"run {search.name!r}: trial {trial.id} has no score, {trial.status}{why}"
            )
        return [trial]
    board = rank_trials(search.db.get_trials())
    if not board:
        raise RunError(f"run {search.name!r} has no finished trial yet")
    distinct = {trial.fingerprint: trial for trial in reversed(board)}
    ranked = [trial for trial in board if distinct[trial.fingerprint] is trial]
    if len(ranked) < request.top:
        have = f"run {search.name!r} has {len(ranked)} finished candidates"
        raise RunError(f"--top {request.top}: {have}")
    return ranked[: request.top]


def _candidate(trial: TrialRecord, data: Dataset, request: Request, epochs: int) -> Candidate:
    architecture = Architecture.from_data(dict(trial.architecture), trial.id)
    recipe = TrainingRecipe.from_data(dict(trial.recipe), trial.id)
    recipe = _recipe(recipe, request, epochs)
    return fit_candidate(Candidate(architecture, recipe), data)


def _recipe(recipe: TrainingRecipe, request: Request, epochs: int) -> TrainingRecipe:
    return recipe.changed(request.changes).model_copy(update={"epochs": epochs})
