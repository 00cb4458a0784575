"""The code of a registered model: MLflow copies this file into the model and runs it from there.

It needs TensorFlow, NumPy and pandas, but neither cnnsearch nor Keras. Nothing is pickled.
"""

import warnings
from pathlib import Path
from typing import Any

from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

# The signature is logged with the model: MLflow need not guess it from type hints.
warnings.filterwarnings("ignore", message=".*Add type hints to the `predict` method")


class ImageClassifier(PythonModel):
    """Maps uint8 images (batch, height, width, channels) to probabilities, a column per class."""

    def load_context(self, context: Any) -> None:
        import tensorflow as tf

        folder = Path(context.artifacts["model"])
        # Kept: its signatures do not keep a loaded model alive.
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
