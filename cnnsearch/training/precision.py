"""Which numbers a candidate computes with."""

from typing import Any

import keras

from cnnsearch.space.recipe import TrainingRecipe

AMPERE = (8, 0)
"""NVIDIA's first compute capability whose tensor cores take bfloat16."""


def policy_of(recipe: TrainingRecipe) -> str:
    """Returns the Keras dtype policy: ``float32``, or ``mixed_bfloat16`` with float32 weights.

    Args:
        recipe: asks for one, or leaves it to the device: GPUs from Ampere on and TPUs compute
            bfloat16 faster; CPUs here without the instructions for it would emulate it.
    """
    wanted = recipe.precision
    if wanted == "auto":
        wanted = "bfloat16" if gains_from_bfloat16() else "float32"
    return "mixed_bfloat16" if wanted == "bfloat16" else "float32"


def gains_from_bfloat16() -> bool:
    """Whether the first accelerator of the backend in use computes bfloat16 faster."""
    if keras.backend.backend() == "jax":
        import jax

        return _jax_gains(jax.devices()[0])
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return False
    details = tf.config.experimental.get_device_details(gpus[0])
    return tuple(details.get("compute_capability", (0, 0))) >= AMPERE


def _jax_gains(device: Any) -> bool:
    if device.platform == "tpu":
        return True
    if device.platform != "gpu":
        return False
    capability = str(getattr(device, "compute_capability", "0.0")).split(".")
    return tuple(int(part) for part in capability) >= AMPERE
