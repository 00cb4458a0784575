"""Divides a cluster's cores and GPUs among trials."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """The cores and GPUs of a trial."""

    cpus: int
    gpus: float


def compute_share(
    nodes: Iterable[Mapping[str, float]], slots: int | None, gpus: float | None
) -> Share:
    """Returns the largest equal share with which the requested number of trials fits.

    Args:
        nodes: resources of each node: CPU, GPU.
        slots: trials in parallel; None: one per core, or as many as the GPUs allow.
        gpus: per trial; None: one, if there are any.
    """
    there = list(nodes)
    if gpus is None:
        gpus = 1.0 if any(node.get("GPU", 0) >= 1 for node in there) else 0.0
    if slots is None and not gpus:
        return Share(1, 0.0)
    wanted = slots or max(1, count_slots(there, Share(1, gpus)))
    most = int(max((node.get("CPU", 0) for node in there), default=1))
    fitting = [n for n in range(1, most + 1) if count_slots(there, Share(n, gpus)) >= wanted]
    return Share(max(fitting, default=1), gpus)


def count_slots(nodes: Iterable[Mapping[str, float]], share: Share) -> int:
    """Returns how many trials fit on these nodes in parallel."""
    return sum(_count_on_node(node, share) for node in nodes)


def _count_on_node(node: Mapping[str, float], share: Share) -> int:
    fitting = node.get("CPU", 0) / share.cpus
    if share.gpus:
        whole = int(node.get("GPU", 0))  # a trial's share lies on one GPU
        per_gpu = math.floor(1 / share.gpus + 1e-9)
        fitting = min(fitting, whole * per_gpu if per_gpu else whole / share.gpus)
    return math.floor(fitting + 1e-9)
