"""The baselines of a final training: the best of equally many random networks, a published one."""

from dataclasses import dataclass

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.data import Dataset
from cnnsearch.engine.display.callback import SearchCallback
from cnnsearch.engine.placement import count_slots
from cnnsearch.engine.run_manifest import read_settings
from cnnsearch.engine.search import run_search
from cnnsearch.engine.settings import Settings
from cnnsearch.errors import CnnsearchError, RunError
from cnnsearch.oracles import find_strategy
from cnnsearch.oracles.random_search import RandomSearch
from cnnsearch.runs.directory import INTERRUPTED, RunDirectory
from cnnsearch.runs.ranking import find_best
from cnnsearch.runs.records import BASELINE, TrialRecord
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.files import list_published_files
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.studies.final.entrants import (
    PUBLISHED,
    RANDOM,
    Entrant,
    find_nearest_published,
    fit_candidate,
)
from cnnsearch.training.objectives import find_objective
from cnnsearch.utils.units import format_time, pluralize

OTHER_SEED = 1
"""Added to a search's seed for its random counterpart."""


@dataclass(frozen=True)
class Baselines:
    """The baselines of a final training.

    Attributes:
        entrants: trained beside the winners.
        notes: why there are not more.
    """

    entrants: tuple[Entrant, ...] = ()
    notes: tuple[str, ...] = ()


def find_search_baselines(
    requested: str | None, search: RunDirectory, space: SearchSpace, winner: Entrant,
    data: Dataset, callback: SearchCallback,
) -> Baselines:  # fmt: skip
    """Returns the baselines of a search's winner; trains the random candidates.

    Raises:
        CnnsearchError: a requested baseline is not possible.
        KeyboardInterrupt: the random search was interrupted.
    """
    if search.manifest.get("pretrained") or winner.backbone is not None:
        return _refuse_pretrained(requested)
    found, notes = [], []
    if requested in (None, "all", "random"):
        if search.manifest["settings"]["strategy"] == RandomSearch.name:
            notes.append("The search was itself random: there is no random baseline.")
        else:
            found.append(_search_randomly(search, space, winner, data, callback))
    if requested in (None, "all", "published"):
        found.append(_find_published(winner, data))
    return Baselines(tuple(found), tuple(notes))


def find_file_baselines(
    requested: str | None, which: str, winner: Entrant, data: Dataset
) -> Baselines:
    """Returns the baselines of a network that is no search's.

    Raises:
        CnnsearchError: random candidates were requested.
    """
    if requested in ("all", "random"):
        raise CnnsearchError(
            f"--references {requested}: {which} is no search's, so there are no random candidates "
            "to compare it with; expected published or none"
        )
    if requested == "none" or (requested is None and which in list_published_files()):
        return Baselines()
    if winner.backbone is not None:
        return _refuse_pretrained(requested)
    return Baselines((_find_published(winner, data),))


def _refuse_pretrained(requested: str | None) -> Baselines:
    why = "the winner started from pretrained weights, which no baseline has"
    if requested not in (None, "none"):
        raise CnnsearchError(f"--references {requested}: {why}; expected none")
    return Baselines(notes=(f"No baselines: {why}.",) if requested is None else ())


def _find_published(winner: Entrant, data: Dataset) -> Entrant:
    label, network = find_nearest_published(winner.architecture, data)
    return Entrant.create(PUBLISHED, label, Candidate(network, winner.recipe))


def _search_randomly(
    search: RunDirectory,
    space: SearchSpace,
    winner: Entrant,
    data: Dataset,
    callback: SearchCallback,
) -> Entrant:
    """Returns the best of a random search of the same cost, settings and splits."""
    name = f"{search.name}-random"
    trials = search.db.get_trials()
    settings = make_random_settings(read_settings(search), trials)
    callback.on_message(_describe_cost(settings, trials, name))
    done = run_search(settings, space, search.path.parent, name, callback)
    if done.reason == INTERRUPTED:
        callback.on_message("The same command resumes it; --references published does without.")
        raise KeyboardInterrupt
    best = find_best(done.trials)
    if best is None:
        raise RunError(f"run {name!r}: no random candidate could be trained; try --references none")
    label = f"{name}:{best.id}"
    architecture = Architecture.from_data(dict(best.architecture), label)
    return Entrant.create(
        RANDOM, label, fit_candidate(Candidate(architecture, winner.recipe), data)
    )


def make_random_settings(before: Settings, trials: list[TrialRecord]) -> Settings:
    """Returns the settings of a random search that costs as much as a search did.

    As many candidates and epochs, and the same splits: other splits would let it choose by images
    of the test split. Hyperband's candidates differ in length: as many full ones as its epochs
    amount to.
    """
    ended = [t for t in trials if t.status in ("completed", "failed") and t.role != BASELINE]
    count, epochs = len(ended), before.training.epochs
    if find_strategy(before.search.strategy).multi_fidelity:
        epochs = max(trial.epochs for trial in ended)
        count = max(1, round(sum(t.epochs - t.initial_epoch for t in ended) / epochs))
    seed, split = before.search.seed, before.data.split_seed
    metric = find_objective(before.training.objective).name  # random draws weigh no costs
    return before.replace(
        strategy=RandomSearch.name, reduction_factor=None, min_epochs=None, objective=metric,
        baseline="none", trials=count, epochs=epochs, max_time=None,
        seed=(seed + OTHER_SEED) % 2**31, split_seed=seed if split is None else split,
    )  # fmt: skip


def _describe_cost(settings: Settings, trials: list[TrialRecord], name: str) -> str:
    slots = max(1, count_slots(settings.placement))
    seconds = sum(trial.seconds or 0.0 for trial in trials) / slots
    return (
        f"Baseline: {pluralize(settings.search.trials or 0, 'random candidate')}, trained like the "
        f"search's, about {format_time(seconds)} (run {name}; --references published does without)."
    )
