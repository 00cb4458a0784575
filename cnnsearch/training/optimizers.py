"""Optimizers of a recipe: a fused one for cnnsearch's training loop, Keras's own for ``fit``.

Keras's optimizers update variable by variable, a dozen operations each; tracing them took a third
of a candidate's fixed cost. :class:`FusedOptimizer` computes the same on one flat vector.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops

from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training.muon import KernelMuon, group_kernels, orthogonalize

Tensor = Any
Update = Callable[[Tensor, list[Tensor], Tensor, Tensor, float], tuple[Tensor, list[Tensor]]]
"""(gradient, slots, rate, step counted from 1, momentum) -> change to subtract, new slots."""

EPSILON = 1e-7
BETA_2 = 0.999
LION_BETA_2 = 0.99
RHO = 0.9
ONE_CYCLE_START = 1 / 25


class Schedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Linear warm-up, then cosine (arXiv:1608.03983), one cycle (arXiv:1708.07120) or constant.

    One cycle rises from a 25th of the peak and falls linearly.

    Args:
        recipe: its ``learning_rate``, ``schedule`` and ``warmup``.
        steps: of the whole training.
    """

    def __init__(self, recipe: TrainingRecipe, steps: int) -> None:
        self.peak, self.kind, self.warmup = recipe.learning_rate, recipe.schedule, recipe.warmup
        self.steps = max(1, steps)

    def __call__(self, step: Tensor) -> Tensor:
        """Returns the rate of a step, counted from 0."""
        step = ops.cast(step, "float32")
        warm = self.warmup * self.steps
        climb = ops.minimum(1.0, (step + 1.0) / max(1.0, warm))
        done = ops.clip((step - warm) / max(1.0, self.steps - warm), 0.0, 1.0)
        if self.kind == "cosine":
            return self.peak * climb * 0.5 * (1.0 + ops.cos(math.pi * done))
        if self.kind == "one_cycle":
            start = ONE_CYCLE_START if warm else 1.0
            return self.peak * (start + (1.0 - start) * climb) * (1.0 - done)
        return self.peak * climb

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of :meth:`from_config`."""
        return {
            "recipe": {"learning_rate": self.peak, "schedule": self.kind, "warmup": self.warmup},
            "steps": self.steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Schedule":
        """Creates a schedule from the output of :meth:`get_config`."""
        return cls(TrainingRecipe.from_data(config["recipe"]), config["steps"])


def has_weight_decay(variable: Any) -> bool:
    """Whether weight decay applies: to kernels; not to biases, normalization and coefficients."""
    return "kernel" in variable.name and len(variable.shape) > 1


def create_keras_optimizer(
    recipe: TrainingRecipe, steps: int, variables: Sequence[Any]
) -> keras.optimizers.Optimizer:
    """Returns Keras's optimizer for ``model.compile``; not yet built.

    Args:
        recipe: its optimizer, schedule, weight decay, clipping and EMA.
        steps: of the whole training.
        variables: the trainable ones.
    """
    optimizer = _create(recipe, steps)
    if recipe.weight_decay:
        optimizer.exclude_from_weight_decay([v for v in variables if not has_weight_decay(v)])
    return optimizer


def _create(recipe: TrainingRecipe, steps: int) -> keras.optimizers.Optimizer:
    shared = {
        "learning_rate": Schedule(recipe, steps),
        "weight_decay": recipe.weight_decay or None,
        "global_clipnorm": recipe.clip_norm,
        "use_ema": recipe.ema is not None,
        "ema_momentum": recipe.ema or 0.99,
    }
    m = recipe.momentum
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(momentum=m, nesterov=bool(m), **shared)
    if recipe.optimizer == "lion":
        return keras.optimizers.Lion(beta_1=max(m, EPSILON), beta_2=LION_BETA_2, **shared)
    if recipe.optimizer == "rmsprop":
        return keras.optimizers.RMSprop(rho=RHO, momentum=m, **shared)
    if recipe.optimizer == "muon":
        decay = shared["weight_decay"]
        return KernelMuon(momentum=m, adam_beta_1=m, adam_weight_decay=decay, **shared)
    return keras.optimizers.Adam(beta_1=m, beta_2=BETA_2, **shared)


def _adam(
    g: Tensor, slots: list[Tensor], rate: Tensor, step: Tensor, momentum: float
) -> tuple[Tensor, list[Tensor]]:
    m = momentum * slots[0] + (1 - momentum) * g
    v = BETA_2 * slots[1] + (1 - BETA_2) * ops.square(g)
    rate = rate * ops.sqrt(1 - ops.power(BETA_2, step)) / (1 - ops.power(momentum, step))
    return rate * m / (ops.sqrt(v) + EPSILON), [m, v]


def _sgd(
    g: Tensor, slots: list[Tensor], rate: Tensor, step: Tensor, momentum: float
) -> tuple[Tensor, list[Tensor]]:
    m = momentum * slots[0] + rate * g
    return momentum * m + rate * g, [m]


def _lion(
    g: Tensor, slots: list[Tensor], rate: Tensor, step: Tensor, momentum: float
) -> tuple[Tensor, list[Tensor]]:
    direction = ops.sign(momentum * slots[0] + (1 - momentum) * g)
    return rate * direction, [LION_BETA_2 * slots[0] + (1 - LION_BETA_2) * g]


def _rmsprop(
    g: Tensor, slots: list[Tensor], rate: Tensor, step: Tensor, momentum: float
) -> tuple[Tensor, list[Tensor]]:
    v = RHO * slots[0] + (1 - RHO) * ops.square(g)
    m = momentum * slots[1] + rate * g / ops.sqrt(v + EPSILON)
    return m, [v, m]


UPDATES: dict[str, tuple[Update, int]] = {
    "adamw": (_adam, 2),
    "sgd": (_sgd, 1),
    "lion": (_lion, 1),
    "rmsprop": (_rmsprop, 2),
    "muon": (_adam, 2),  # of what Muon leaves to AdamW
}
"""The update of each optimizer, and its number of slots."""


class FusedOptimizer:
    """The recipe's optimizer on one flat vector: Keras's numbers with a tenth of the operations.

    Args:
        recipe: as for :func:`create_keras_optimizer`. The decay of the moving average rises as
            (1 + t) / (10 + t), so that short trainings do not average in their random start.
        steps: of the whole training.
        variables: the trainable ones.
    """

    def __init__(self, recipe: TrainingRecipe, steps: int, variables: Sequence[Any]) -> None:
        self.schedule = Schedule(recipe, steps)
        self._recipe, self._trained = recipe, list(variables)
        self._sizes = [int(np.prod(v.shape)) for v in self._trained]
        self._update, slots = UPDATES[recipe.optimizer]
        self._groups = group_kernels(variables) if recipe.optimizer == "muon" else []
        total = sum(self._sizes)
        self.iterations = keras.Variable(0, dtype="int32", trainable=False, name="iteration")
        self._slots = [_create_slot(np.zeros(total), f"slot_{i}") for i in range(slots)]
        self._average = [] if recipe.ema is None else [_create_slot(self._read(), "average")]

    @property
    def variables(self) -> list[Any]:
        """The state, in a fixed order."""
        return [self.iterations, *self._slots, *self._average]

    def copy_state(self, other: "FusedOptimizer") -> None:
        """Copies the state of the optimizer of another model with the same weights."""
        for mine, theirs in zip(self.variables, other.variables, strict=True):
            mine.assign(theirs)

    def get_rate(self) -> float:
        """Returns the learning rate of the last step."""
        done = int(np.asarray(self.iterations))
        return float(np.asarray(self.schedule(max(0, done - 1))))

    def apply(self, gradients: Sequence[Tensor | None]) -> None:
        """Applies one step; None stands for a gradient of zero."""
        rate = self.schedule(self.iterations)
        step = ops.cast(self.iterations, "float32") + 1.0
        flat = self._flatten(
            [ops.zeros(v.shape) if g is None else g for v, g in self._pairs(gradients)]
        )
        if self._recipe.clip_norm:
            norm = ops.sqrt(ops.sum(ops.square(flat)))
            flat = flat * ops.minimum(1.0, self._recipe.clip_norm / ops.maximum(norm, EPSILON))
        change, slots = self._update(
            flat, [ops.convert_to_tensor(s) for s in self._slots], rate, step, self._recipe.momentum
        )
        for variable, value in zip(self._slots, slots, strict=True):
            variable.assign(value)
        changes = self._split(change)
        if self._groups:
            momentum = self._recipe.momentum
            directions = self._split(momentum * slots[0] + (1 - momentum) * flat)
            for group in self._groups:
                found = orthogonalize([directions[place] for place in group])
                for place, direction in zip(group, found, strict=True):
                    changes[place] = rate * direction
        self._subtract(changes, rate)
        self._update_average(step)
        self.iterations.assign_add(1)

    def _subtract(self, changes: Sequence[Tensor], rate: Tensor) -> None:
        for variable, part in self._pairs(changes):
            value = ops.convert_to_tensor(variable)
            if self._recipe.norm_bias_rate != 1.0 and variable.name == "beta":
                part = part * self._recipe.norm_bias_rate
            if self._recipe.weight_decay and has_weight_decay(variable):
                part = part + rate * self._recipe.weight_decay * value
            variable.assign(value - part)

    def _update_average(self, step: Tensor) -> None:
        """Moves the average towards the weights."""
        for average in self._average:
            decay = ops.minimum(self._recipe.ema, (1.0 + step) / (10.0 + step))
            weights = self._flatten([ops.convert_to_tensor(v) for v in self._trained])
            average.assign(decay * average + (1.0 - decay) * weights)

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """Swaps the moving average of the weights in, if there is one."""
        if not self._average:
            yield
            return
        weights = self._read()
        self._write(np.asarray(self._average[0]))
        try:
            yield
        finally:
            self._write(weights)

    def _split(self, flat: Tensor) -> list[Tensor]:
        parts = ops.split(flat, np.cumsum(self._sizes)[:-1].tolist())
        return [ops.reshape(part, variable.shape) for variable, part in self._pairs(parts)]

    def _flatten(self, tensors: Sequence[Tensor]) -> Tensor:
        return ops.concatenate([ops.reshape(ops.cast(t, "float32"), (-1,)) for t in tensors])

    def _pairs(self, tensors: Sequence[Tensor]) -> Iterator[tuple[Any, Tensor]]:
        return zip(self._trained, tensors, strict=True)

    def _read(self) -> Any:
        return np.concatenate([np.ravel(np.asarray(v)) for v in self._trained])

    def _write(self, flat: Any) -> None:
        for variable, part in self._pairs(np.split(flat, np.cumsum(self._sizes)[:-1])):
            variable.assign(part.reshape(variable.shape))


def _create_slot(value: Any, name: str) -> Any:
    return keras.Variable(value, dtype="float32", trainable=False, name=name)
