"""From what a person asks for to a final training: the winners, their references, the run."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnnsearch.data import save_source
from cnnsearch.engine.display import Quiet
from cnnsearch.engine.display.callback import SearchCallback
from cnnsearch.engine.search import RUNS, free_name
from cnnsearch.errors import CnnsearchError, RunError, suggest
from cnnsearch.runs.directory import RunDirectory, list_runs
from cnnsearch.runs.lookup import is_space
from cnnsearch.space.search_space import published_files, shipped
from cnnsearch.studies.final.baselines import REFERENCES
from cnnsearch.studies.final.candidates import Request, prepared
from cnnsearch.studies.final.run import FinalResult, run_final
from cnnsearch.utils.units import parse_time


def train_final(
    which: str = "best",
    run: str | None = None,
    *,
    top: int = 1,
    seeds: int = 3,
    epochs: int | None = None,
    data: object = None,
    hold_out: bool = False,
    changes: Sequence[str] = (),
    references: str | None = None,
    name: str | None = None,
    runs: str | Path = RUNS,
    max_time: str | float | None = None,
    callback: SearchCallback | None = None,
    **placement: Any,
) -> FinalResult:
    """Trains the winners of a search in full and judges them once on the untouched test split.

    The same name again goes on where it stopped; what is trained is not trained again, and no model
    is asked about the test split twice.

    Args:
        which: ``best``, a trial's id, a published network or the file of one.
        run: the search; None: the latest, unless it is a published network or a file.
        top: with ``best``: how many of the leaderboard.
        seeds: trainings of each network.
        epochs: of each; None: five times those of the search, or those of the file's recipe.
        data: what :func:`cnnsearch.search` takes; None: the search's. Its classes and channels may
            be others.
        hold_out: train on the training split alone and keep the best epoch by validation; else
            validation images are trained on too, and the last epoch is kept.
        changes: of the recipe, ``key=value``.
        references: ``all``, ``random`` (the best of equally many random candidates: costs that
            search once more), ``published`` (a published network of similar MACs) or ``none``.
            None: all that there can be: no random ones without a search or after a random one, and
            none at all where trained weights were started from.
        name: of the run; None: the search's or the network's with ``-final-`` and a number.
        runs: the folder that holds all runs.
        max_time: how long this session may train; what is finished then is evaluated, and the same
            call goes on with the rest. None: as long as it takes.
        callback: is told what happens.
        **placement: settings of :class:`~cnnsearch.engine.options.Placement`; None: as in the
            search, except for ``trial_timeout``, which has no default.

    Returns:
        A row for each network: test accuracy with its interval, and what else was measured.

    Raises:
        CnnsearchError: a mistake in what was asked, in one line.
        KeyboardInterrupt: the random search was interrupted; the same call goes on with it.
    """
    root = Path(runs)
    seconds = None if max_time is None else parse_time(max_time, "--max-time")
    request = Request(
        which=which,
        run=run,
        root=root,
        top=top,
        seeds=seeds,
        epochs=epochs,
        data=None if data is None else save_source(data, root / ".cache"),
        hold_out=hold_out,
        changes=tuple(changes),
        references=references,
        placement=placement,
    )
    _check(request)
    request = _located(request)
    base = f"{request.run or Path(request.which).stem}-final"
    chosen = name or free_name(root, base)
    if not RunDirectory.exists(root, chosen):
        made = prepared(request, chosen, callback or Quiet())
        return run_final(made, callback, seconds=seconds)
    opened = RunDirectory.open(root, chosen)
    request.options.check_same(opened)
    return run_final(opened, callback, seconds, **placement)


def _check(request: Request) -> None:
    for flag in ("top", "seeds", "epochs"):
        value = getattr(request, flag)
        if value is not None and value < 1:
            raise CnnsearchError(f"--{flag}: expected at least 1, got {value}")
    if request.references not in (None, *REFERENCES):
        known = ", ".join(REFERENCES)
        hint = suggest(str(request.references), REFERENCES)
        raise CnnsearchError(f"--references: expected {known}, got {request.references!r}{hint}")
    if request.top > 1 and request.which != "best":
        raise CnnsearchError(f"--top {request.top}: goes with best, not with {request.which!r}")


def _located(request: Request) -> Request:
    """Says which search is meant: ``RUN:TRIAL``, the one that is named, or the latest.

    Raises:
        CnnsearchError: it is none, nor a network; says which are near.
    """
    if request.run is None and is_space(request.which):
        return request
    run, colon, trial = request.which.partition(":")
    if request.run is None and colon:
        return replace(request, run=run, which=trial or "best")
    if request.run is not None:
        return request
    if request.which != "best" and not request.which.isdigit():
        known = ["best", *published_files(), *shipped()]
        hint = suggest(request.which, known) or " (cnnsearch published lists the networks)"
        raise CnnsearchError(
            f"there is no network named {request.which!r}{hint}; of a search, name best or a trial"
        )
    return replace(request, run=_latest(request.root))


def _latest(root: Path) -> str:
    """Returns the name of the latest search; random ones made for comparison do not count."""
    for summary in sorted(list_runs(root), key=lambda each: -(each.created or 0.0)):
        if summary.created is None:
            continue
        with closing(RunDirectory.open(root, summary.name)) as run:
            reference = run.manifest.get("settings", {}).get("split_seed") is not None
            if run.manifest.get("kind", "search") == "search" and not reference:
                return run.name
    raise RunError(f"there is no search in {root} yet: cnnsearch search makes one")
