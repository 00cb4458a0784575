"""Predicts the latency of candidates from those that were measured on a device."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import PredictedCost
from cnnsearch.architecture.wiring import Step, trace
from cnnsearch.architecture.work import count_work
from cnnsearch.oracles.protocol import CheckFeasibility, Feasibility
from cnnsearch.space.search_space import SearchSpace

FEWEST = 8
"""Measured networks that a model needs."""
LANES = 16
"""Channels are computed in groups of about so many; the last group may be partly empty."""


@dataclass(frozen=True)
class LatencyModel:
    """A linear model of milliseconds, its coefficients not negative.

    Relative errors are minimized, so that fast networks count as much as slow ones.

    Attributes:
        weights: milliseconds for each of the terms of :func:`list_terms`.
    """

    weights: tuple[float, ...]

    @classmethod
    def fit(cls, networks: Sequence[Architecture], latencies: Sequence[float]) -> "LatencyModel":
        """Returns the model of measured networks.

        Args:
            networks: at least :data:`FEWEST`.
            latencies: of each, in milliseconds.
        """
        import numpy as np
        from sklearn.linear_model import LinearRegression

        rows = np.array([list_terms(network) for network in networks])
        scale = rows.max(axis=0)
        scale[scale == 0] = 1.0
        shares = rows / scale / np.asarray(latencies)[:, None]
        regression = LinearRegression(fit_intercept=False, positive=True)
        regression.fit(shares, np.ones(len(rows)))
        return cls(tuple(float(each) for each in regression.coef_ / scale))

    def predict(self, network: Architecture) -> float:
        """Returns milliseconds.

        Raises:
            ArchitectureError: the network cannot be wired.
        """
        return sum(w * x for w, x in zip(self.weights, list_terms(network), strict=True))


def list_terms(network: Architecture) -> tuple[float, ...]:
    """Returns what the latency of a network is made of.

    One for the call, multiply-accumulates of four kinds of layers, values read and written, those
    of smooth activations, weights read, and the number of layers of two kinds. Training branches
    are folded, as exports do.

    Raises:
        ArchitectureError: the network cannot be wired.
    """
    terms = dict.fromkeys(("spatial", "pointwise", "depthwise", "grouped"), 0.0)
    moved = weights = layers = others = 0.0
    deployed = network.fold()
    for step in trace(deployed, auxiliary=False)[1:]:
        read = sum(_size(each) for each in step.inputs)
        moved += read + _size(step)
        weights += step.params
        if step.macs:
            terms[_name_kind(step)] += step.macs * _round_up(step)
            layers += 1
        else:
            others += 1
    smooth = count_work(deployed).smooth
    return (1.0, *terms.values(), moved, smooth, weights, layers, others)


def _name_kind(step: Step) -> str:
    if step.verb == "depthwise_conv":
        return "depthwise"
    if step.options.get("groups", 1) > 1:
        return "grouped"
    return "spatial" if step.options.get("kernel", 1) not in (1, (1, 1)) else "pointwise"


def _round_up(step: Step) -> float:
    """Returns by how much whole groups of channels exceed those that a layer puts out."""
    channels = step.output.c
    return -(-channels // LANES) * LANES / channels


def _size(step: Step) -> int:
    return step.output.h * step.output.w * step.output.c


class LatencyCheck:
    """A feasibility check that also predicts the latency, and rejects what exceeds the limit.

    Args:
        check: of everything else.
        space: decodes values.
        model: of the device.
        limit: in milliseconds; None: there is none.
    """

    def __init__(
        self, check: CheckFeasibility, space: SearchSpace, model: LatencyModel, limit: float | None
    ) -> None:
        self._check, self._space, self._model, self._limit = check, space, model, limit

    def __call__(self, values: Mapping[str, Any]) -> Feasibility:
        """Returns the feasibility of one candidate."""
        found = self._check(values)
        if not found.is_feasible or found.cost is None:
            return found
        latency = self._model.predict(self._space.decode(values).architecture)
        cost = PredictedCost(**vars(found.cost), latency_ms=latency)
        known = replace(found, cost=cost, size=found.size + math.log(max(latency, 1e-6)))
        if self._limit is None or latency <= self._limit:
            return known
        return replace(known, is_feasible=False, reason="budget")
