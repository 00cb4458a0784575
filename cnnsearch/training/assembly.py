"""The Keras model of a training, at the size of images that a phase trains on."""

from typing import Any

from cnnsearch.errors import SpaceError
from cnnsearch.training.messages import TrialTask
from cnnsearch.training.model import build
from cnnsearch.training.precision import policy_of

SMALLEST = 8
"""Pixels of a side below which images are not shrunk."""


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
        sides = (max(min(side, SMALLEST), round(scale * side)) for side in (height, width))
        changes["input"] = (*sides, channels)
    pixels = task.pretrained or task.dataset
    return build(
        architecture.model_copy(update=changes),
        mean=pixels.mean,
        std=pixels.std,
        image=task.dataset.image,
        batch_norm_momentum=momentum,
        auxiliary=True,
        policy=policy_of(task.recipe),
    )


def hand_over(before: Any, after: Any) -> None:
    """Gives one model the weights of another, of the same network at another size of images.

    Raises:
        SpaceError: the network has weights whose number depends on the size of images.
    """
    for old, new in zip(before.variables, after.variables, strict=True):
        if old.shape != new.shape:
            raise SpaceError(
                f"recipe.resizing: layer {new.path} has weights for one size of images alone"
            )
        new.assign(old)
