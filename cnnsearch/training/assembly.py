"""Builds the Keras model of a training, in the precision and at the image size it trains with."""

from typing import Any

import keras

from cnnsearch.errors import SpaceError
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.messages import TrialTask
from cnnsearch.training.model import build

MIN_SIDE = 8
"""Pixels of a side below which images are not shrunk."""
AMPERE = (8, 0)
"""NVIDIA's first compute capability whose tensor cores take bfloat16."""


def assemble(task: TrialTask, momentum: float, scale: float = 1.0) -> Any:
    """Builds the model of a training, auxiliary heads included.

    Args:
        task: what to train.
        momentum: of batch normalization.
        scale: of the network's input side; images of the dataset are resized inside the model.
    """
    architecture, changes = task.architecture, dict[str, Any]()
    if task.recipe.drop_path is not None:
        changes["drop_path"] = task.recipe.drop_path
    if scale != 1:
        height, width, channels = architecture.input
        sides = (max(min(side, MIN_SIDE), round(scale * side)) for side in (height, width))
        changes["input"] = (*sides, channels)
    pixels = task.pretrained or task.dataset
    return build(
        architecture.model_copy(update=changes),
        mean=pixels.mean,
        std=pixels.std,
        image=task.dataset.image,
        batch_norm_momentum=momentum,
        auxiliary=True,
        policy=choose_policy(task.recipe),
    )


def transfer_weights(source: Any, target: Any) -> None:
    """Copies the weights of a model to the same network for another image size.

    Raises:
        SpaceError: the number of some weights depends on the image size.
    """
    for old, new in zip(source.variables, target.variables, strict=True):
        if old.shape != new.shape:
            raise SpaceError(
                f"recipe.resizing: layer {new.path} has weights for one size of images alone"
            )
        new.assign(old)


def choose_policy(recipe: TrainingRecipe) -> str:
    """Returns Keras's dtype policy: ``float32``, or ``mixed_bfloat16`` with float32 weights.

    Args:
        recipe: its precision; ``auto`` takes bfloat16 on GPUs from Ampere on and TPUs. CPUs without
            instructions for it would emulate it.
    """
    fast = recipe.precision == "auto" and is_bfloat16_fast()
    return "mixed_bfloat16" if fast or recipe.precision == "bfloat16" else "float32"


def is_bfloat16_fast() -> bool:
    """Whether the first accelerator of the backend computes bfloat16 faster than float32."""
    if keras.backend.backend() == "jax":
        import jax

        return _is_fast_in_jax(jax.devices()[0])
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return False
    details = tf.config.experimental.get_device_details(gpus[0])
    return tuple(details.get("compute_capability", (0, 0))) >= AMPERE


def _is_fast_in_jax(device: Any) -> bool:
    if device.platform != "gpu":
        return bool(device.platform == "tpu")
    capability = str(getattr(device, "compute_capability", "0.0")).split(".")
    return tuple(int(part) for part in capability) >= AMPERE
