"""One export, in order: choose, write, embed the facts, reload, compare, rename into place."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cnnsearch.errors import ExportError
from cnnsearch.exporters.formats import parse_targets
from cnnsearch.exporters.inputs import (
    ExportRequest,
    build_job,
    write_calibration_images,
    write_exports,
    write_verification_images,
)
from cnnsearch.exporters.model_card import write_model_card
from cnnsearch.exporters.results import ExportResult, VerifiedFormat
from cnnsearch.exporters.source import (
    check_weights,
    choose_trial,
    collect_facts,
    open_dataset,
    select_verification_split,
)
from cnnsearch.exporters.verify import compare, compute_test_metrics, reload
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.records import TrialRecord
from cnnsearch.utils.atomic_files import atomic_folder
from cnnsearch.utils.units import parse_image

CARD, RECORD = "MODEL_CARD.md", "export.json"
Progress = Callable[[str], None]


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
    progress: Progress = lambda step: None,
) -> ExportResult:
    """Exports a finished candidate and verifies every file.

    Every format takes uint8 images (batch, height, width, channels) and returns class probabilities
    (batch, classes); it carries class names, architecture, metrics, versions and the id of the
    MLflow run. Each is reloaded in a fresh process by its own runtime and compared with the Keras
    model on all images of the test split.

    Args:
        run: where the candidate was trained, or that run's name.
        which: ``best``, a trial's id, or ``RUN:TRIAL``.
        out: the folder to make.
        formats: savedmodel, keras, litert, onnx, several separated by commas, or all.
        quantize: float32, float16, dynamic (8-bit weights) or int8 (8-bit activations too), or
            several, for the formats that can be quantized: LiteRT and ONNX.
        image: height and width of its images, ``224`` or ``224x192``; None: any, but for LiteRT,
            which takes the dataset's.
        batch: images per call; None: any, but for LiteRT, which takes one.
        force: replace ``out`` if it exists.
        runs: the folder of all runs.
        progress: is called with each step in words.

    Returns:
        What the verification found.

    Raises:
        ExportError: no candidate is finished, ``out`` exists, a library is missing, or an export
            computes something else; nothing is left behind then.
    """
    targets = parse_targets(formats, quantize)
    for each in targets:
        each.format.check_installed(writing=True)
    size = None if image is None else parse_image(str(image))
    if batch is not None and batch < 1:
        raise ExportError(f"--batch: expected at least 1, got {batch}")
    opened = run if isinstance(run, RunDirectory) else RunDirectory.open(Path(runs), run)
    trial = choose_trial(opened, which)
    target = Path(out)
    if (target.exists() or target.is_symlink()) and not force:
        raise ExportError(f"--out {target}: already exists (--force replaces it)")
    if target.exists() and not target.is_dir():
        raise ExportError(f"--out {target}: is a file, not a folder")
    check_weights(opened, trial)
    with _explain_write_errors(target), atomic_folder(target, replace=force) as folder:
        request = ExportRequest(targets, size, batch)
        result = _export_into(folder, opened, trial, target, request, progress)
    opened.db.append("exported", asdict(result), trial.id)
    return result


def _export_into(
    folder: Path, run: RunDirectory, trial: TrialRecord, out: Path, request: ExportRequest,
    progress: Progress,
) -> ExportResult:  # fmt: skip
    dataset = open_dataset(run)
    split = select_verification_split(dataset)
    size = request.image or dataset.image
    labels = np.asarray(split.labels())
    with tempfile.TemporaryDirectory() as temporary:
        images = Path(temporary) / "images.npy"
        write_verification_images(split, images, size)
        job = build_job(run, trial, request, size, Path(temporary))
        if any(each.quantize == "int8" for each in request.targets):
            write_calibration_images(dataset.train, Path(job.calibration), size)
        progress(f"Writing {', '.join(each.label for each in request.targets)}")
        expected, latency = write_exports(job, request.targets, folder, images)
        tested = compute_test_metrics(expected, labels)
        facts = collect_facts(run, trial, size, request.batch, request.image is None)
        facts = {**facts, "metrics": {**facts["metrics"], **tested}, "judged_on": split.name}
        verified = []
        for target in request.targets:
            progress(f"Verifying {target.label} on {len(labels):,} images")
            path = folder / target.file
            target.format.embed(path, facts)
            answers = reload(target, path, images)
            verified.append(compare(target, path, *answers, expected, labels, request.batch or 1))
    result = _summarize(out, trial, verified, facts, latency)
    _describe(run, facts, result, folder)
    return result


def _summarize(
    out: Path, trial: TrialRecord, formats: list[VerifiedFormat], facts: Mapping[str, Any],
    latency: float,
) -> ExportResult:  # fmt: skip
    exact = [each for each in formats if each.quantize == "float32"] or formats
    metrics = facts["metrics"]
    low, high = metrics["test_accuracy_interval"]
    return ExportResult(
        path=str(out),
        format=",".join(dict.fromkeys(each.format for each in formats)),
        trial=trial.id,
        compared=metrics["test_images"],
        split=facts["judged_on"],
        largest_difference=max(each.largest_difference for each in exact),
        test_accuracy=metrics["test_accuracy"],
        test_images=metrics["test_images"],
        interval=(low, high),
        bytes=sum(each.bytes for each in formats),
        latency_ms=latency,
        formats=tuple(formats),
    )


def _describe(
    run: RunDirectory, facts: Mapping[str, Any], result: ExportResult, folder: Path
) -> None:
    record = {**facts, "verified": asdict(result)}
    texts = {
        "class_names.txt": "\n".join(facts["class_names"]),
        "architecture.json": json.dumps(facts["architecture"], indent=2),
        RECORD: json.dumps(record, indent=2),
        CARD: write_model_card(run, facts, result),
    }
    for name, text in texts.items():
        (folder / name).write_text(text + "\n", "utf-8")


@contextmanager
def _explain_write_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise ExportError(f"--out {target}: cannot be written: {why}") from None
