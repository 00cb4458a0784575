"""Finds the one architecture that a name, a file or a run's trial stands for."""

import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.errors import CnnsearchError, RunError, SpaceError, suggest
from cnnsearch.runs.directory import RunDirectory, list_runs
from cnnsearch.runs.ranking import find_best
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.files import list_published_files, list_spaces
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.space.search_space import Candidate, SearchSpace

LARGEST_SIDE = 4096
_SIDES = re.compile(r"(\d+)(?:\s*[xX]\s*(\d+))?")


def find_architecture(name: str, runs: Path) -> Architecture:
    """Returns an architecture by what people call it; the arguments are :func:`find_candidate`'s.

    Raises:
        CnnsearchError: there is none of that name, or it leaves choices open.
    """
    return find_candidate(name, runs).architecture


def find_candidate(name: str, runs: Path) -> Candidate:
    """Returns an architecture and its recipe by what people call it.

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
    architecture = Architecture.from_data(dict(trial.architecture), f"{run}:{trial.id}")
    named = architecture.model_copy(update={"name": f"{run}-{trial.id}"})
    return Candidate(named, TrainingRecipe.from_data(dict(trial.recipe), f"{run}:{trial.id}"))


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
    """Whether ``name`` is a file's, a published network's or a shipped space's."""
    a_file = name.endswith((".yaml", ".yml", ".json")) or "/" in name
    return a_file or name in list_published_files() or name in list_spaces()


def _hint(name: str, runs: Path) -> str:
    known = [*list_published_files(), *list_spaces(), *(run.name for run in list_runs(runs))]
    return suggest(name, known) or " (cnnsearch published lists the networks, runs the runs)"


def find_best_trial(run: RunDirectory) -> TrialRecord | None:
    """Returns a run's best finished trial; None: there is none.

    Of a final training, the first winner's: with a validation split the best by it, else the first
    seed's. Neither its references nor the test split have a say.
    """
    trials = run.db.get_trials()
    if run.manifest.get("kind") != "final":
        return find_best(trials)
    winner = [t for t in trials if t.values.get("entrant") == 0 and t.score is not None]
    return find_best(winner) if run.manifest["final"]["hold-out"] else next(iter(winner), None)


def find_trial(run: RunDirectory, which: str) -> TrialRecord:
    """Returns a trial by its id, or the best.

    Raises:
        RunError: there is none; says which are near.
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


def parse_image(text: str, flag: str = "--image") -> tuple[int, int]:
    """Reads ``224`` or ``224x192``, height first.

    Raises:
        CnnsearchError: it is neither.
    """
    match = _SIDES.fullmatch(text.strip())
    sides = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not all(1 <= side <= LARGEST_SIDE for side in sides):
        raise CnnsearchError(
            f"{flag}: expected a side in pixels such as 224, or height x width such as 224x192, "
            f"of at most {LARGEST_SIDE}, got {text!r}"
        )
    return sides
