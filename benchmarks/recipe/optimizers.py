"""An optimizer of which ``ablation.py`` measures whether it pays: Lookahead."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from cnnsearch.training.optimizers import FusedOptimizer

Tensor = Any

EVERY, DECAY = 5, 0.95
"""Of Lookahead: steps between two averages, and the slow weights' decay in each at the end."""


class Lookahead(FusedOptimizer):
    """Slow weights that the optimizer's return to (arXiv:1907.08610), less and less at first.

    The share that the slow weights keep rises with the cube of the time (arXiv:2404.00498, the
    appendix's listing).
    """

    def __init__(self, recipe: Any, steps: int, variables: Sequence[Any]) -> None:
        super().__init__(recipe, steps, variables)
        self._steps = steps
        slow = keras.Variable(self._read(), dtype="float32", trainable=False, name="slow")
        self._slow = [slow]

    @property
    def variables(self) -> list[Any]:
        return [*super().variables, *self._slow]

    def _update_average(self, step: Tensor) -> None:
        super()._update_average(step)
        fast = self._flatten([ops.convert_to_tensor(v) for v in self._trained])
        kept = DECAY**EVERY * ops.power(step / self._steps, 3.0)
        slow = ops.convert_to_tensor(self._slow[0])
        is_due = ops.equal(ops.mod(step, float(EVERY)), 0.0)
        slow = ops.where(is_due, kept * slow + (1.0 - kept) * fast, slow)
        self._slow[0].assign(slow)
        parts = ops.split(ops.where(is_due, slow, fast), np.cumsum(self._sizes)[:-1].tolist())
        for variable, part in self._pairs(parts):
            variable.assign(ops.reshape(part, variable.shape))
