"""Latency of a candidate before it is trained: LiteRT on this machine, one image, one thread.

It is the processor time of that thread, which LiteRT computes in: on an idle machine that is the
time that passes, and on a busy one other programs do not make a candidate look slow.

``python -m cnnsearch.training.latency`` measures many networks for a search's latency model.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.errors import CnnsearchError
from cnnsearch.training.measure_latency import Latency, measure
from cnnsearch.utils import environment
from cnnsearch.utils.atomic_files import write_text

if TYPE_CHECKING:
    from cnnsearch.training.messages import TrialTask

PRECISIONS = ("float32", "int8")
FILE = "latency.json"
"""In the folder of a trial: what was measured, in milliseconds."""
SECONDS = 1.0
"""Of one measurement at most: candidates wait for it."""
IMAGES = 4
"""From whose statistics maps are normalized."""


@dataclass(frozen=True)
class LatencyTask:
    """What a trial measures before it trains.

    Attributes:
        precision: one of :data:`PRECISIONS`.
        limit: milliseconds above which it is not trained; None: there is no limit.
    """

    precision: str
    limit: float | None


def measure_untrained(
    architecture: Architecture, image: tuple[int, int], precision: str, seconds: float = SECONDS
) -> Latency:
    """Returns the latency of a network as its export will have it, but with random weights.

    Args:
        architecture: the network; its training branches are folded.
        image: height and width of the images that it is given.
        precision: one of :data:`PRECISIONS`.
        seconds: of timed calls at most.
    """
    import numpy as np

    from cnnsearch.training.litert import convert
    from cnnsearch.training.model import build

    folded = architecture.fold()
    height, width, channels = folded.input
    model = build(folded, mean=[0.5] * channels, std=[0.25] * channels)
    rng, shape = np.random.default_rng(0), (1, *image, channels)
    _estimate_statistics(model, rng.integers(0, 256, (IMAGES, *folded.input), np.uint8))
    pixels = rng.uniform(0, 255, shape).astype(np.float32)
    content = convert(model, (height, width), shape, precision, lambda: [[pixels]])
    return measure(_open(content, pixels), seconds, time.thread_time)


def _estimate_statistics(model: Any, images: Any) -> None:
    """Gives batch normalization the statistics of some images.

    With those that it begins with, maps vanish or grow from layer to layer: LiteRT can
    quantize neither.
    """
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(images, training=True)


def measure_candidate(task: "TrialTask", wanted: LatencyTask) -> float:
    """Returns the latency of a trial's network in milliseconds; measured once in its life.

    A promoted trial has the latency of the trial that it continues.

    Raises:
        CandidateFailure: it is above the limit.
    """
    for folder in (task.directory, task.continues):
        if folder is not None and (folder / FILE).is_file():
            return float(json.loads((folder / FILE).read_text("utf-8")))
    found = measure_untrained(task.architecture, task.dataset.image, wanted.precision)
    if wanted.limit is not None and found.median > wanted.limit:
        from cnnsearch.training.messages import CandidateFailure

        shown = f"{found.median:.4g} ms, the limit is {wanted.limit:g} ms"
        raise CandidateFailure("over_budget", f"measured latency {shown}: not trained")
    write_text(task.directory / FILE, json.dumps(found.median))
    return found.median


def _open(content: bytes, pixels: Any) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(model_content=content, num_threads=1)
    model.allocate_tensors()
    model.set_tensor(model.get_input_details()[0]["index"], pixels.astype("uint8"))
    return model.invoke


def main(networks: Sequence[Any], image: tuple[int, int], precision: str) -> None:
    """Prints the latency of each network, in milliseconds, or null if it cannot be converted."""
    import keras

    for data in networks:
        try:
            keras.utils.clear_session(free_memory=False)
            found = measure_untrained(Architecture.from_data(data), image, precision)
            print(json.dumps(found.median), flush=True)
        except (CnnsearchError, RuntimeError, ValueError):
            print("null", flush=True)


if __name__ == "__main__":
    environment.configure_backend()
    environment.import_frameworks()
    task = json.load(sys.stdin)
    main(task["networks"], tuple(task["image"]), task["precision"])
