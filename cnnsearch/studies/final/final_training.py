"""``train_final``: from a search or a network to its final training."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from cnnsearch.data import save_source
from cnnsearch.engine.display import Quiet
from cnnsearch.engine.display.callback import SearchCallback
from cnnsearch.engine.search import RUNS, free_name
from cnnsearch.errors import CnnsearchError, RunError, suggest
from cnnsearch.runs.directory import RunDirectory, list_runs
from cnnsearch.runs.lookup import is_space
from cnnsearch.space.files import list_published_files, list_spaces
from cnnsearch.studies.final.candidates import prepare_run
from cnnsearch.studies.final.plan import FinalOptions
from cnnsearch.studies.final.run import FinalResult, run_final


def train_final(
    which: str = "best",
    run: str | None = None,
    *,
    top: int = 1,
    seeds: int = 3,
    epochs: int | None = None,
    data: object = None,
    hold_out: bool = False,
    drop_copies: bool = False,
    changes: Sequence[str] = (),
    references: str | None = None,
    mirror: bool = False,
    name: str | None = None,
    runs: str | Path = RUNS,
    max_time: str | float | None = None,
    callback: SearchCallback | None = None,
    **placement: Any,
) -> FinalResult:
    """Trains the winners of a search in full and evaluates them once on the test split.

    The same name again resumes the run: what is trained is not trained again, and no model is
    evaluated on the test split twice.

    Args:
        which: ``best``, a trial's id, a published network or a file.
        run: the search; None: the latest, unless ``which`` is a network.
        top: with ``best``: how many of the leaderboard.
        seeds: trainings of each network.
        epochs: of each; None: five times those of the search, or those of the file's recipe.
        data: what :func:`cnnsearch.search` takes; None: the search's. Its classes and channels may
            differ.
        hold_out: train on the training split alone and keep the best epoch by validation; else
            validation images are trained on too, and the last epoch is kept.
        drop_copies: leave training images out whose pixels the validation or test split has.
        changes: of the recipe, ``key=value``.
        references: the baselines: ``all``, ``random`` (the best of equally many random candidates,
            which costs the search again), ``published`` (a published network of similar MACs) or
            ``none``. None: all that are possible: random ones need a search that was not itself
            random, and after pretrained weights there are none.
        mirror: evaluate predictions averaged over each image and its mirror image too.
        name: of the run; None: the search's or the network's with ``-final-`` and a number.
        runs: the folder that holds all runs.
        max_time: time limit of this session; what is finished by then is evaluated.
        callback: is called on events.
        **placement: settings of :class:`~cnnsearch.engine.options.Placement`; None: as in the
            search, except for ``trial_timeout``, which has no default.

    Returns:
        A row for each network: test accuracy with its interval, and other metrics.

    Raises:
        CnnsearchError: an option is invalid, in one line.
        KeyboardInterrupt: the random search was interrupted; the same call resumes it.
    """
    root = Path(runs)
    search, which = _locate(which, run, root)
    options = FinalOptions(
        source=which if search is None else f"{search}:{which}",
        run=search,
        top=top,
        seeds=seeds,
        epochs=epochs,
        data=None if data is None else save_source(data, root / ".cache"),
        hold_out=hold_out,
        drop_copies=drop_copies,
        changes=tuple(changes),
        references=references,
        mirror=mirror,
    )
    chosen = name or free_name(root, f"{search or Path(which).stem}-final")
    if RunDirectory.exists(root, chosen):
        opened = RunDirectory.open(root, chosen)
        options.check_same(opened)
        return run_final(opened, callback, max_time, **placement)
    made = prepare_run(options, root, chosen, placement, callback or Quiet())
    return run_final(made, callback, max_time)


def _locate(which: str, run: str | None, root: Path) -> tuple[str | None, str]:
    """Returns the search (None: a network is trained) and what of it.

    Raises:
        CnnsearchError: there is neither such a network nor such a search; names the nearest.
    """
    if run is not None:
        return run, which
    if is_space(which):
        return None, which
    name, colon, trial = which.partition(":")
    if colon:
        return name, trial or "best"
    if which != "best" and not which.isdigit():
        known = ["best", *list_published_files(), *list_spaces()]
        hint = suggest(which, known) or " (cnnsearch published lists the networks)"
        raise CnnsearchError(
            f"there is no network named {which!r}{hint}; of a search, name best or a trial"
        )
    return _find_latest_search(root), which


def _find_latest_search(root: Path) -> str:
    """Returns the name of the latest search that is not a baseline of another."""
    for summary in sorted(list_runs(root), key=lambda each: -(each.created or 0.0)):
        if summary.created is None:
            continue
        with closing(RunDirectory.open(root, summary.name)) as run:
            is_baseline = run.manifest.get("settings", {}).get("split_seed") is not None
            if run.manifest.get("kind", "search") == "search" and not is_baseline:
                return run.name
    raise RunError(f"there is no search in {root} yet: cnnsearch search makes one")
