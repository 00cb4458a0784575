"""Resolves a name, a file or ``RUN:TRIAL`` to one architecture or trial."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.errors import RunError, SpaceError, suggest
from cnnsearch.runs.directory import RunDirectory, list_runs
from cnnsearch.runs.ranking import find_best
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.backbone import Backbone
from cnnsearch.space.backbone_choice import replace_body
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.files import FILE_HINT, is_file_name, list_published_files, list_spaces
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.space.search_space import SearchSpace


def find_architecture(name: str, runs: Path) -> Architecture:
    """Returns the architecture of :func:`find_candidate`, which takes the same arguments."""
    return find_candidate(name, runs).architecture


def find_candidate(name: str, runs: Path) -> Candidate:
    """Returns the architecture and recipe of a name.

    Args:
        name: a published network, a space file or a shipped space without choices, ``RUN:TRIAL``,
            or ``RUN`` for its best trial.
        runs: the folder that holds all runs.

    Raises:
        CnnsearchError: there is none of that name, or it leaves choices open.
    """
    if is_space(name):
        return _only_candidate(name)
    run, _, which = name.partition(":")
    if not RunDirectory.exists(runs, run):
        raise SpaceError(f"there is no network or run named {name!r}{_hint(name, runs)}")
    with closing(RunDirectory.open(runs, run)) as opened:
        trial = find_trial(opened, which or "best")
    found = read_candidate(trial, f"{run}:{trial.id}")
    named = found.architecture.model_copy(update={"name": f"{run}-{trial.id}"})
    return replace(found, architecture=named)


def read_candidate(trial: TrialRecord, source: str) -> Candidate:
    """Returns the candidate of a trial; ``source`` names it in messages."""
    return Candidate(
        Architecture.from_data(dict(trial.architecture), source),
        TrainingRecipe.from_data(dict(trial.recipe), source),
        Backbone(**trial.backbone) if trial.backbone else None,
    )


def find_space(name: str | Path, runs: Path) -> SearchSpace:
    """Returns the space of a name or file, or the network of ``RUN:TRIAL`` as one without choices.

    Raises:
        CnnsearchError: there is none.
    """
    run, colon, _ = str(name).partition(":")
    if not colon or is_space(str(name)) or not RunDirectory.exists(runs, run):
        return SearchSpace.load(name)
    found = find_candidate(str(name), runs)
    data = found.architecture.to_data()
    if found.backbone is not None:
        data = replace_body(found.architecture, found.backbone)
    text = json.dumps({**data, "recipe": found.recipe.to_data()})
    return SearchSpace.from_text(text, str(name))


def _only_candidate(name: str) -> Candidate:
    space = SearchSpace.load(name)
    if space.parameters:
        raise SpaceError(
            f"{name} is a space with {len(space.parameters)} choices "
            f"(the first is {space.parameters[0].name}), not one network: name a published "
            "network, a file without choices, or a trial as RUN:TRIAL"
        )
    found = space.decode_first()
    title = found.architecture.name or Path(space.name).stem
    return replace(found, architecture=found.architecture.model_copy(update={"name": title}))


def is_space(name: str) -> bool:
    """Returns whether ``name`` is a file, a published network or a shipped space."""
    return is_file_name(name) or name in list_published_files() or name in list_spaces()


def _hint(name: str, runs: Path) -> str:
    known = [*list_published_files(), *list_spaces(), *(run.name for run in list_runs(runs))]
    lists = f"cnnsearch published lists the networks, runs the runs; {FILE_HINT}"
    return suggest(name, known) or f" ({lists})"


def find_best_trial(run: RunDirectory) -> TrialRecord | None:
    """Returns a run's best finished trial, or None.

    For a final training: of the first winner, the seed with the best validation score, or the
    first seed without a validation split. Baselines and the test split are not considered.
    """
    trials = run.db.get_trials()
    if run.manifest.get("kind") != "final":
        return find_best(trials)
    winner = [t for t in trials if t.values.get("entrant") == 0 and t.score is not None]
    return find_best(winner) if run.manifest["final"]["hold-out"] else next(iter(winner), None)


RECOMMENDED = "recommended"
"""Event: the trial that a search's strategy recommends, once it has ended."""


def find_recommended(run: RunDirectory) -> TrialRecord | None:
    """Returns the trial that a search recommends instead of the best one; None: there is none.

    What a strategy recommended before further trials ended counts no more.
    """
    event = run.db.get_last_event(RECOMMENDED)
    trials = run.db.get_trials()
    best = find_best(trials)
    if event is None or best is None or best.id != event.data.get("best"):
        return None
    if any(trial.ended is not None and trial.ended > event.time for trial in trials):
        return None
    return next((trial for trial in trials if trial.id == event.trial_id), None)


def find_trial(run: RunDirectory, which: str) -> TrialRecord:
    """Returns a trial by its id (leading zeros are optional), or the ``best``.

    Raises:
        RunError: there is no such trial; suggests close ids.
    """
    trials = run.db.get_trials()
    if which == "best":
        best = find_best_trial(run)
        if best is None:
            raise RunError(f"run {run.name!r} has no finished trial yet")
        return best
    found = {trial.id: trial for trial in trials}
    wanted = which if which in found else which.zfill(len(trials[0].id) if trials else 1)
    if wanted not in found:
        many = f" (it has {len(found)})" if found else " (it has none)"
        raise RunError(f"run {run.name!r} has no trial {which!r}{suggest(wanted, found) or many}")
    return found[wanted]
