"""What MLflow runs for a registered model: this file is copied into the model and read from there.

Needs TensorFlow, NumPy and pandas only; nothing of cnnsearch or Keras. The model is a SavedModel,
and this is its code: nothing is pickled.
"""

import warnings
from pathlib import Path
from typing import Any

from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

# The signature is logged with the model: MLflow need not guess it from type hints.
warnings.filterwarnings("ignore", message=".*Add type hints to the `predict` method")


class ImageClassifier(PythonModel):
    """Images (batch, height, width, channels), uint8, to probabilities, a column a class."""

    def load_context(self, context: Any) -> None:
        import tensorflow as tf

        folder = Path(context.artifacts["model"])
        # Held on to: what a loaded model hands out does not keep it alive.
        self._model = tf.saved_model.load(str(folder))
        self._serve = self._model.signatures["serving_default"]
        self._classes = (folder / "class_names.txt").read_text("utf-8").splitlines()

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        import numpy as np
        import pandas as pd  # type: ignore[import-untyped,unused-ignore]
        import tensorflow as tf

        images = tf.constant(np.asarray(model_input, dtype=np.uint8))
        answers = next(iter(self._serve(images).values())).numpy()
        return pd.DataFrame(answers.astype("float64"), columns=self._classes)


set_model(ImageClassifier())
