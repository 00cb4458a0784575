"""What winners are compared with: the best of equally many random networks, a published one."""

from dataclasses import dataclass
from typing import Final

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
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.search_space import Candidate, SearchSpace, published_files
from cnnsearch.studies.final.entrants import (
    PUBLISHED,
    RANDOM,
    Entrant,
    find_nearest_published,
    fit_candidate,
)
from cnnsearch.utils.units import format_time, pluralize

REFERENCES: Final = ("all", "random", "published", "none")
OTHER_SEED = 1
"""What is added to a search's seed for its random counterpart."""


@dataclass(frozen=True)
class Beside:
    """The references of a final training.

    Attributes:
        entrants: that are trained beside the winners.
        notes: why there are not more.
    """

    entrants: tuple[Entrant, ...] = ()
    notes: tuple[str, ...] = ()


def of_search(
    asked: str | None, search: RunDirectory, space: SearchSpace, winner: Entrant, data: Dataset,
    callback: SearchCallback,
) -> Beside:  # fmt: skip
    """Returns the references of a search's winner; trains the random candidates.

    Args:
        asked: one of :data:`REFERENCES`; None: all that there can be.
        search: that the winner is of.
        space: of the search.
        winner: gives recipe, size of images and MACs.
        data: of the final training.
        callback: is told what it costs.

    Raises:
        CnnsearchError: one was asked for that there cannot be.
        KeyboardInterrupt: the random search was interrupted.
    """
    if search.manifest.get("pretrained"):
        return _without(asked, "The search started from trained weights, which no other has")
    found, notes = [], []
    if asked in (None, "all", "random"):
        if search.manifest["settings"]["strategy"] == RandomSearch.name:
            notes.append("The search was itself a random one: no other is compared with it.")
        else:
            found.append(_random(search, space, winner, data, callback))
    if asked in (None, "all", "published"):
        found.append(_published(winner, data))
    return Beside(tuple(found), tuple(notes))


def of_file(
    asked: str | None, which: str, winner: Entrant, data: Dataset, callback: SearchCallback
) -> Beside:
    """Returns the references of a network that is no search's.

    Raises:
        CnnsearchError: random candidates were asked for.
    """
    if asked in ("all", "random"):
        raise CnnsearchError(
            f"--references {asked}: {which} is no search's, so there are no random candidates to "
            "compare it with; ask for published or none"
        )
    if asked == "none" or (asked is None and which in published_files()):
        return Beside()
    return Beside((_published(winner, data),))


def _without(asked: str | None, why: str) -> Beside:
    if asked not in (None, "none"):
        raise CnnsearchError(f"--references {asked}: {why.lower()}; ask for none")
    return Beside() if asked == "none" else Beside(notes=(f"{why}: nothing is compared with it.",))


def _published(winner: Entrant, data: Dataset) -> Entrant:
    label, network = find_nearest_published(winner.architecture, data)
    return Entrant.create(PUBLISHED, label, Candidate(network, winner.recipe))


def _random(
    search: RunDirectory,
    space: SearchSpace,
    winner: Entrant,
    data: Dataset,
    callback: SearchCallback,
) -> Entrant:
    """The best of a random search of the same size, settings and splits, with another seed."""
    name = f"{search.name}-random"
    before = read_settings(search)
    settings = as_random(before, search.db.get_trials())
    callback.on_message(_cost(settings, search.db.get_trials(), name))
    done = run_search(settings, space, search.path.parent, name, callback)
    if done.reason == INTERRUPTED:
        callback.on_message("The same command goes on; --references published does without.")
        raise KeyboardInterrupt
    best = find_best(done.trials)
    if best is None:
        raise RunError(f"run {name!r}: no random candidate could be trained; try --references none")
    architecture = Architecture.from_data(dict(best.architecture), f"{name}:{best.id}")
    random = fit_candidate(Candidate(architecture, winner.recipe), data)
    return Entrant.create(RANDOM, f"{name}:{best.id}", random)


def as_random(before: Settings, trials: list[TrialRecord]) -> Settings:
    """Returns the settings of a random search that costs as much as a search did.

    As many candidates, trained as long, on the very same splits: a split of its own would let it
    choose by images of the test split. Hyperband's candidates differ in length: there, as many full
    ones as its epochs make up.
    """
    ended = [trial for trial in trials if trial.status in ("completed", "failed")]
    count, epochs = len(ended), before.training.epochs
    if find_strategy(before.search.strategy).multi_fidelity:
        epochs = max(trial.epochs for trial in ended)
        count = max(1, round(sum(t.epochs - t.initial_epoch for t in ended) / epochs))
    split = before.search.seed if before.data.split_seed is None else before.data.split_seed
    return before.replace(
        strategy=RandomSearch.name, trials=count, epochs=epochs, max_time=None,
        seed=(before.search.seed + OTHER_SEED) % 2**31, split_seed=split,
    )  # fmt: skip


def _cost(settings: Settings, trials: list[TrialRecord], name: str) -> str:
    slots = max(1, count_slots(settings.placement))
    seconds = sum(trial.seconds or 0.0 for trial in trials) / slots
    return (
        f"Reference: {pluralize(settings.search.trials or 0, 'random candidate')}, trained as "
        f"the search's were: about {format_time(seconds)} (run {name}; "
        "--references published does without)."
    )
