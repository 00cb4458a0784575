from keras_tuner.engine.hyperparameters import HyperParameters

class Trial:
    trial_id: str
    hyperparameters: HyperParameters
    status: str
    score: float | None
    message: str | None

    def __init__(
        self, hyperparameters: HyperParameters, trial_id: str, status: str = "RUNNING"
    ) -> None: ...
