"""AutoKeras until a time, in an environment of its own; nothing of cnnsearch is used.

    python autokeras_search.py IMAGES.npz UNTIL SEED FOLDER

Prints a line of JSON. The model with the best validation accuracy of all trials is tested. It is
trained on the training split alone, with AutoKeras's own augmentation.
"""

import json
import math
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import autokeras  # type: ignore[import-not-found]
import keras
import numpy as np
from autokeras.pipeline import load_pipeline  # type: ignore[import-not-found]
from keras_tuner.errors import FatalError

MANY = 1000  # trials: the time ends a search


class TimeIsUp(FatalError):  # type: ignore[misc]
    """Ends a search: Keras Tuner passes on only its own fatal errors."""


class Deadline(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends a training, and the search, when the time is up."""

    def __init__(self, until: float) -> None:
        super().__init__()
        self.until = until

    def __deepcopy__(self, memo: dict[int, Any]) -> "Deadline":
        return Deadline(self.until)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if time.time() > self.until:
            raise TimeIsUp("the time is up")


def count_macs(model: Any) -> int:
    """Returns the multiply-accumulates of convolution and dense layers for one image."""
    found = 0
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            found += math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape)
    return found


def main() -> None:
    """Searches, and tests the best model."""
    file, until, seed, folder = sys.argv[1:]
    data = np.load(Path(file))
    search = autokeras.ImageClassifier(
        max_trials=MANY, overwrite=True, directory=folder, project_name="autokeras", seed=int(seed)
    )
    with suppress(TimeIsUp):
        search.fit(
            data["train_images"], data["train_labels"], verbose=0,
            validation_data=(data["validation_images"], data["validation_labels"]),
            callbacks=[Deadline(float(until))],
        )  # fmt: skip
    tuner = search.tuner
    scored = [t for t in tuner.oracle.trials.values() if t.score is not None]
    if not scored:
        sys.exit("no candidate was trained within the time")
    best = max(scored, key=lambda trial: trial.score)
    tuner.get_best_model().save(tuner.best_model_path)  # as at the end of an undisturbed search
    load_pipeline(tuner._pipeline_path(best.trial_id)).save(tuner.best_pipeline_path)
    _, accuracy = search.evaluate(data["test_images"], data["test_labels"], verbose=0)
    model = search.export_model()
    result = {
        "test_accuracy": float(accuracy), "macs": count_macs(model), "final_epochs": None,
        "params": sum(math.prod(w.shape) for w in model.trainable_weights),
        "candidates": len(scored), "val_score": best.score,
        "winner": best.hyperparameters.values.get("image_block_1/block_type", "AutoKeras"),
    }  # fmt: skip
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
