"""What :func:`cnnsearch.training.trainer.train` and Keras's own ``fit`` share of a recipe."""

import keras

from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.losses import SmoothedCrossEntropy
from cnnsearch.training.optimizers import keras_optimizer


def batch_norm_momentum(recipe: TrainingRecipe, steps: int, epochs: int) -> float:
    """Returns the momentum of BatchNorm's moving statistics.

    Unless the recipe sets it, 95 % (all but exp(-3)) of a statistic's weight comes from the last
    third of all steps, and from no further back than one epoch, so that measuring after the first
    epoch means something too: 1 - 3 / min(steps * epochs / 3, steps), within [0.5, 0.99].

    Args:
        recipe: may set it.
        steps: an epoch.
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

    :func:`train` does not need it; Keras Tuner's tuners do.

    Args:
        model: from pixels to logits.
        recipe: optimizer, schedule, smoothing. Its batch size, augmentation and early stopping are
            for the caller of ``fit``.
        steps_per_epoch: for the schedule.
        epochs: for the schedule; None: the recipe's.
    """
    steps = steps_per_epoch * (epochs or recipe.epochs)
    model.compile(
        keras_optimizer(recipe, steps, model.trainable_variables),
        SmoothedCrossEntropy(recipe.label_smoothing),
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
