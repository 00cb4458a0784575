"""The door to Keras Tuner: what we use of it, with the types that it does not declare.

Written against 1.4.8, which is pinned: oracles are built on its internals.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    class Parent:
        """A condition: the hyperparameter ``name`` has one of ``values``."""

        def __init__(self, name: str, values: list[Any]) -> None: ...

    class HyperParameter:
        """One hyperparameter."""

        name: str
        conditions: list[Parent]
        default: Any

        def value_to_prob(self, value: Any) -> float: ...

    class HyperParameters:
        """A space of hyperparameters and the active values."""

        space: list[HyperParameter]
        values: dict[str, Any]

        def merge(
            self, hps: "list[HyperParameter] | HyperParameters", overwrite: bool = True
        ) -> None: ...
        def copy(self) -> "HyperParameters": ...

    class MetricsTracker:
        """The metrics of a trial."""

        def register(self, name: str, direction: str) -> None: ...
        def update(self, name: str, value: float, step: int = 0) -> None: ...

    class Trial:
        """A candidate and what came of it."""

        trial_id: str
        hyperparameters: HyperParameters
        metrics: MetricsTracker
        status: str
        score: float | None
        message: str | None

        def __init__(
            self, hyperparameters: HyperParameters, trial_id: str, status: str = "RUNNING"
        ) -> None: ...

    class Oracle:
        """Base of the oracles."""

        objective: Any
        max_trials: int | None
        hyperparameters: HyperParameters
        trials: dict[str, Trial]
        ongoing_trials: dict[str, Trial]
        start_order: list[str]
        end_order: list[str]
        verbose: int
        _retry_queue: list[str]

        def __init__(self, **options: Any) -> None: ...
        def populate_space(self, trial_id: str) -> dict[str, Any]: ...
        def score_trial(self, trial: Trial) -> None: ...

    class RandomSearchOracle(Oracle):
        """Random search."""

    class BayesianOptimizationOracle(Oracle):
        """A Gaussian process and its upper confidence bound."""

        gpr: Any
        beta: float

        def _make_gpr(self) -> Any: ...
        def _nonfixed_space(self) -> list[HyperParameter]: ...

    class HyperbandOracle(Oracle):
        """Brackets of successive halving."""

        _brackets: list[dict[str, Any]]
        _current_bracket: int
        _current_iteration: int

        def _get_size(self, bracket_num: int, round_num: int) -> int: ...
        def _get_epochs(self, bracket_num: int, round_num: int) -> int: ...
        def _start_new_bracket(self) -> None: ...
        def _increment_bracket_num(self) -> None: ...

    class HyperModel:
        """Builds a model from hyperparameters."""

        def __init__(self, name: str | None = None, tunable: bool = True) -> None: ...
        def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any: ...

    class FailedTrialError(Exception):
        """Ends a trial as failed, without a retry."""

    def Boolean(name: str, default: bool, conditions: list[Parent]) -> HyperParameter: ...
    def Choice(
        name: str, values: list[Any], ordered: bool | None, default: Any, conditions: list[Parent]
    ) -> HyperParameter: ...
    def Fixed(name: str, value: Any, conditions: list[Parent]) -> HyperParameter: ...
    def Float(
        name: str,
        min_value: float,
        max_value: float,
        sampling: str,
        default: Any,
        conditions: list[Parent],
    ) -> HyperParameter: ...
    def Int(
        name: str,
        min_value: float,
        max_value: float,
        sampling: str,
        default: Any,
        conditions: list[Parent],
    ) -> HyperParameter: ...
    def Objective(name: str, direction: str) -> Any: ...

else:
    from keras_tuner import HyperModel, HyperParameters, Objective, Oracle
    from keras_tuner.errors import FailedTrialError
    from keras_tuner.oracles import (
        BayesianOptimizationOracle,
        HyperbandOracle,
        RandomSearchOracle,
    )
    from keras_tuner.src.engine.conditions import Parent
    from keras_tuner.src.engine.hyperparameters import HyperParameter
    from keras_tuner.src.engine.hyperparameters.hp_types import (
        Boolean,
        Choice,
        Fixed,
        Float,
        Int,
    )
    from keras_tuner.src.engine.metrics_tracking import MetricsTracker
    from keras_tuner.src.engine.trial import Trial

__all__ = [
    "BayesianOptimizationOracle",
    "Boolean",
    "Choice",
    "FailedTrialError",
    "Fixed",
    "Float",
    "HyperModel",
    "HyperParameter",
    "HyperParameters",
    "HyperbandOracle",
    "Int",
    "MetricsTracker",
    "Objective",
    "Oracle",
    "Parent",
    "RandomSearchOracle",
    "Trial",
]
