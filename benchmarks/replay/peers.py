"""Other libraries' searches on a table: each proposes candidates and sees the same observations.

None of them is a dependency of cnnsearch; Keras Tuner's oracles are its host alone.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

from benchmarks.replay.tables import Table
from cnnsearch.oracles.points import Values

Observe = Callable[[Values], float]


def search_optuna(sampler: str, table: Table, observe: Observe, seed: int, count: int) -> None:
    """Runs a sampler of Optuna; ``tpe`` as its AutoSampler sets it for such a space."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made: Mapping[str, Callable[[], Any]] = {
        "tpe": lambda: make_tpe(seed),
        "nsga2": lambda: optuna.samplers.NSGAIISampler(seed=seed),
    }

    def evaluate(trial: Any) -> float:
        return observe(table.choose(partial(suggest_place, trial)))

    study = optuna.create_study(direction="maximize", sampler=made[sampler]())
    study.optimize(evaluate, n_trials=count)


def make_tpe(seed: int) -> Any:
    """Returns Optuna's TPE as its AutoSampler sets it for a space with conditional choices."""
    import optuna

    return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


def suggest_place(trial: Any, parameter: Any) -> int:
    """Returns the place of an option that a trial of Optuna chooses."""
    return int(trial.suggest_categorical(parameter.name, list(range(len(parameter.options)))))


def search_keras_tuner(oracle: str, table: Table, observe: Observe, seed: int, count: int) -> None:
    """Runs an oracle of Keras Tuner on the hyperparameters that ``SearchSpace`` declares to it."""
    import keras_tuner

    from cnnsearch.oracles.convert import active_values, to_hyperparameters

    objective = keras_tuner.Objective("val_accuracy", "max")
    classes: Mapping[str, Any] = {
        "random": keras_tuner.oracles.RandomSearchOracle,
        "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
    }
    parameters = table.space.parameters
    made = classes[oracle](
        objective=objective,
        max_trials=count,
        hyperparameters=to_hyperparameters(parameters),
        seed=1 + 100_003 * seed,  # it overlaps between neighbours
    )
    made.verbose = 0
    with TemporaryDirectory() as folder:
        made._set_project_dir(folder, "replay")
        for _ in range(count):
            trial = made.create_trial("tuner0")
            if trial.status != "RUNNING":
                return
            score = observe(active_values(parameters, trial.hyperparameters.values))
            made.update_trial(trial.trial_id, {"val_accuracy": score})
            trial.status = "COMPLETED"
            made.end_trial(trial)


def search_smac(facade: str, table: Table, observe: Observe, seed: int, count: int) -> None:
    """Runs SMAC3's facade for hyperparameters: a random forest and expected improvement."""
    import logging

    from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace
    from smac import HyperparameterOptimizationFacade, Scenario
    from smac.runhistory.dataclasses import TrialValue

    logging.disable(logging.CRITICAL)
    space = ConfigurationSpace(seed=seed)
    for parameter in table.space.parameters:
        space.add(CategoricalHyperparameter(parameter.name, list(range(len(parameter.options)))))
    with TemporaryDirectory() as folder:
        scenario = Scenario(
            space,
            n_trials=count,
            seed=seed,
            deterministic=True,
            output_directory=Path(folder),
        )
        optimizer = HyperparameterOptimizationFacade(
            scenario, lambda config, seed=0: 0.0, overwrite=True, logging_level=False
        )
        for _ in range(count):
            info = optimizer.ask()
            values = table.choose(partial(_find_place, dict(info.config)))
            optimizer.tell(info, TrialValue(cost=-observe(values)))


def _find_place(chosen: Mapping[str, Any], parameter: Any) -> int:
    return int(chosen[parameter.name])


PEERS: Mapping[str, tuple[Callable[[str, Table, Observe, int, int], None], str]] = MappingProxyType(
    {
        "optuna-tpe": (search_optuna, "tpe"),
        "optuna-nsga2": (search_optuna, "nsga2"),
        "keras-tuner-random": (search_keras_tuner, "random"),
        "keras-tuner-bayesian": (search_keras_tuner, "bayesian"),
        "smac": (search_smac, "facade"),
    }
)
"""By name: the function, and its first argument."""
