"""Compiled steps of training and evaluation, for either backend.

``model.fit`` traces the training step twice and once more for its metrics; this traces it once.
Results stay on the device until they are read.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import keras

from cnnsearch.training.augmentation_ops import Targets, augment
from cnnsearch.training.batches import Batch, stack_batches
from cnnsearch.training.fused_norm import use_fused_kernels
from cnnsearch.training.losses import TrainingLoss
from cnnsearch.training.micro_batches import average_gradients, split_rows
from cnnsearch.training.optimizers import FusedOptimizer

Tensor = Any


class Steps(Protocol):
    """The compiled steps of one model."""

    def train(self, batches: Sequence[Batch]) -> Tensor:
        """Does a step with each batch, all of one shape; returns mean loss and accuracy, (S, 2)."""
        ...

    def evaluate(self, batch: Batch) -> Tensor:
        """Returns each example's weighted cross-entropy, and its predicted class, (2, N)."""
        ...

    def sync_variables(self) -> None:
        """Updates the Keras variables after training steps."""
        ...


class _ModelSteps:
    """What the steps of both backends are made from.

    Args:
        model: to train.
        optimizer: of its trainable variables.
        loss: from outputs.
        accumulate: micro-batches per step: only one's activations are in memory at a time, and
            their gradients are averaged.
        trained: a model of the same variables that is trained instead; None: ``model``, which is
            evaluated.
        splits: parts of each batch that are computed side by side; of each micro-batch, which is a
            part already, ``splits // accumulate``.
    """

    def __init__(
        self,
        model: Any,
        optimizer: FusedOptimizer,
        loss: TrainingLoss,
        accumulate: int = 1,
        trained: Any = None,
        splits: int = 1,
    ) -> None:
        self._model, self._optimizer, self._loss = model, optimizer, loss
        self._accumulate, self._trained = accumulate, trained or model
        self._splits = max(1, splits // accumulate)


class TensorFlowSteps(_ModelSteps):
    """Steps as TensorFlow graphs; without XLA, with which CPUs start 3x and step 2x slower."""

    def __init__(self, model: Any, optimizer: FusedOptimizer, *given: Any, **more: Any) -> None:
        import tensorflow as tf

        super().__init__(model, optimizer, *given, **more)
        self._tf = tf
        self._weights = [v.value for v in model.trainable_variables]
        self._train: Any = None
        self._evaluate = tf.function(self._evaluation_step, autograph=False, jit_compile=False)
        self._augment = tf.function(augment, autograph=False)
        self._differentiate_part = tf.function(self._differentiate, autograph=False)
        self._apply = tf.function(optimizer.apply, autograph=False)

    def train(self, batches: Sequence[Batch]) -> Tensor:
        if self._accumulate > 1:
            return self._tf.stack([self._train_in_parts(batch) for batch in batches])
        stack = stack_batches(batches)
        if self._train is None:
            self._train = self._compile_loop(stack)
        return self._train(*stack)

    def _train_in_parts(self, batch: Batch) -> Tensor:
        images, labels = self._tf.constant(batch.images), self._tf.constant(batch.labels)
        whole = self._augment(images, labels, batch.draw)
        gradients, report = average_gradients(whole, self._accumulate, self._differentiate_part)
        self._apply(gradients)
        return report

    def _compile_loop(self, stack: Any) -> Any:
        """Compiles the steps of a stack of batches, of any number: it is traced once."""
        signature = self._tf.nest.map_structure(
            lambda x: self._tf.TensorSpec((None, *x.shape[1:]), x.dtype), stack
        )
        return self._tf.function(self._train_stack, signature, autograph=False, jit_compile=False)

    def _train_stack(self, images: Tensor, labels: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        # A loop inside the call: calling takes a millisecond, about a quarter of a small step.
        count = self._tf.shape(images)[0]

        def train_next(step: Tensor, reports: Any) -> tuple[Tensor, Any]:
            draw = {key: each[step] for key, each in draws.items()}
            return step + 1, reports.write(step, self._train_step(images[step], labels[step], draw))

        empty = self._tf.TensorArray("float32", count, element_shape=(2,))
        _, reports = self._tf.while_loop(
            lambda step, _: step < count, train_next, (0, empty), parallel_iterations=1
        )
        return reports.stack()

    def evaluate(self, batch: Batch) -> Tensor:
        return self._evaluate(batch.images, batch.labels, batch.weights)

    def sync_variables(self) -> None:
        """Does nothing: the steps update the Keras variables themselves."""

    def _train_step(self, images: Tensor, labels: Tensor, draw: Mapping[str, Tensor]) -> Tensor:
        gradients, report = self._differentiate(*augment(images, labels, draw))
        self._optimizer.apply(gradients)
        return report

    def _differentiate(self, images: Tensor, targets: Targets) -> tuple[Sequence[Tensor], Tensor]:
        # The parts do not depend on each other, so that TensorFlow runs them at the same time: that
        # is faster than all cores in each operation (benchmarks/speed/splits.txt).
        return average_gradients((images, targets), self._splits, self._differentiate_one)

    def _differentiate_one(self, images: Tensor, targets: Targets) -> tuple[list[Tensor], Tensor]:
        with self._tf.GradientTape() as tape:
            with use_fused_kernels(self._trained):
                outputs = self._trained(images, training=True)
            loss, report = self._loss.compute(targets, outputs)
        zero = self._tf.UnconnectedGradients.ZERO
        return tape.gradient(loss, self._weights, unconnected_gradients=zero), report

    def _evaluation_step(self, images: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        with use_fused_kernels(self._model):
            parts = [
                self._loss.evaluate(
                    labels[at], self._model(images[at], training=False), weights[at]
                )
                for at in split_rows(int(images.shape[0]), self._splits)
            ]
        return self._tf.concat(parts, axis=1)


class JaxSteps(_ModelSteps):
    """Steps as jitted functions of a state that the Keras variables have only between epochs."""

    def __init__(self, model: Any, optimizer: FusedOptimizer, *given: Any, **more: Any) -> None:
        import jax

        super().__init__(model, optimizer, *given, **more)
        self._jax = jax
        self._groups = (
            model.trainable_variables,
            model.non_trainable_variables,
            optimizer.variables,
        )
        self._state: Any = None
        self._train = jax.jit(self._train_step, donate_argnums=0)
        self._evaluate = jax.jit(self._evaluation_step)
        self._augment = jax.jit(augment)
        self._differentiate_part = jax.jit(self._differentiate)
        self._apply = jax.jit(self._update, donate_argnums=(0, 1))

    def train(self, batches: Sequence[Batch]) -> Tensor:
        # Not a loop inside the call: each length would be compiled anew.
        return self._jax.numpy.stack([self._train_one(batch) for batch in batches])

    def _train_one(self, batch: Batch) -> Tensor:
        state = self._state or self._read_variables()
        if self._accumulate > 1:
            return self._train_in_parts(state, batch)
        self._state, report = self._train(state, batch.images, batch.labels, batch.draw)
        return report

    def _train_in_parts(self, state: Any, batch: Batch) -> Tensor:
        weights, others, slots = state
        whole = self._augment(batch.images, batch.labels, batch.draw)
        gradients, (others, report) = self._average(
            weights, others, whole, self._accumulate, self._differentiate_part
        )
        weights, slots = self._apply(weights, slots, gradients)
        self._state = (weights, others, slots)
        return report

    def evaluate(self, batch: Batch) -> Tensor:
        state = self._read_variables()[:2]
        return self._evaluate(state, batch.images, batch.labels, batch.weights)

    def sync_variables(self) -> None:
        for variables, arrays in zip(self._groups, self._state or (), strict=False):
            for variable, array in zip(variables, arrays, strict=True):
                variable.assign(array)
        self._state = None

    def _read_variables(self) -> Any:
        return tuple([v.value for v in variables] for variables in self._groups)

    def _train_step(
        self, state: Any, images: Tensor, labels: Tensor, draw: Mapping[str, Tensor]
    ) -> tuple[Any, Tensor]:
        weights, others, slots = state
        whole = augment(images, labels, draw)
        gradients, (others, report) = self._differentiate(weights, others, *whole)
        weights, slots = self._update(weights, slots, gradients)
        return (weights, others, slots), report

    def _differentiate(self, weights: Any, others: Any, images: Tensor, targets: Targets) -> Any:
        """Returns the gradients, and the other variables afterwards and the report."""
        whole = images, targets
        return self._average(weights, others, whole, self._splits, self._differentiate_one)

    @staticmethod
    def _average(
        weights: Any, others: Any, batch: tuple[Tensor, Targets], count: int, function: Any
    ) -> Any:
        """Returns what ``function`` does of a batch, averaged over ``count`` micro-batches."""

        def differentiate(images: Tensor, targets: Targets) -> tuple[Any, Tensor]:
            nonlocal others
            gradients, (others, report) = function(weights, others, images, targets)
            return gradients, report

        gradients, report = average_gradients(batch, count, differentiate)
        return gradients, (others, report)

    def _differentiate_one(
        self, weights: Any, others: Any, images: Tensor, targets: Targets
    ) -> Any:
        def compute_loss(weights: Any) -> tuple[Tensor, Any]:
            outputs, after = self._trained.stateless_call(weights, others, images, training=True)
            value, report = self._loss.compute(targets, outputs)
            return value, (after, report)

        return self._jax.grad(compute_loss, has_aux=True)(weights)

    def _update(self, weights: Any, slots: Any, gradients: Any) -> tuple[Any, Any]:
        variables = [*self._groups[0], *self._groups[2]]
        mapping = zip(variables, [*weights, *slots], strict=True)
        with keras.StatelessScope(state_mapping=list(mapping)) as scope:
            self._optimizer.apply(gradients)
        after = [scope.get_current_value(v) for v in variables]
        return after[: len(weights)], after[len(weights) :]

    def _evaluation_step(
        self, state: Any, images: Tensor, labels: Tensor, weights: Tensor
    ) -> Tensor:
        outputs, _ = self._model.stateless_call(*state, images, training=False)
        return self._loss.evaluate(labels, outputs, weights)


def compile_steps(
    model: Any,
    optimizer: FusedOptimizer,
    loss: TrainingLoss,
    accumulate: int = 1,
    trained: Any = None,
    splits: int = 1,
) -> Steps:
    """Returns the steps for the backend in use."""
    kind = TensorFlowSteps if keras.backend.backend() == "tensorflow" else JaxSteps
    return kind(model, optimizer, loss, accumulate, trained, splits)
