"""Writes exports and computes the Keras model's answers, in a process of its own.

``python -m cnnsearch.exporters.worker TASK`` reads a task that :mod:`cnnsearch.exporters.inputs`
wrote as JSON. The memory and the console output of the converters end with the process.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.errors import CnnsearchError
from cnnsearch.exporters.formats import find_format
from cnnsearch.exporters.formats.base import ExportJob
from cnnsearch.exporters.serving_model import build_network
from cnnsearch.training import checkpoint
from cnnsearch.training.checkpoint import read_weights
from cnnsearch.training.folding import fold_weights
from cnnsearch.training.inference import BATCH, compile_inference, measure_latency, predict_batches
from cnnsearch.utils import environment


def answer(job: ExportJob, images: str, out: str) -> None:
    """Writes the Keras model's probabilities and latency, compiled by its backend.

    Args:
        job: the network.
        images: an .npy file, uint8 (N, H, W, C).
        out: the .npz file to write.
    """
    import keras

    from cnnsearch.training.model import apply_to_pixels

    model = build_network(job, (job.image[0], job.image[1]))

    def compute(images: Any) -> Any:
        pixels = keras.ops.cast(images, "float32")
        return keras.ops.softmax(apply_to_pixels(model, pixels))

    compiled = compile_inference(compute)

    def predict(images: Any) -> Any:
        return np.asarray(keras.ops.convert_to_numpy(compiled(images)))

    pixels = np.load(images, mmap_mode="r", allow_pickle=False)
    size = min(BATCH, len(pixels))
    probabilities = predict_batches(predict, pixels.__getitem__, len(pixels), size=size)
    np.savez(
        out,
        probabilities=probabilities.astype("float32", copy=False),
        latency=measure_latency(predict, pixels[:1]),
    )


def fold_job(job: ExportJob, folder: Path) -> ExportJob:
    """Returns the job of the network as it is deployed; its weights are written to ``folder``.

    The same job, if the network has no training branches.

    Raises:
        RunError: the checkpoint does not exist, or is not one.
        ExportError: its weights belong to another architecture.
    """
    architecture = Architecture.from_json(job.architecture)
    folded = architecture.fold()
    if folded == architecture:
        return job
    weights = fold_weights(architecture, folded, read_weights(Path(job.weights)))
    path = folder / "folded.npz"
    checkpoint.write(path, {"paths": list(weights)}, list(weights.values()))
    return replace(job, architecture=folded.to_json(), weights=str(path))


def main(path: str) -> int:
    """Carries out a task; an error is the last line on standard error."""
    environment.configure_backend()
    environment.import_frameworks()
    task = json.loads(Path(path).read_text("utf-8"))
    job = ExportJob(**task["job"])
    try:
        if task["images"] is not None:
            answer(job, task["images"], task["answers"])
        job = fold_job(job, Path(path).parent)  # the answers are those of the network as trained
        for name, quantize in task["targets"]:
            format_ = find_format(name)
            format_.make(job, Path(task["folder"]) / format_.file(quantize), quantize)
    except CnnsearchError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
