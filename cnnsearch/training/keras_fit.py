"""Settings of a recipe for Keras's own ``fit``, and BatchNorm's momentum."""

import keras

from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.losses import SmoothedCrossEntropy
from cnnsearch.training.optimizers import create_keras_optimizer


def choose_batch_norm_momentum(recipe: TrainingRecipe, steps: int, epochs: int) -> float:
    """Returns the momentum of BatchNorm's moving statistics.

    Unless the recipe sets it, 95 % (all but exp(-3)) of a statistic's weight comes from the last
    third of all steps and from the last epoch, so that evaluation after the first epoch is
    meaningful too: 1 - 3 / min(steps * epochs / 3, steps), within [0.5, 0.99].

    Args:
        recipe: its ``batch_norm_momentum``.
        steps: per epoch.
        epochs: of the whole training.
    """
    if recipe.batch_norm_momentum is not None:
        return recipe.batch_norm_momentum
    window = min(steps * epochs / 3, steps)
    return min(0.99, max(0.5, 1 - 3 / window))


def compile_model(
    model: keras.Model,
    recipe: TrainingRecipe,
    *,
    steps_per_epoch: int,
    epochs: int | None = None,
) -> None:
    """Compiles a model for ``model.fit`` on integer labels, with Keras's own optimizer.

    Keras Tuner's tuners need it; cnnsearch's own trainer does not.

    Args:
        model: from pixels to logits.
        recipe: its optimizer, schedule and smoothing; batch size, augmentation and early stopping
            are arguments of ``fit``.
        steps_per_epoch: for the schedule.
        epochs: for the schedule; None: the recipe's.
    """
    steps = steps_per_epoch * (epochs or recipe.epochs)
    model.compile(
        create_keras_optimizer(recipe, steps, model.trainable_variables),
        SmoothedCrossEntropy(recipe.label_smoothing),
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
