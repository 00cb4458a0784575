"""One step of training and one of measuring, compiled once for the backend in use.

``model.fit`` traces the training step twice and once more for its metrics; this traces it once.
What a step gives back stays on the device until somebody reads it.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import keras

from cnnsearch.training.batches import Batch
from cnnsearch.training.losses import class_weights, correct, cross_entropy, target_entropy
from cnnsearch.training.optimizers import FusedOptimizer
from cnnsearch.training.transforms import Targets, transform

Tensor = Any


class Steps(Protocol):
    """The compiled steps of one model."""

    def train(self, batch: Batch) -> Tensor:
        """Does one training step; returns the mean loss and the share of right answers, (2,)."""
        ...

    def measure(self, batch: Batch) -> Tensor:
        """Returns each example's cross-entropy times its weight, and predicted class, (2, N)."""
        ...

    def settle(self) -> None:
        """Brings the Keras variables up to date after training steps."""
        ...


class TrainingLoss:
    """Computes the loss from a model's outputs, on either backend.

    Args:
        heads: weight of each output's loss, the main one's first.
        smoothing: of the labels.
        classes: weight of each class in what is minimized; empty: all alike.
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
            weight * keras.ops.mean(self._losses(targets, logits))
            for logits, weight in zip(outputs, self._heads, strict=True)
        ]
        loss = sum(parts[1:], parts[0])
        right = keras.ops.mean(correct(targets.labels, outputs[0]))
        return loss, keras.ops.stack([loss, right])

    def evaluate(self, labels: Tensor, outputs: Tensor, weights: Tensor) -> Tensor:
        """Returns each example's cross-entropy times its weight, and its predicted class, (2, N).

        Not their sums: the order in which threads add would change the last digits.
        """
        logits = outputs[0] if isinstance(outputs, list | tuple) else outputs
        predictions = keras.ops.cast(keras.ops.argmax(logits, axis=-1), "float32")
        return keras.ops.stack([weights * cross_entropy(labels, logits), predictions])

    def _losses(self, targets: Targets, logits: Tensor) -> Tensor:
        losses = target_entropy(targets, logits, self._smoothing)
        if not self._classes:
            return losses
        weights = keras.ops.convert_to_tensor(self._classes, "float32")
        return losses * class_weights(targets, weights)


class Part(NamedTuple):
    """Some images of a batch, their targets and their share of it."""

    images: Tensor
    targets: Targets
    share: float


def parts(batch: tuple[Tensor, Targets], count: int) -> Iterator[Part]:
    """Cuts images and their targets into ``count`` parts, as even as can be."""
    images, targets = batch
    size = int(images.shape[0])
    edges = [size * i // count for i in range(count + 1)]
    for start, end in pairwise(edges):
        others = None if targets.others is None else targets.others[start:end]
        part = Targets(targets.labels[start:end], others, targets.share)
        yield Part(images[start:end], part, (end - start) / size)


def _added(total: list[Tensor], found: Sequence[Tensor], share: float) -> list[Tensor]:
    """Returns the gradients so far with those of another part."""
    mine = [share * each for each in found]
    return [a + b for a, b in zip(total, mine, strict=True)] if total else mine


class TensorFlowSteps:
    """Steps as TensorFlow graphs; XLA stays off, which on CPUs starts 3x and steps 2x slower.

    Args:
        model: to be trained.
        optimizer: of its trainable variables.
        loss: from outputs.
        accumulate: parts in which a batch is trained one after the other, so that activations of
            one part alone are in memory; their gradients are averaged.
    """

    def __init__(
        self, model: Any, optimizer: FusedOptimizer, loss: TrainingLoss, accumulate: int = 1
    ) -> None:
        import tensorflow as tf

        self._tf, self._model, self._optimizer = tf, model, optimizer
        self._loss = loss
        self._weights = [v.value for v in model.trainable_variables]
        self._train = tf.function(self._train_step, autograph=False, jit_compile=False)
        self._measure = tf.function(self._measure_step, autograph=False, jit_compile=False)
        self._accumulate = accumulate
        self._prepare = tf.function(transform, autograph=False)
        self._part = tf.function(self._gradients, autograph=False)
        self._apply = tf.function(optimizer.apply, autograph=False)

    def train(self, batch: Batch) -> Tensor:
        """Does one training step."""
        if self._accumulate == 1:
            return self._train(batch.images, batch.labels, batch.draw)
        whole = self._prepare(
            self._tf.constant(batch.images), self._tf.constant(batch.labels), batch.draw
        )
        gradients: list[Tensor] = []
        report: Tensor = 0.0
        for part in parts(whole, self._accumulate):
            found, told = self._part(part.images, part.targets)
            gradients = _added(gradients, found, part.share)
            report = report + part.share * told
        self._apply(gradients)
        return report

    def measure(self, batch: Batch) -> Tensor:
        """Measures one batch."""
        return self._measure(batch.images, batch.labels, batch.weights)

    def settle(self) -> None:
        """Nothing to do: the steps work on the variables themselves."""

    def _train_step(self, images: Tensor, labels: Tensor, draw: Mapping[str, Tensor]) -> Tensor:
        gradients, report = self._gradients(*transform(images, labels, draw))
        self._optimizer.apply(gradients)
        return report

    def _gradients(self, images: Tensor, targets: Targets) -> tuple[list[Tensor], Tensor]:
        with self._tf.GradientTape() as tape:
            outputs = self._model(images, training=True)
            loss, report = self._loss.compute(targets, outputs)
        zero = self._tf.UnconnectedGradients.ZERO
        return tape.gradient(loss, self._weights, unconnected_gradients=zero), report

    def _measure_step(self, images: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        outputs = self._model(images, training=False)
        return self._loss.evaluate(labels, outputs, weights)


class JaxSteps:
    """Steps as jitted functions of a state that is in the Keras variables between epochs only.

    The arguments are those of :class:`TensorFlowSteps`.
    """

    def __init__(
        self, model: Any, optimizer: FusedOptimizer, loss: TrainingLoss, accumulate: int = 1
    ) -> None:
        import jax

        self._jax, self._model, self._optimizer = jax, model, optimizer
        self._loss = loss
        self._groups = (
            model.trainable_variables,
            model.non_trainable_variables,
            optimizer.variables,
        )
        self._state: Any = None
        self._train = jax.jit(self._train_step, donate_argnums=0)
        self._measure = jax.jit(self._measure_step)
        self._accumulate = accumulate
        self._prepare = jax.jit(transform)
        self._part = jax.jit(self._gradients)
        self._apply = jax.jit(self._updated, donate_argnums=(0, 1))

    def train(self, batch: Batch) -> Tensor:
        """Does one training step."""
        state = self._state or self._read()
        if self._accumulate > 1:
            return self._train_parts(state, batch)
        self._state, report = self._train(state, batch.images, batch.labels, batch.draw)
        return report

    def _train_parts(self, state: Any, batch: Batch) -> Tensor:
        weights, others, slots = state
        whole = self._prepare(batch.images, batch.labels, batch.draw)
        gradients: list[Tensor] = []
        report: Tensor = 0.0
        for part in parts(whole, self._accumulate):
            found, (others, told) = self._part(weights, others, part.images, part.targets)
            gradients = _added(gradients, found, part.share)
            report = report + part.share * told
        weights, slots = self._apply(weights, slots, gradients)
        self._state = (weights, others, slots)
        return report

    def measure(self, batch: Batch) -> Tensor:
        """Measures one batch."""
        return self._measure(self._read()[:2], batch.images, batch.labels, batch.weights)

    def settle(self) -> None:
        """Writes the state back."""
        for variables, arrays in zip(self._groups, self._state or (), strict=False):
            for variable, array in zip(variables, arrays, strict=True):
                variable.assign(array)
        self._state = None

    def _read(self) -> Any:
        return tuple([v.value for v in variables] for variables in self._groups)

    def _train_step(
        self, state: Any, images: Tensor, labels: Tensor, draw: Mapping[str, Tensor]
    ) -> tuple[Any, Tensor]:
        weights, others, slots = state
        whole = transform(images, labels, draw)
        gradients, (others, report) = self._gradients(weights, others, *whole)
        weights, slots = self._updated(weights, slots, gradients)
        return (weights, others, slots), report

    def _gradients(self, weights: Any, others: Any, images: Tensor, targets: Targets) -> Any:
        """Returns the gradients, and the other variables afterwards and the report."""

        def loss(weights: Any) -> tuple[Tensor, Any]:
            outputs, after = self._model.stateless_call(weights, others, images, training=True)
            value, report = self._loss.compute(targets, outputs)
            return value, (after, report)

        return self._jax.grad(loss, has_aux=True)(weights)

    def _updated(self, weights: Any, slots: Any, gradients: Any) -> tuple[Any, Any]:
        variables = [*self._groups[0], *self._groups[2]]
        mapping = zip(variables, [*weights, *slots], strict=True)
        with keras.StatelessScope(state_mapping=list(mapping)) as scope:
            self._optimizer.apply(gradients)
        after = [scope.get_current_value(v) for v in variables]
        return after[: len(weights)], after[len(weights) :]

    def _measure_step(self, state: Any, images: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        outputs, _ = self._model.stateless_call(*state, images, training=False)
        return self._loss.evaluate(labels, outputs, weights)


def compile_steps(
    model: Any, optimizer: FusedOptimizer, loss: TrainingLoss, accumulate: int = 1
) -> Steps:
    """Returns the steps for the backend in use."""
    kind = TensorFlowSteps if keras.backend.backend() == "tensorflow" else JaxSteps
    return kind(model, optimizer, loss, accumulate)
