"""What an export is made and verified with: images, the Keras model's answers, its own files."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnnsearch.data.dataset import Split
from cnnsearch.data.sources.decode import decode
from cnnsearch.data.views import write_images
from cnnsearch.engine.run_manifest import read_pixel_statistics
from cnnsearch.errors import ExportError
from cnnsearch.exporters.formats import Target
from cnnsearch.exporters.job import Job
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.records import TrialRecord
from cnnsearch.training.checkpoint import BEST
from cnnsearch.utils import environment
from cnnsearch.utils.subprocesses import run_module

CALIBRATION = 256
"""Training images by which the range of activations is measured for int8."""
_TENSORFLOW = ("savedmodel", "litert")


@dataclass(frozen=True)
class Asked:
    """What is wanted: see :func:`cnnsearch.exporters.export`."""

    targets: tuple[Target, ...]
    image: tuple[int, int] | None
    batch: int | None


def job_of(
    run: RunDirectory, trial: TrialRecord, asked: Asked, temporary: Path, image: Sequence[int]
) -> Job:
    """Returns the job: what of the run the makers need, and where they find images."""
    mean, std = read_pixel_statistics(run)
    return Job(
        architecture=json.dumps(dict(trial.architecture)),
        mean=mean,
        std=std,
        image=list(image),
        size=None if asked.image is None else list(asked.image),
        batch=asked.batch,
        weights=str(run.path.resolve() / "trials" / trial.id / BEST),
        folder="",
        targets=[[t.format, t.quantize] for t in asked.targets],
        images=str(temporary / "images.npy"),
        answers=str(temporary / "answers.npz"),
        calibration=str(temporary / "training.npy"),
    )


def made(job: Job, folder: Path) -> Any:
    """Has Keras answer, and what needs it written; returns the answers.

    The Keras model answers on the backend of this process, so that what was trained on JAX is
    compared with what JAX makes of it; SavedModel and LiteRT need TensorFlow.
    """
    backend = environment.backend()
    ours = [t for t in job.targets if t[0] != "onnx"]
    here = [t for t in ours if backend == "tensorflow" or t[0] not in _TENSORFLOW]
    there = [t for t in ours if t not in here]
    changed = {**asdict(job), "folder": str(folder)}
    _run(Job(**{**changed, "targets": here}), backend)
    if there:
        _run(Job(**{**changed, "targets": there, "images": None}), "tensorflow")
    with np.load(job.answers, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _run(job: Job, backend: str) -> None:
    file = Path(job.answers).with_name("job.json")
    file.write_text(job.to_json(), "utf-8")
    run_module(
        *("cnnsearch.exporters.keras_export", file),
        fail=lambda why: ExportError(f"the export cannot be made: {why}"),
        environment={"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def write(split: Split, path: Path, size: Sequence[int]) -> None:
    """Writes the images that everything is verified on, at the size that the export takes."""
    if tuple(split.shape[:2]) == tuple(size):
        write_images(split, path)
    else:
        np.save(path, fitted(split.read(np.arange(len(split.labels()))), size))


def spread(split: Split) -> Any:
    """Training images from all over the split."""
    count = len(split.labels())
    return split.read(np.unique(np.linspace(0, count - 1, min(CALIBRATION, count)).astype(int)))


def fitted(images: Any, size: Sequence[int]) -> Any:
    """Returns images at another size, as the data's own are brought to it."""
    height, width = size
    return np.stack([decode(image, (height, width), image.shape[-1]) for image in images])
