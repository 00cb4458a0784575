from typing import Any

from keras_tuner.engine.hyperparameters import HyperParameters as HyperParameters
from keras_tuner.engine.trial import Trial

class Objective:
    def __init__(self, name: str, direction: str) -> None: ...

class Oracle:
    max_trials: int | None
    hyperparameters: HyperParameters
    trials: dict[str, Trial]
    ongoing_trials: dict[str, Trial]
    start_order: list[str]
    end_order: list[str]
    verbose: int
    _retry_queue: list[str]

    def __init__(
        self, *, objective: Objective, hyperparameters: HyperParameters, seed: int
    ) -> None: ...
    def score_trial(self, trial: Trial) -> None: ...

class HyperModel:
    def __init__(self, name: str | None = None, tunable: bool = True) -> None: ...
    def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any: ...
