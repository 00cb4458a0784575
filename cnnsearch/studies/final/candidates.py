"""Finds the networks of a final training and creates its run."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnnsearch.data import Dataset
from cnnsearch.engine.display.callback import SearchCallback
from cnnsearch.engine.placement import find_gpus
from cnnsearch.engine.run_data import load_data
from cnnsearch.engine.run_manifest import check_same_data, read_settings
from cnnsearch.engine.settings import Settings
from cnnsearch.engine.training_time import LONGER
from cnnsearch.errors import CnnsearchError, RunError
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.lookup import find_candidate, find_trial, read_candidate
from cnnsearch.runs.ranking import rank_trials
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.studies.final.baselines import Baselines, find_file_baselines, find_search_baselines
from cnnsearch.studies.final.entrants import WINNER, Entrant, fit_candidate
from cnnsearch.studies.final.plan import FinalOptions, FinalPlan
from cnnsearch.studies.final.regularization import add_cutmix
from cnnsearch.studies.final.run import create_run, is_final


def prepare_run(
    options: FinalOptions,
    root: Path,
    name: str,
    placement: Mapping[str, Any],
    callback: SearchCallback,
) -> RunDirectory:
    """Finds the winners, runs the random search, and creates the run ``name``.

    Raises:
        CnnsearchError: there is no such search, trial or network, or it does not fit the data.
        KeyboardInterrupt: the random search was interrupted.
    """
    if options.run is None:
        return _prepare_network(options, root, name, placement, callback)
    with closing(RunDirectory.open(root, options.run)) as search:
        _check_search(search)
        before = read_settings(search)
        space = SearchSpace.from_text(search.space_text, before.source)
        settings = _change_settings(before, options, placement)
        trials = find_winners(search, options)
        data = _load_data(settings, space, root)
        if options.data is None:
            check_same_data(search, load_data(before, space, root))
        epochs = options.epochs or LONGER * max(trial.epochs for trial in trials)
        candidates = [
            _adapt(read_candidate(trial, trial.id), options, epochs, data) for trial in trials
        ]
        note: tuple[str, ...] = ()
        if not search.manifest.get("pretrained"):
            candidates, note = add_cutmix(candidates, options, epochs, data)
            for line in note:
                callback.on_message(line)
        labels = [f"{search.name}:{trial.id}" for trial in trials]
        winners = [Entrant.create(WINNER, *each) for each in zip(labels, candidates, strict=True)]
        found = find_search_baselines(options.references, search, space, winners[0], data, callback)
        plan = _make_plan(options, epochs, winners, found, note)
        return create_run(root, name, settings, data, plan, callback, search)


def _prepare_network(
    options: FinalOptions,
    root: Path,
    name: str,
    placement: Mapping[str, Any],
    callback: SearchCallback,
) -> RunDirectory:
    found = find_candidate(options.which, root)
    space = SearchSpace.load(options.which)
    settings = _change_settings(Settings.create(space.text, space.source), options, placement)
    data = _load_data(settings, space, root)
    epochs = options.epochs or found.recipe.epochs
    title = found.architecture.name or Path(options.which).stem
    winner = Entrant.create(WINNER, title, _adapt(found, options, epochs, data))
    baselines = find_file_baselines(options.references, options.which, winner, data)
    plan = _make_plan(options, epochs, [winner], baselines)
    return create_run(root, name, settings, data, plan, callback)


def _make_plan(
    options: FinalOptions,
    epochs: int,
    winners: list[Entrant],
    found: Baselines,
    notes: tuple[str, ...] = (),
) -> FinalPlan:
    given = dict(options) | {"epochs": epochs}
    return FinalPlan(**given, entrants=(*winners, *found.entrants), notes=(*notes, *found.notes))


def _check_search(run: RunDirectory) -> None:
    kind = run.manifest.get("kind", "search")
    if kind != "search":
        what = "a final training" if is_final(run) else f"of cnnsearch {kind}"
        raise RunError(f"--run {run.name}: is {what}; name the search whose winners are meant")


def _change_settings(
    before: Settings, options: FinalOptions, placement: Mapping[str, Any]
) -> Settings:
    """Returns a search's settings changed for its final training: all of the training split."""
    changes: dict[str, Any] = {"train_share": 1.0, "trial_timeout": None}
    if options.data is not None:
        changes["data"] = options.data
    if options.drop_copies:
        changes["drop_copies"] = True
    settings = before.replace(**changes).move(**placement)
    find_gpus(settings.placement.gpus)
    return settings


def _load_data(settings: Settings, space: SearchSpace, root: Path) -> Dataset:
    data = load_data(settings, space, root)
    if not data.test.count:
        raise CnnsearchError(f"--data {settings.data.source}: has no test split to evaluate on")
    return data


def find_winners(search: RunDirectory, options: FinalOptions) -> list[TrialRecord]:
    """Returns the requested trials of a search: one, or the top of the leaderboard.

    Raises:
        RunError: there are not so many, or the trial has no score.
    """
    if options.which != "best":
        trial = find_trial(search, options.which)
        if trial.score is None:
            why = f": {trial.reason}" if trial.reason else ""
            raise RunError(
                f"run {search.name!r}: trial {trial.id} has no score, {trial.status}{why}"
            )
        return [trial]
    board = rank_trials(search.db.get_trials())
    if not board:
        raise RunError(f"run {search.name!r} has no finished trial yet")
    best = {trial.fingerprint: trial for trial in reversed(board)}
    ranked = [trial for trial in board if best[trial.fingerprint] is trial]
    if len(ranked) < options.top:
        have = f"run {search.name!r} has {len(ranked)} finished candidates"
        raise RunError(f"--top {options.top}: {have}")
    return ranked[: options.top]


def _adapt(candidate: Candidate, options: FinalOptions, epochs: int, data: Dataset) -> Candidate:
    """Returns a candidate with the changed recipe, and the data's classes and channels."""
    recipe = candidate.recipe.change(options.changes).model_copy(update={"epochs": epochs})
    return fit_candidate(replace(candidate, recipe=recipe), data)
