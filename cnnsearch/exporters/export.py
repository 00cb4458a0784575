"""One export, in order: chosen, made, given its facts, reloaded, compared, renamed into place."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnnsearch.errors import ExportError
from cnnsearch.exporters.formats import Target, check_installed, targets
from cnnsearch.exporters.inputs import Asked, fitted, job_of, made, spread, write
from cnnsearch.exporters.job import Job
from cnnsearch.exporters.metadata import onnx_properties, pack
from cnnsearch.exporters.model_card import model_card
from cnnsearch.exporters.onnx_file import save_onnx
from cnnsearch.exporters.reload import reloaded
from cnnsearch.exporters.source import check_weights, choose, dataset_of, facts_of, real_images
from cnnsearch.exporters.verify import Verified, compared, test_metrics
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.lookup import parse_image
from cnnsearch.runs.records import TrialRecord
from cnnsearch.utils import environment
from cnnsearch.utils.atomic_files import atomic_folder

CARD = "MODEL_CARD.md"
FACTS = "export.json"


@dataclass(frozen=True)
class Exported:
    """An export, every format of which was reloaded in a fresh process and compared.

    Attributes:
        path: the folder.
        format: the formats, with commas between them.
        trial: the candidate's id.
        compared: real images compared.
        largest_difference: of any class probability between a format that is not quantized and the
            Keras model; of the quantized ones where there is no other.
        split: what it is judged on: test, or validation where there is no test split.
        test_accuracy: share of its images that the Keras model classifies correctly.
        test_images: how many those were.
        interval: 95 % Wilson score interval of ``test_accuracy``.
        bytes: size on disk.
        latency_ms: of the Keras model, compiled, for one image.
        formats: each format.
    """

    path: str
    format: str
    trial: str
    compared: int
    split: str
    largest_difference: float
    test_accuracy: float
    test_images: int
    interval: tuple[float, float]
    bytes: int
    latency_ms: float
    formats: tuple[Verified, ...]


def export(
    run: RunDirectory | str,
    which: str = "best",
    out: str | Path = "exports",
    *,
    formats: str = "savedmodel",
    quantize: str | None = None,
    image: str | int | None = None,
    batch: int | None = None,
    force: bool = False,
    runs: str | Path = "runs",
) -> Exported:
    """Exports a finished candidate.

    Every format takes uint8 images (batch, height, width, channels) and returns class probabilities
    (batch, classes); it carries class names, architecture, metrics, versions and the id of the
    MLflow run. Each is reloaded in a fresh process by its own runtime and compared with the Keras
    model on all images of the test split.

    Args:
        run: where the candidate was trained, or that run's name.
        which: ``best``, a trial's id, or ``RUN:TRIAL``.
        out: the folder to make.
        formats: savedmodel, keras, litert, onnx, several with commas between them, or all.
        quantize: float32, float16, dynamic (weights in 8 bits) or int8 (activations too), or
            several, for the formats that can be quantized: LiteRT and ONNX.
        image: the size of images that it takes, ``224`` or ``224x192``; None: any, but LiteRT,
            which takes the size that the data had.
        batch: images at once; None: any, but LiteRT, which takes one.
        force: replace ``out`` if it is there.
        runs: the folder of all runs.

    Returns:
        What the comparison found.

    Raises:
        ExportError: nothing is finished, ``out`` is there, a library is missing, or an export
            computes something else; nothing is left behind then.
    """
    wanted = targets(formats, quantize)
    check_installed(wanted)
    size = None if image is None else parse_image(str(image))
    if batch is not None and batch < 1:
        raise ExportError(f"--batch: expected at least 1, got {batch}")
    opened = run if isinstance(run, RunDirectory) else RunDirectory.open(Path(runs), run)
    trial = choose(opened, which)
    target = Path(out)
    if (target.exists() or target.is_symlink()) and not force:
        raise ExportError(f"--out {target}: is already there (--force replaces it)")
    if target.exists() and not target.is_dir():
        raise ExportError(f"--out {target}: is a file, not a folder")
    check_weights(opened, trial)
    with _writing(target), atomic_folder(target, replace=force) as folder:
        result = _exported(opened, trial, folder, target, Asked(wanted, size, batch))
    opened.db.append("exported", asdict(result), trial.id)
    return result


def _exported(
    run: RunDirectory, trial: TrialRecord, folder: Path, target: Path, asked: Asked
) -> Exported:
    dataset = dataset_of(run)
    split = real_images(dataset)
    size = asked.image or dataset.image
    with tempfile.TemporaryDirectory() as temporary:
        images, calibration = Path(temporary) / "images.npy", Path(temporary) / "training.npy"
        write(split, images, size)
        if any(t.quantize == "int8" for t in asked.targets):
            np.save(calibration, fitted(spread(dataset.train), size))
        job = job_of(run, trial, asked, Path(temporary), size)
        before = made(job, folder)
        labels = np.asarray(split.labels())
        tested = test_metrics(before["probabilities"], labels)
        facts = facts_of(run, trial, size, asked.batch, asked.image is None)
        facts = {**facts, "metrics": {**facts["metrics"], **tested}, "judged_on": split.name}
        found = []
        for each in asked.targets:
            _packed(job, each, folder, facts)
            answers = reloaded(folder / each.file, images, _environment())
            args = (answers, before["probabilities"], labels, asked.batch or 1)
            found.append(compared(each, folder / each.file, *args))
    result = _result(target, trial, found, tested, split.name, float(before["latency"]))
    _describe(run, facts, result, folder)
    return result


def _environment() -> Mapping[str, str]:
    """What a fresh process is given: Keras's own format needs its backend."""
    return {**os.environ, "KERAS_BACKEND": environment.backend(), "TF_CPP_MIN_LOG_LEVEL": "3"}


def _packed(job: Job, target: Target, folder: Path, facts: Mapping[str, Any]) -> None:
    if target.format == "onnx":
        properties = onnx_properties(facts)
        save_onnx(job, folder / target.file, target.quantize, properties)
    else:
        pack(target, folder / target.file, facts)


def _result(
    target: Path,
    trial: TrialRecord,
    found: Sequence[Verified],
    tested: Mapping[str, Any],
    split: str,
    latency: float,
) -> Exported:
    whole = [each for each in found if each.quantize == "float32"] or found
    low, high = tested["test_accuracy_interval"]
    return Exported(
        path=str(target),
        format=",".join(dict.fromkeys(each.format for each in found)),
        trial=trial.id,
        compared=tested["test_images"],
        split=split,
        largest_difference=max(each.largest_difference for each in whole),
        test_accuracy=tested["test_accuracy"],
        test_images=tested["test_images"],
        interval=(low, high),
        bytes=sum(each.bytes for each in found),
        latency_ms=latency,
        formats=tuple(found),
    )


def _describe(run: RunDirectory, facts: Mapping[str, Any], result: Exported, folder: Path) -> None:
    names = "\n".join(facts["class_names"]) + "\n"
    (folder / "class_names.txt").write_text(names, "utf-8")
    architecture = json.dumps(facts["architecture"], indent=2) + "\n"
    (folder / "architecture.json").write_text(architecture, "utf-8")
    everything = {**facts, "verified": asdict(result)}
    (folder / FACTS).write_text(json.dumps(everything, indent=2) + "\n", "utf-8")
    (folder / CARD).write_text(model_card(run, facts, asdict(result)), "utf-8")


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise ExportError(f"--out {target}: cannot be written: {why}") from None
