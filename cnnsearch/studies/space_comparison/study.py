"""Compares search spaces by random candidates of each, trained alike within one budget.

RegNet's authors judge a design space so, rather than by its best network: a better space is one
whose random candidates are better (Radosavovic et al., arXiv:1905.13214 and arXiv:2003.13678).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cnnsearch.data import save_source
from cnnsearch.engine.display.callback import SearchCallback
from cnnsearch.engine.search import RUNS, run_search
from cnnsearch.engine.settings import Settings, find_setting_flag
from cnnsearch.errors import CnnsearchError
from cnnsearch.oracles.random_search import RandomSearch
from cnnsearch.runs.directory import INTERRUPTED, RunDirectory
from cnnsearch.runs.lookup import find_space
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.studies.fidelity.statistics import Interval
from cnnsearch.studies.figures import save_figure
from cnnsearch.studies.space_comparison.statistics import compare_draws, compare_means

FEWEST = 5
FIGURE = "spaces.png"
FIXED = frozenset({"strategy", "trials", "baseline", "objective", "weights", "freeze"})
"""Settings of a search that the comparison sets itself, or cannot keep."""


@dataclass(frozen=True)
class SpaceSample:
    """What became of one space's random candidates.

    Attributes:
        space: its name.
        run: the folder of its run.
        errors: validation error of each trained candidate, in the order of their numbers.
        macs: of the same candidates.
        failed: how many could not be trained; they are in no figure.
    """

    space: str
    run: Path
    errors: tuple[float, ...]
    macs: tuple[int, ...]
    failed: int


@dataclass(frozen=True)
class SpaceDifference:
    """One space against the first.

    Attributes:
        space: its name.
        mean: its mean error minus that of the first space.
        wins: how often its random candidate has a lower error than one of the first space.
    """

    space: str
    mean: Interval
    wins: Interval


@dataclass(frozen=True)
class SpaceComparison:
    """The comparison, or what there is of an interrupted one.

    Attributes:
        reason: why it ended: ``trials``, or ``interrupted``.
        data: the images.
        samples: a sample of each space, in the order of the spaces.
        differences: of all spaces but the first; empty if too few candidates are trained.
        plot: the figure, if there is one.
    """

    reason: str
    data: str
    samples: tuple[SpaceSample, ...]
    differences: tuple[SpaceDifference, ...] = ()
    plot: Path | None = None

    def to_data(self) -> dict[str, Any]:
        """Returns plain data."""
        data = asdict(self)
        samples = [{**sample, "run": str(sample["run"])} for sample in data["samples"]]
        return {**data, "samples": samples, "plot": None if self.plot is None else str(self.plot)}


def compare_spaces(
    spaces: Sequence[str | Path | SearchSpace],
    data: object = "digits",
    *,
    candidates: int = 100,
    name: str | None = None,
    runs: str | Path = RUNS,
    plot: str | Path | None = None,
    callback: SearchCallback | None = None,
    **settings: Any,
) -> SpaceComparison:
    """Trains random candidates of each space and compares the distributions of their errors.

    Each space has a run of its own, ``NAME-SPACE``; the same name again resumes them all, and adds
    candidates where more are requested.

    Args:
        spaces: two or more; each as for :func:`cnnsearch.search`.
        data: as for :func:`cnnsearch.search`.
        candidates: how many of each space to draw within the budget.
        name: what the runs' names begin with; None: ``spaces-`` and a number.
        runs: the folder that holds all runs.
        plot: path of the figure; None: in the last run's folder.
        callback: is called on events of each run.
        **settings: other settings of :func:`cnnsearch.search`: max_params, max_macs, epochs, seed,
            workers (default: 1) …

    Raises:
        CnnsearchError: an option is invalid, in one line.
    """
    root = Path(runs)
    loaded = [
        each if isinstance(each, SearchSpace) else find_space(str(each), root) for each in spaces
    ]
    _check(loaded, candidates, settings)
    own = {
        **{"strategy": RandomSearch.name, "trials": candidates, "baseline": "none"},
        "data": save_source(data, root / ".cache"),
    }
    made = [
        Settings.create(each.text, each.source, **{"workers": 1, **settings, **own})
        for each in loaded
    ]
    base = name or _find_free_name(root, loaded)
    samples: list[SpaceSample] = []
    reason = "trials"
    for space, each in zip(loaded, made, strict=True):
        result = run_search(each, space, root, f"{base}-{space.name}", callback)
        samples.append(_collect(space, result.run, result.trials))
        if result.reason == INTERRUPTED:
            reason = INTERRUPTED
            break
    return _compare(SpaceComparison(reason, made[0].data.source, tuple(samples)), plot)


def _check(spaces: Sequence[SearchSpace], candidates: int, settings: dict[str, Any]) -> None:
    names = [space.name for space in spaces]
    if len(names) < 2:
        raise CnnsearchError(f"spaces compare: expected at least 2 spaces, got {len(names)}")
    twice = next((each for each in names if names.count(each) > 1), None)
    if twice is not None:
        raise CnnsearchError(f"spaces compare: {twice}: two spaces have this name")
    if candidates < FEWEST:
        raise CnnsearchError(f"--candidates: expected at least {FEWEST}, got {candidates}")
    fixed = next((key for key in settings if key in FIXED), None)
    if fixed is not None:
        flag = find_setting_flag(fixed)
        raise CnnsearchError(f"{flag}: is not an option of a comparison of spaces")


def _find_free_name(root: Path, spaces: Sequence[SearchSpace]) -> str:
    number = 1
    while any(RunDirectory.exists(root, f"spaces-{number}-{each.name}") for each in spaces):
        number += 1
    return f"spaces-{number}"


def _collect(space: SearchSpace, run: RunDirectory, trials: Sequence[TrialRecord]) -> SpaceSample:
    done = [trial for trial in trials if trial.status == "completed" and trial.score is not None]
    return SpaceSample(
        space.name,
        run.path,
        tuple(1.0 - (trial.score or 0.0) for trial in done),
        tuple(trial.macs or 0 for trial in done),
        sum(trial.status == "failed" for trial in trials),
    )


def _compare(found: SpaceComparison, plot: str | Path | None) -> SpaceComparison:
    if len(found.samples) < 2 or min(len(each.errors) for each in found.samples) < FEWEST:
        return found
    from dataclasses import replace

    from cnnsearch.studies.space_comparison.plot import draw_figure

    first, *others = found.samples
    differences = tuple(
        SpaceDifference(
            each.space,
            compare_means(each.errors, first.errors),
            compare_draws(each.errors, first.errors),
        )
        for each in others
    )
    path = Path(plot) if plot else found.samples[-1].run / FIGURE
    compared = replace(found, differences=differences, plot=path)
    save_figure(draw_figure(compared), path)
    return compared
