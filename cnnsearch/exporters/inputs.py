"""Collects what an export is made from and verified with: the job, images, Keras's answers."""

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
from cnnsearch.exporters.formats.base import ExportJob
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.records import TrialRecord
from cnnsearch.training.calibration import choose_rows
from cnnsearch.training.checkpoint import BEST
from cnnsearch.utils import environment
from cnnsearch.utils.subprocesses import run_module


@dataclass(frozen=True)
class ExportRequest:
    """The options of an export: see :func:`cnnsearch.export`."""

    targets: tuple[Target, ...]
    image: tuple[int, int] | None
    batch: int | None


def build_job(
    run: RunDirectory,
    trial: TrialRecord,
    request: ExportRequest,
    image: Sequence[int],
    folder: Path,
) -> ExportJob:
    """Returns the job; calibration images are read from ``folder``."""
    mean, std = read_pixel_statistics(run, trial)
    return ExportJob(
        architecture=json.dumps(dict(trial.architecture)),
        mean=mean,
        std=std,
        image=list(image),
        size=None if request.image is None else list(request.image),
        batch=request.batch,
        weights=str(run.path.resolve() / "trials" / trial.id / BEST),
        calibration=str(folder / "calibration.npy"),
    )


def write_exports(
    job: ExportJob, targets: Sequence[Target], folder: Path, images: Path
) -> tuple["np.typing.NDArray[np.float32]", float]:
    """Writes all files in a fresh process; returns the Keras model's probabilities and latency.

    The Keras model runs on the backend of this process, so that a network trained on JAX is
    compared with what JAX computes; formats that need another backend are written in a second
    process.
    """
    ours = environment.get_backend()
    by_backend: dict[str, list[Target]] = {ours: []}
    for target in targets:
        by_backend.setdefault(target.format.backend or ours, []).append(target)
    answers = images.with_name("answers.npz")
    for backend, each in by_backend.items():
        task = {
            "job": asdict(job),
            "targets": [[target.format.name, target.quantize] for target in each],
            "folder": str(folder),
            "images": str(images) if backend == ours else None,
            "answers": str(answers),
        }
        file = images.with_name("task.json")
        file.write_text(json.dumps(task), "utf-8")
        run_module(
            *("cnnsearch.exporters.worker", file),
            fail=lambda why: ExportError(f"the export cannot be made: {why}"),
            environment={"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
    with np.load(answers, allow_pickle=False) as file:
        return file["probabilities"], float(file["latency"])


def write_verification_images(split: Split, path: Path, size: Sequence[int]) -> None:
    """Writes all images of a split, at the size that the export takes, as .npy."""
    if tuple(split.shape[:2]) == tuple(size):
        write_images(split, path)
    else:
        np.save(path, _resize(split.read(np.arange(len(split.labels()))), size))


def write_calibration_images(split: Split, path: Path, size: Sequence[int]) -> None:
    """Writes up to 256 images from all over a split."""
    np.save(path, _resize(split.read(choose_rows(len(split.labels()))), size))


def _resize(images: Any, size: Sequence[int]) -> Any:
    """Returns images at another size, resized as the dataset's own were."""
    height, width = size
    return np.stack([decode(image, (height, width), image.shape[-1]) for image in images])
