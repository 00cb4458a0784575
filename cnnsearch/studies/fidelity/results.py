"""What a study of fidelity found: can short trainings be trusted to rank candidates?"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cnnsearch.errors import RunError
from cnnsearch.runs.directory import INTERRUPTED
from cnnsearch.runs.records import TrialRecord, best_of
from cnnsearch.studies.fidelity.plan import AGAIN, LONG, TRAINED, Variant
from cnnsearch.studies.fidelity.statistics import (
    Interval,
    Noise,
    interval,
    kendall,
    noise,
    rank_of,
    spearman,
    top,
)
from cnnsearch.utils.environment import device
from cnnsearch.utils.units import many

WANTED = 0.8
"""The rank correlation from which on short trials are worth a search's budget."""
FEWEST = 4
"""Pairs below which a rank correlation says nothing."""

Scored = Mapping[str, Mapping[int, TrialRecord]]


@dataclass(frozen=True)
class Comparison:
    """How short trainings of one kind rank candidates, against the long ones.

    Attributes:
        label: how the short ones were trained.
        pairs: candidates that were trained both ways to the end.
        spearman: rank correlation of short with long scores, with its 95 % interval.
        kendall: tau-b, likewise.
        upper: Spearman among the better half by long scores, where a search decides.
        winner: number of the candidate that scored best short.
        regret: how much less that one scores long than the best does.
        random_regret: what a candidate drawn at random lacks, on average.
        needed: how many of the best short ones must be trained long to have the best long one.
        top: a fifth of the candidates; ``overlap`` is how many are among the best by both.
        overlap: see ``top``.
        seconds: of a short training, on average.
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
        """Whether the correlation is what a search needs."""
        return self.spearman.value >= WANTED


@dataclass(frozen=True)
class FidelityReport:
    """What ``cnnsearch fidelity`` found.

    Attributes:
        run: the run's folder, with every training in it.
        space: its name.
        data: the source.
        device: what trained.
        epochs: of a long training.
        seconds: of a long training, on average.
        reason: why it ended: ``trials`` (all done) or ``interrupted``.
        failed: candidates that failed in one way or another, and are compared in none of these.
        comparisons: one for each kind of short training, as asked for.
        by_macs: rank correlation of MACs alone with long scores: what a ranking by size would do.
        noise: of seeds, where long trainings were repeated.
        scores: each way's validation scores by candidate number, as measured.
        families: of the candidates, by number.
        plot: the picture; None: there is none.
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
        """Returns everything as plain data for JSON."""
        found = {key: getattr(self, key) for key in vars(self)}
        rows = [{**asdict(one), "trusted": one.trusted} for one in self.comparisons]
        return {
            **found,
            "run": str(self.run),
            "plot": None if self.plot is None else str(self.plot),
            "comparisons": rows,
            "noise": None if self.noise is None else asdict(self.noise),
            "scores": {label: dict(scores) for label, scores in self.scores.items()},
            "families": dict(self.families),
        }


def by_way(trials: Sequence[TrialRecord]) -> dict[str, dict[int, TrialRecord]]:
    """Returns the finished trials of a study: by label, then by the candidate's number."""
    found: dict[str, dict[int, TrialRecord]] = {}
    for trial in trials:
        if trial.score is not None:
            found.setdefault(str(trial.values[TRAINED]), {})[number_of(trial)] = trial
    return found


def compare(way: Variant, scored: Scored) -> Comparison:
    """Compares one kind of short training with the long one.

    Raises:
        RunError: too few candidates were trained both ways.
    """
    shorts, longs = scored.get(way.label, {}), scored.get(LONG, {})
    both = sorted(shorts.keys() & longs.keys())
    if len(both) < FEWEST:
        raise RunError(
            f"{way.label}: {many(len(both), 'candidate')} trained both short and long, "
            f"a rank correlation needs {FEWEST}"
        )
    short = [shorts[number].score or 0.0 for number in both]
    long = [longs[number].score or 0.0 for number in both]
    chosen = best_of([shorts[number] for number in both])
    winner = next(i for i, number in enumerate(both) if shorts[number] is chosen)
    best = max(range(len(both)), key=lambda i: long[i])
    count = max(1, round(len(both) / 5))
    seconds = _mean([shorts[number].seconds or 0.0 for number in both])
    longer = _mean([longs[number].seconds or 0.0 for number in both])
    return Comparison(
        label=way.label,
        pairs=len(both),
        spearman=interval(spearman, short, long),
        kendall=interval(kendall, short, long),
        upper=_upper(short, long),
        winner=both[winner],
        regret=long[best] - long[winner],
        random_regret=long[best] - _mean(long),
        needed=rank_of(best, short),
        top=count,
        overlap=len(top(short, count) & top(long, count)),
        seconds=seconds,
        speedup=longer / seconds if seconds else 0.0,
    )


def _upper(short: Sequence[float], long: Sequence[float]) -> float:
    better = sorted(top(long, (len(long) + 1) // 2))
    return float(spearman([short[i] for i in better], [long[i] for i in better]))


def seed_noise(scored: Scored) -> Noise | None:
    """Returns the noise of seeds; None where no long training was repeated."""
    longs, again = scored.get(LONG, {}), scored.get(AGAIN, {})
    both = sorted(longs.keys() & again.keys())
    if not both:
        return None
    pairs = [(longs[number].score or 0.0, again[number].score or 0.0) for number in both]
    first, second = zip(*pairs, strict=True)
    return noise(first, second, [trial.score or 0.0 for trial in longs.values()])


def summarize(
    trials: Sequence[TrialRecord],
    ways: Sequence[Variant],
    reason: str,
    *,
    run: Path,
    space: str,
    data: str,
) -> FidelityReport:
    """Returns what the trials of a study tell.

    Args:
        trials: of every way to train.
        ways: as they were asked for.
        reason: why it ended; of an interrupted study, only what can be compared is.
        run: the run's folder.
        space: its name.
        data: the source.

    Raises:
        RunError: the study is complete, and too few candidates were trained both ways.
    """
    scored = by_way(trials)
    shorts = [way for way in ways if way.label not in (LONG, AGAIN)]
    if reason == INTERRUPTED:
        shorts = [way for way in shorts if _pairs(way, scored) >= FEWEST]
    longs = list(scored.get(LONG, {}).values())
    failed = {number_of(trial) for trial in trials if trial.status == "failed"}
    return FidelityReport(
        run=run,
        space=space,
        data=data,
        device=device(),
        epochs=next(way.epochs for way in ways if way.label == LONG),
        seconds=_mean([trial.seconds or 0.0 for trial in longs]),
        reason=reason,
        failed=len(failed),
        comparisons=tuple(compare(way, scored) for way in shorts),
        by_macs=_by_macs(longs),
        noise=seed_noise(scored),
        scores={
            label: {number: trial.score or 0.0 for number, trial in found.items()}
            for label, found in scored.items()
        },
        families={number_of(trial): trial.family for trial in trials},
    )


def _by_macs(longs: Sequence[TrialRecord]) -> float:
    if len(longs) < FEWEST:
        return 0.0
    return float(spearman([t.macs or 0 for t in longs], [t.score or 0.0 for t in longs]))


def number_of(trial: TrialRecord) -> int:
    """Returns the number of a trial's candidate."""
    return int(trial.id.partition("-")[0])


def _pairs(way: Variant, scored: Scored) -> int:
    return len(scored.get(way.label, {}).keys() & scored.get(LONG, {}).keys())


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers) if numbers else 0.0
