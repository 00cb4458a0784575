"""Losses on logits and integer labels."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.training.augmentation_ops import Targets

Tensor = Any


def cross_entropy(labels: Tensor, logits: Tensor, smoothing: float = 0.0) -> Tensor:
    """Returns each example's cross-entropy in nats, (N,), in float32 whatever the logits are.

    Args:
        labels: int (N,).
        logits: (N, classes).
        smoothing: share of the target spread evenly over all classes (arXiv:1512.00567, section 7).
    """
    likely = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
    index = ops.expand_dims(ops.cast(labels, "int32"), -1)
    right = ops.squeeze(ops.take_along_axis(likely, index, axis=-1), -1)
    if not smoothing:
        return -right
    return -(1.0 - smoothing) * right - smoothing * ops.mean(likely, axis=-1)


def is_correct(labels: Tensor, logits: Tensor) -> Tensor:
    """Returns 1.0 for each example whose largest logit is its label's, (N,)."""
    return ops.cast(ops.argmax(logits, axis=-1) == ops.cast(labels, "int32"), "float32")


def target_cross_entropy(targets: Targets, logits: Tensor, smoothing: float) -> Tensor:
    """Returns each example's cross-entropy, (N,), averaged over both labels of mixed images."""
    loss = cross_entropy(targets.labels, logits, smoothing)
    if targets.others is None or targets.share is None:
        return loss
    return targets.share * loss + (1.0 - targets.share) * cross_entropy(
        targets.others, logits, smoothing
    )


def weigh_examples(targets: Targets, weights: Tensor) -> Tensor:
    """Returns each example's class weight, (N,), averaged over both labels of mixed images.

    Args:
        targets: of N examples.
        weights: of each class, (classes,).
    """
    of_label = ops.take(weights, targets.labels, axis=0)
    if targets.others is None or targets.share is None:
        return of_label
    other = ops.take(weights, targets.others, axis=0)
    return targets.share * of_label + (1.0 - targets.share) * other


class TrainingLoss:
    """Computes losses from a model's outputs.

    Args:
        heads: weight of each output's loss, the main one's first.
        smoothing: of the labels.
        classes: weight of each class in the minimized loss; empty: all 1.
    """

    def __init__(
        self, heads: Sequence[float], smoothing: float, classes: Sequence[float] = ()
    ) -> None:
        self._heads, self._smoothing = tuple(heads), smoothing
        self._classes = tuple(classes)

    def compute(self, targets: Targets, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the loss to minimize, and a report of loss and accuracy, (2,)."""
        outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
        parts = [
            weight * ops.mean(self._compute_losses(targets, logits))
            for logits, weight in zip(outputs, self._heads, strict=True)
        ]
        loss = sum(parts[1:], parts[0])
        accuracy = ops.mean(is_correct(targets.labels, outputs[0]))
        return loss, ops.stack([loss, accuracy])

    def evaluate(self, labels: Tensor, outputs: Tensor, weights: Tensor) -> Tensor:
        """Returns each example's cross-entropy times its weight, and its predicted class, (2, N).

        Not their sums: the order in which threads add would change the last digits.
        """
        logits = outputs[0] if isinstance(outputs, list | tuple) else outputs
        predictions = ops.cast(ops.argmax(logits, axis=-1), "float32")
        return ops.stack([weights * cross_entropy(labels, logits), predictions])

    def _compute_losses(self, targets: Targets, logits: Tensor) -> Tensor:
        losses = target_cross_entropy(targets, logits, self._smoothing)
        if not self._classes:
            return losses
        return losses * weigh_examples(targets, ops.convert_to_tensor(self._classes))


class SmoothedCrossEntropy(keras.losses.Loss):  # type: ignore[misc]
    """:func:`cross_entropy` as a loss for ``model.compile``; labels are integers, (N,) or (N, 1).

    Args:
        smoothing: share of the target spread evenly over all classes.
    """

    def __init__(self, smoothing: float = 0.0, **options: Any) -> None:
        super().__init__(**{"name": "cross_entropy", **options})
        self.smoothing = smoothing

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Returns each example's loss."""
        return cross_entropy(ops.reshape(y_true, (-1,)), y_pred, self.smoothing)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``."""
        return {**super().get_config(), "smoothing": self.smoothing}


def list_head_weights(architecture: Architecture) -> list[float]:
    """Returns the loss weight of each output, the main one's first, in the order of wiring."""
    heads = sorted(architecture.auxiliary, key=lambda head: head.after)
    return [1.0, *(head.weight for head in heads)]
