"""Computes hyperparameter importance: permutation importance on held-out candidates.

A random forest (Breiman, 2001, doi:10.1023/A:1010933404324) predicts scores from hyperparameters;
on held-out candidates one hyperparameter after the other is shuffled, and the increase of the error
is its importance. It holds for the candidates that were drawn: a strategy that soon settles on one
value hides that hyperparameter's importance.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnsearch.runs.ranking import select_last_rungs
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.choices import Parameter

MIN_CANDIDATES = 20
"""Finished candidates that importances need."""
MAX_CANDIDATES = 1000
"""Of a longer search, as many random ones: a forest of more takes longer and says the same."""
FOLDS, REPEATS, TREES = 5, 5, 100
INACTIVE = -1.0


@dataclass(frozen=True)
class Importance:
    """Importance of one hyperparameter.

    Attributes:
        name: the hyperparameter's.
        mean: drop of held-out R² when it is shuffled, over folds and repetitions.
        deviation: its standard deviation.
    """

    name: str
    mean: float
    deviation: float


@dataclass(frozen=True)
class Importances:
    """Importances of all hyperparameters.

    Attributes:
        each: the most important first.
        r2: share of the scores' variance that the forest predicts on held-out candidates.
        candidates: that it was trained on.
    """

    each: tuple[Importance, ...]
    r2: float
    candidates: int


def compute_importances(
    parameters: Sequence[Parameter], trials: Sequence[TrialRecord], seed: int = 0
) -> Importances | None:
    """Computes importances; None if there are too few finished candidates.

    Args:
        parameters: of the space.
        trials: those without a score do not count, nor the baseline, which is no point of the
            space; and of a candidate's rungs only the last.
        seed: of forest and folds, and of the sample of more than :data:`MAX_CANDIDATES`.
    """
    scored = [t for t in select_last_rungs(trials) if t.score is not None and not t.role]
    varied = [p for p in parameters if len({repr(t.values.get(p.name)) for t in scored}) > 1]
    if len(scored) < MIN_CANDIDATES or not varied:
        return None
    if len(scored) > MAX_CANDIDATES:
        scored = random.Random(seed).sample(scored, MAX_CANDIDATES)
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import KFold

    x = np.array([[encode(p, t.values) for p in varied] for t in scored])
    y = np.array([t.score for t in scored], np.float64)
    drops: list[npt.NDArray[Any]] = []
    predicted = np.empty_like(y)
    for train, held in KFold(FOLDS, shuffle=True, random_state=seed).split(x):
        forest = RandomForestRegressor(TREES, random_state=seed, n_jobs=1).fit(x[train], y[train])
        predicted[held] = forest.predict(x[held])
        drops.append(_measure_increases(forest, x[held], y[held], np.random.default_rng(seed)))
    spread = np.concatenate(drops, axis=1) / max(float(y.var()), 1e-12)
    each = [
        Importance(p.name, float(row.mean()), float(row.std()))
        for p, row in zip(varied, spread, strict=True)
    ]
    r2 = 1 - float(((y - predicted) ** 2).sum() / max(((y - y.mean()) ** 2).sum(), 1e-12))
    return Importances(tuple(sorted(each, key=lambda i: -i.mean)), r2, len(scored))


def _measure_increases(
    forest: Any, x: npt.NDArray[Any], y: npt.NDArray[Any], rng: np.random.Generator
) -> npt.NDArray[Any]:
    """Returns the increase of the mean squared error, by feature and repetition.

    Computes what scikit-learn's ``permutation_importance`` does; that calls the forest for each
    feature and repetition, while one call for all of them is ten times faster.
    """
    features = x.shape[1]
    shuffled = np.tile(x, (features, REPEATS, 1, 1))
    for feature, repeat in np.ndindex(features, REPEATS):
        shuffled[feature, repeat, :, feature] = rng.permutation(x[:, feature])
    predicted = forest.predict(shuffled.reshape(-1, features)).reshape(features, REPEATS, len(y))
    errors: npt.NDArray[Any] = ((predicted - y) ** 2).mean(axis=2)
    return errors - float(((forest.predict(x) - y) ** 2).mean())


def encode(parameter: Parameter, values: Mapping[str, Any]) -> float:
    """Returns a hyperparameter's value as a number: an option's index, or a logarithm if log."""
    if parameter.name not in values:
        return INACTIVE if parameter.kind == "choice" else _to_number(parameter, parameter.low) - 1
    value = values[parameter.name]
    if parameter.kind == "choice":
        return float(parameter.options.index(value)) if value in parameter.options else INACTIVE
    return _to_number(parameter, value)


def _to_number(parameter: Parameter, value: Any) -> float:
    return float(np.log(value)) if parameter.log else float(value)
