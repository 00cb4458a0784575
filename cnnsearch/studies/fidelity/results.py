"""Results of a fidelity study: how well short trainings rank candidates."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from cnnsearch.errors import RunError
from cnnsearch.runs.directory import INTERRUPTED
from cnnsearch.runs.ranking import find_best
from cnnsearch.runs.records import TrialRecord, shorten_family
from cnnsearch.studies.fidelity.plan import AGAIN, LONG, TRAINED, Variant
from cnnsearch.studies.fidelity.statistics import (
    Interval,
    Noise,
    bootstrap_interval,
    compute_kendall,
    compute_rank,
    compute_spearman,
    estimate_noise,
    select_top,
)
from cnnsearch.utils.environment import describe_device
from cnnsearch.utils.units import pluralize

WANTED = 0.8
"""Rank correlation from which on short trials are worth a search's budget."""
FEWEST = 4
"""Fewer pairs than this give no meaningful rank correlation."""

TrialsByVariant = Mapping[str, Mapping[int, TrialRecord]]
"""Completed trials by the variant's label, then by the candidate's number."""


@dataclass(frozen=True)
class Comparison:
    """Agreement of one kind of short training with the long ones.

    Attributes:
        label: how the short ones were trained.
        pairs: candidates that completed both trainings.
        spearman: rank correlation of short with long scores, with its 95 % interval.
        kendall: tau-b, likewise.
        upper: Spearman among the better half by long scores, where a search decides.
        winner: number of the candidate with the best short score.
        regret: difference of the best long score and the winner's long score.
        random_regret: expected regret of a candidate drawn at random.
        needed: how many of the best short ones must be trained long to include the best long one.
        top: number of candidates in the best fifth.
        overlap: how many of the best fifth by long scores are in the best fifth by short ones.
        seconds: mean time of a short training.
        speedup: how many short trainings take the time of a long one.
    """

    label: str
    pairs: int
    spearman: Interval
    kendall: Interval
    upper: float
    winner: int
    regret: float
    random_regret: float
    needed: int
    top: int
    overlap: int
    seconds: float
    speedup: float

    @property
    def trusted(self) -> bool:
        """Whether the correlation is high enough for a search."""
        return self.spearman.value >= WANTED


@dataclass(frozen=True)
class FidelityReport:
    """Results of ``cnnsearch fidelity``.

    Attributes:
        run: the run's folder, with every training in it.
        space: its name.
        data: the source.
        device: what trained.
        epochs: of a long training.
        seconds: mean time of a long training.
        reason: why the session ended: ``trials`` (all done) or ``interrupted``.
        failed: candidates with a failed training, left out of that comparison.
        comparisons: one for each kind of short training, in the requested order.
        by_macs: rank correlation of MACs alone with long scores, the baseline without training.
        noise: between seeds, where long trainings were repeated.
        scores: validation scores of each variant by candidate number.
        families: of the candidates, by number.
        plot: path of the figure; None: there is none.
    """

    run: Path
    space: str
    data: str
    device: str
    epochs: int
    seconds: float
    reason: str
    failed: int
    comparisons: tuple[Comparison, ...]
    by_macs: float
    noise: Noise | None
    scores: Mapping[str, Mapping[int, float]]
    families: Mapping[int, str]
    plot: Path | None = None

    @property
    def best(self) -> Comparison:
        """The short training with the highest Spearman correlation."""
        return max(self.comparisons, key=lambda one: one.spearman.value)

    def to_data(self) -> dict[str, Any]:
        """Returns the report as plain data for JSON."""
        comparisons = [{**asdict(one), "trusted": one.trusted} for one in self.comparisons]
        plot = None if self.plot is None else str(self.plot)
        return {**asdict(self), "run": str(self.run), "plot": plot, "comparisons": comparisons}


def summarize(
    trials: Sequence[TrialRecord],
    variants: Sequence[Variant],
    reason: str,
    *,
    run: Path,
    space: str,
    data: str,
) -> FidelityReport:
    """Computes the report from a study's trials.

    Of an interrupted study (``reason``) only what has enough pairs is compared.

    Raises:
        RunError: the study is complete, and too few candidates completed both trainings.
    """
    grouped = group_by_variant(trials)
    shorts = [variant for variant in variants if variant.label not in (LONG, AGAIN)]
    if reason == INTERRUPTED:
        shorts = [one for one in shorts if len(_pair_numbers(one.label, LONG, grouped)) >= FEWEST]
    longs = list(grouped.get(LONG, {}).values())
    return FidelityReport(
        run=run, space=space, data=data, device=describe_device(), reason=reason,
        epochs=next(variant.epochs for variant in variants if variant.label == LONG),
        seconds=_mean_seconds(longs),
        failed=len({get_number(trial) for trial in trials if trial.status == "failed"}),
        comparisons=tuple(compare_to_long(variant.label, grouped) for variant in shorts),
        by_macs=_correlate_macs(longs),
        noise=_estimate_seed_noise(grouped),
        scores={
            label: {number: trial.score or 0.0 for number, trial in found.items()}
            for label, found in grouped.items()
        },
        families={get_number(trial): shorten_family(trial.family) for trial in trials},
    )  # fmt: skip


def group_by_variant(trials: Sequence[TrialRecord]) -> dict[str, dict[int, TrialRecord]]:
    """Groups the completed trials of a study by variant label and candidate number."""
    found: dict[str, dict[int, TrialRecord]] = {}
    for trial in trials:
        if trial.score is not None:
            found.setdefault(str(trial.values[TRAINED]), {})[get_number(trial)] = trial
    return found


def get_number(trial: TrialRecord) -> int:
    """Returns the number of a trial's candidate."""
    return int(trial.id.partition("-")[0])


def compare_to_long(label: str, trials: TrialsByVariant) -> Comparison:
    """Compares the ranking of one kind of short training with that of the long ones.

    Raises:
        RunError: too few candidates completed both trainings.
    """
    numbers = _pair_numbers(label, LONG, trials)
    if len(numbers) < FEWEST:
        have = f"{pluralize(len(numbers), 'candidate')} trained both short and long"
        raise RunError(f"{label}: {have}, a rank correlation needs {FEWEST}")
    shorts, longs = ([trials[name][number] for number in numbers] for name in (label, LONG))
    short, long = ([trial.score or 0.0 for trial in side] for side in (shorts, longs))
    chosen = find_best(shorts)
    winner = next(i for i, trial in enumerate(shorts) if trial is chosen)
    best, top, seconds = long.index(max(long)), max(1, round(len(long) / 5)), _mean_seconds(shorts)
    return Comparison(
        label=label,
        pairs=len(numbers),
        spearman=bootstrap_interval(compute_spearman, short, long),
        kendall=bootstrap_interval(compute_kendall, short, long),
        upper=_correlate_upper_half(short, long),
        winner=numbers[winner],
        regret=long[best] - long[winner],
        random_regret=long[best] - fmean(long),
        needed=compute_rank(best, short),
        top=top,
        overlap=len(select_top(short, top) & select_top(long, top)),
        seconds=seconds,
        speedup=_mean_seconds(longs) / seconds if seconds else 0.0,
    )


def _correlate_upper_half(short: Sequence[float], long: Sequence[float]) -> float:
    upper = sorted(select_top(long, (len(long) + 1) // 2))
    return float(compute_spearman([short[i] for i in upper], [long[i] for i in upper]))


def _estimate_seed_noise(trials: TrialsByVariant) -> Noise | None:
    numbers = _pair_numbers(LONG, AGAIN, trials)
    if not numbers:
        return None
    first, second = ([trials[name][n].score or 0.0 for n in numbers] for name in (LONG, AGAIN))
    return estimate_noise(first, second, [trial.score or 0.0 for trial in trials[LONG].values()])


def _correlate_macs(longs: Sequence[TrialRecord]) -> float:
    if len(longs) < FEWEST:
        return 0.0
    return float(compute_spearman([t.macs or 0 for t in longs], [t.score or 0.0 for t in longs]))


def _pair_numbers(first: str, second: str, trials: TrialsByVariant) -> list[int]:
    """Returns the candidates that completed both of two variants."""
    return sorted(trials.get(first, {}).keys() & trials.get(second, {}).keys())


def _mean_seconds(trials: Sequence[TrialRecord]) -> float:
    return fmean(trial.seconds or 0.0 for trial in trials) if trials else 0.0
