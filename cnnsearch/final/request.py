"""From what a person asks for to a final training: the winners, their references, the run."""

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cnnsearch.data import Dataset
from cnnsearch.errors import CnnsearchError, RunError
from cnnsearch.final.plan import (
    PUBLISHED,
    RANDOM,
    WINNER,
    Entrant,
    fitted,
    nearest_published,
)
from cnnsearch.final.training import FinalResult, check_same_request, create, is_final, run_final
from cnnsearch.lookup import find_candidate, find_trial, is_space
from cnnsearch.recipe import TrainingRecipe
from cnnsearch.records import TrialRecord
from cnnsearch.report import leaderboard
from cnnsearch.rundir import RunDirectory
from cnnsearch.search import RUNS, free_name, run_search
from cnnsearch.settings import Settings, check_same_data, check_settings, load_data
from cnnsearch.space import Candidate, SearchSpace
from cnnsearch.watcher import Watcher

REFERENCES = ("all", "random", "published", "none")


@dataclass(frozen=True)
class Request:
    """What is asked for; the attributes are the arguments of :func:`train`."""

    which: str
    run: str | None
    root: Path
    top: int
    seeds: int
    epochs: int | None
    data: str | None
    hold_out: bool
    changes: tuple[str, ...]
    references: str
    workers: int | None
    trial_timeout: float | None
    mlflow_uri: str | None


def train(
    which: str = "best",
    run: str | None = None,
    *,
    top: int = 1,
    seeds: int = 3,
    epochs: int | None = None,
    data: str | None = None,
    hold_out: bool = False,
    changes: tuple[str, ...] = (),
    references: str = "all",
    name: str | None = None,
    runs: str | Path = RUNS,
    workers: int | None = None,
    trial_timeout: float | None = None,
    mlflow_uri: str | None = None,
    watcher: Watcher | None = None,
) -> FinalResult:
    """Trains the winners of a search in full and judges them once on the untouched test split.

    The same name again goes on where it stopped; what is trained is not trained again, and no model
    is asked about the test split twice.

    Args:
        which: ``best``, a trial's id, a published network or the file of one.
        run: the search; not needed for a published network or a file.
        top: with ``best``: how many of the leaderboard.
        seeds: trainings of each network.
        epochs: of each; None: five times those of the search.
        data: another data set than the search's, of the same channels or not, of any classes.
        hold_out: train on the training split alone and keep the best epoch by validation; else
            validation images are trained on too, and the last epoch is kept.
        changes: of the recipe, ``key=value``.
        references: ``all``, ``random`` (the best of equally many random candidates: costs that
            search once more), ``published`` (a published network of similar MACs) or ``none``.
        name: of the run; None: the search's or the network's with ``-final-`` and a number.
        runs: the folder that holds all runs.
        workers: trainings side by side; None: as in the search.
        trial_timeout: seconds that one may take; None: as long as it takes.
        mlflow_uri: where MLflow tracks; None: as in the search.
        watcher: is told what happens.

    Returns:
        A row for each network: test accuracy with its interval, and what else was measured.

    Raises:
        CnnsearchError: a mistake in what was asked, in one line.
    """
    request = Request(
        which, run, Path(runs), top, seeds, epochs, data, hold_out, changes, references, workers,
        trial_timeout, mlflow_uri,
    )  # fmt: skip
    _check(request)
    base = f"{run or Path(which).stem}-final"
    chosen = name or free_name(Path(runs), base)
    if not RunDirectory.exists(Path(runs), chosen):
        return run_final(_prepared(request, chosen, watcher), watcher)
    opened = RunDirectory.open(Path(runs), chosen)
    check_same_request(opened, _asked(request, opened.manifest.get("final", {}).get("epochs")))
    return run_final(opened, watcher, workers)


def _check(request: Request) -> None:
    for flag in ("top", "seeds", "epochs"):
        value = getattr(request, flag)
        if value is not None and value < 1:
            raise CnnsearchError(f"--{flag}: expected at least 1, got {value}")
    if request.references not in REFERENCES:
        known = ", ".join(REFERENCES)
        raise CnnsearchError(f"--references: expected {known}, got {request.references!r}")
    if request.run is None and not is_space(request.which):
        raise CnnsearchError(
            f"--run: which search is {request.which!r} of? (or name a published network or a file)"
        )


def _asked(request: Request, epochs: int | None) -> dict[str, Any]:
    origin = f"{request.run}:{request.which}" if request.run else request.which
    return {
        "from": origin,
        "top": request.top,
        "seeds": request.seeds,
        "epochs": request.epochs or epochs,
        "hold-out": request.hold_out,
        "changes": list(request.changes),
        "references": request.references,
    }


def _prepared(request: Request, name: str, watcher: Watcher | None) -> RunDirectory:
    """Finds the winners, has the random search done, and makes the run."""
    if request.run is None:
        return _of_file(request, name)
    with closing(RunDirectory.open(request.root, request.run)) as search:
        if is_final(search):
            raise RunError(f"--run {request.run}: is a final training; name the search it is of")
        before = Settings(space=search.space_text, **search.manifest["settings"])
        space = SearchSpace.from_text(search.space_text, before.source)
        settings = _settings(request, before)
        data = _data(settings, space, request.root)
        if request.data is None and before.train_share == 1:
            check_same_data(search, data)
        trials = _winners(search, request)
        epochs = request.epochs or 5 * max(t.epochs for t in trials)
        entrants = [
            Entrant(WINNER, f"{search.name}:{t.id}", _candidate(t, data, request, epochs))
            for t in trials
        ]
        if search.manifest.get("pretrained"):
            _only_winners(request)
        entrants += _references(request, search, before, space, entrants[0], data, watcher)
    return create(request.root, name, settings, data, entrants, _asked(request, epochs))


def _of_file(request: Request, name: str) -> RunDirectory:
    found = find_candidate(request.which, request.root)
    space = SearchSpace.load(request.which)
    settings = _settings(
        request, Settings(space=space.text, source=space.source, data=request.data or "digits")
    )
    data = _data(settings, space, request.root)
    epochs = request.epochs or found.recipe.epochs
    recipe = _recipe(found.recipe, request, epochs)
    title = found.architecture.name or Path(request.which).stem
    entrant = Entrant(WINNER, title, fitted(Candidate(found.architecture, recipe), data))
    return create(request.root, name, settings, data, [entrant], _asked(request, epochs))


def _settings(request: Request, before: Settings) -> Settings:
    """The search's settings, for this training: all of the training split, other data if asked."""
    changes: dict[str, Any] = {"train_share": 1.0, "trial_timeout": request.trial_timeout}
    for key in ("data", "workers", "mlflow_uri"):
        if getattr(request, key) is not None:
            changes[key] = getattr(request, key)
    settings = replace(before, **changes)
    check_settings(settings)
    return settings


def _data(settings: Settings, space: SearchSpace, root: Path) -> Dataset:
    data = load_data(settings, space, root)
    if not data.test.count:
        raise CnnsearchError(f"--data {settings.data}: has no test split to judge by")
    return data


def _winners(search: RunDirectory, request: Request) -> list[TrialRecord]:
    if request.which != "best":
        trial = find_trial(search, request.which)
        if trial.score is None:
            raise RunError(f"run {search.name!r}: trial {trial.id} {trial.status}, has no score")
        return [trial]
    board = leaderboard(search.db.trials())
    if not board:
        raise RunError(f"run {search.name!r} has no finished trial yet")
    distinct = {trial.fingerprint: trial for trial in reversed(board)}
    ranked = [trial for trial in board if distinct[trial.fingerprint] is trial]
    if len(ranked) < request.top:
        have = f"run {search.name!r} has {len(ranked)} finished candidates"
        raise RunError(f"--top {request.top}: {have}")
    return ranked[: request.top]


def _candidate(trial: TrialRecord, data: Dataset, request: Request, epochs: int) -> Candidate:
    from cnnsearch.architecture import Architecture

    architecture = Architecture.from_data(dict(trial.architecture), trial.id)
    recipe = TrainingRecipe.from_data(dict(trial.recipe), trial.id)
    recipe = _recipe(recipe, request, epochs)
    return fitted(Candidate(architecture, recipe), data)


def _recipe(recipe: TrainingRecipe, request: Request, epochs: int) -> TrainingRecipe:
    return recipe.changed(request.changes).model_copy(update={"epochs": epochs})


def _only_winners(request: Request) -> None:
    if request.references not in ("none",):
        raise CnnsearchError(
            f"--references {request.references}: the search started from trained weights, which "
            "other networks have none of; ask for --references none"
        )


def _references(
    request: Request, search: RunDirectory, before: Settings, space: SearchSpace, winner: Entrant,
    data: Dataset, watcher: Watcher | None,
) -> list[Entrant]:  # fmt: skip
    """The best of equally many random candidates, and a published network of similar MACs."""
    found = []
    if request.references in ("all", "random"):
        found += _random(request, search, before, space, winner, data, watcher)
    if request.references in ("all", "published"):
        label, network = nearest_published(winner.candidate.architecture, data)
        found.append(Entrant(PUBLISHED, label, Candidate(network, winner.candidate.recipe)))
    return found


def _random(
    request: Request, search: RunDirectory, before: Settings, space: SearchSpace, winner: Entrant,
    data: Dataset, watcher: Watcher | None,
) -> list[Entrant]:  # fmt: skip
    """A random search of the same size, of the same settings, with a seed of its own."""
    if before.strategy == "random":
        if watcher:
            watcher.note(
                "The search was itself a random one: there is no other to compare it with."
            )
        return []
    count = sum(trial.score is not None for trial in search.db.trials())
    name = f"{search.name}-random"
    if watcher:
        watcher.note(
            f"Reference: {count} random candidates, trained as the search's were ({name})."
        )
    settings = replace(before, strategy="random", trials=count, max_time=None, seed=before.seed + 1)
    done = run_search(settings, space, request.root, name, watcher)
    if done.best is None or done.reason == "interrupted":
        raise RunError(f"run {name!r} is not finished ({done.reason}): the same command goes on")
    architecture = _candidate(done.best, data, request, 1).architecture
    candidate = Candidate(architecture, winner.candidate.recipe)
    return [Entrant(RANDOM, f"{name}:{done.best.id}", candidate)]
