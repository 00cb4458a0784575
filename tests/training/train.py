"""Trains one network in this process."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.data import Dataset
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.history import Epoch
from cnnsearch.training.messages import Measurement, TrialTask
from cnnsearch.training.trainer import Training


def train(
    architecture: Architecture,
    recipe: TrainingRecipe,
    data: Dataset,
    *,
    epochs: int,
    checkpoint_dir: Path | None = None,
    on_epoch: Callable[[int, dict[str, float]], Any] = lambda epoch, metrics: None,
    **options: Any,
) -> Measurement:
    """Returns the measurement of the best epoch; ``options`` are fields of ``TrialTask``."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = checkpoint_dir or Path(temporary)
        task = TrialTask("t", architecture, recipe, data, folder, epochs, **options)
        training = Training(task)
        for step in training.run():
            assert isinstance(step, Epoch)
            on_epoch(step.number, step.metrics)
        return training.get_measurement()
