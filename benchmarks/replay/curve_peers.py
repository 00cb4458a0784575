"""Other libraries' searches on a table of learning curves: each pays for the epochs it trains.

What they would return is the candidate with the highest score, whatever it was trained for.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from benchmarks.replay.peers import make_tpe, suggest_place
from benchmarks.replay.tables import choose_values
from cnnsearch.oracles.points import Values

if TYPE_CHECKING:
    from benchmarks.replay.curves import Curves

MANY = 10**6  # candidates: the epochs end a search


class BudgetSpent(Exception):
    """Ends a search when its epochs are spent."""


class Account:
    """Trains candidates by looking them up, and counts what that takes.

    Attributes:
        found: epochs, seconds and regret after each training.
    """

    def __init__(self, curves: "Curves", budget: int) -> None:
        self._curves, self._budget = curves, budget
        self._best = max(curves.score(row["values"]) for row in curves.candidates.values())
        self._epochs, self._seconds, self._highest, self._regret = 0, 0.0, -1.0, 0.0
        self.found: list[tuple[int, float, float]] = []

    def train(self, values: Values, start: int, end: int) -> float:
        """Returns the best accuracy of the first ``end`` epochs; pays for those after ``start``.

        Raises:
            BudgetSpent: the epochs were spent before.
        """
        if self._epochs >= self._budget:
            raise BudgetSpent
        self._epochs += end - start
        self._seconds += (end - start) * self._curves.get_seconds(values)
        score = self._curves.score(values, end)
        if score > self._highest:
            self._highest = score
            self._regret = 100 * (self._best - self._curves.score(values))
        self.found.append((self._epochs, self._seconds, self._regret))
        return score


def search_optuna(kind: str, curves: "Curves", account: Account, seed: int) -> None:
    """Runs TPE as Optuna's AutoSampler sets it; ``hyperband``: with its Hyperband pruner."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pruners: Mapping[str, Callable[[], Any]] = {
        "tpe": optuna.pruners.NopPruner,
        "hyperband": partial(optuna.pruners.HyperbandPruner, 1, curves.epochs, 3),
    }

    def evaluate(trial: Any) -> float:
        values, score = choose_values(curves.space, partial(suggest_place, trial)), 0.0
        for epoch in range(1, curves.epochs + 1):
            score = account.train(values, epoch - 1, epoch)
            trial.report(score, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return score

    study = optuna.create_study(
        direction="maximize", sampler=make_tpe(seed), pruner=pruners[kind]()
    )
    study.optimize(evaluate)


def search_keras_tuner(kind: str, curves: "Curves", account: Account, seed: int) -> None:
    """Runs an oracle of Keras Tuner; Hyperband's promoted trials continue from their weights."""
    import keras_tuner

    from cnnsearch.oracles.convert import active_values, to_hyperparameters

    parameters = curves.space.parameters
    common = {
        "objective": keras_tuner.Objective("val_accuracy", "max"),
        "hyperparameters": to_hyperparameters(parameters),
        "seed": 1 + 100_003 * seed,  # it overlaps between neighbours
    }
    oracles = keras_tuner.oracles
    made: Mapping[str, Callable[[], Any]] = {
        "random": partial(oracles.RandomSearchOracle, max_trials=MANY, **common),
        "bayesian": partial(oracles.BayesianOptimizationOracle, max_trials=MANY, **common),
        "hyperband": partial(
            oracles.HyperbandOracle, max_epochs=curves.epochs, hyperband_iterations=100, **common
        ),
    }
    oracle = made[kind]()
    oracle.verbose = 0
    with TemporaryDirectory() as folder:
        oracle._set_project_dir(folder, "replay")
        while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
            chosen = trial.hyperparameters.values
            start = chosen.get("tuner/initial_epoch", 0)
            end = chosen.get("tuner/epochs", curves.epochs)
            score = account.train(active_values(parameters, chosen), start, end)
            oracle.update_trial(trial.trial_id, {"val_accuracy": score})
            trial.status = "COMPLETED"
            oracle.end_trial(trial)


PEERS: Mapping[str, tuple[Callable[[str, "Curves", Account, int], None], str]] = MappingProxyType(
    {
        "optuna-tpe": (search_optuna, "tpe"),
        "optuna-hyperband": (search_optuna, "hyperband"),
        "keras-tuner-random": (search_keras_tuner, "random"),
        "keras-tuner-bayesian": (search_keras_tuner, "bayesian"),
        "keras-tuner-hyperband": (search_keras_tuner, "hyperband"),
    }
)
"""By name: the function, and its first argument."""


def search(curves: "Curves", name: str, seed: int, budget: int) -> list[tuple[int, float, float]]:
    """Returns epochs and seconds spent, and the regret, after each training of one search."""
    run, kind = PEERS[name]
    account = Account(curves, budget)
    with suppress(BudgetSpent):
        run(kind, curves, account, seed)
    return account.found
