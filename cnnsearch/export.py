"""Turns a trained candidate into a SavedModel that carries its preprocessing, and proves it."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnsearch import machine
from cnnsearch.architecture import Architecture
from cnnsearch.data.dataset import Split
from cnnsearch.errors import CnnsearchError, DataError, ExportError, RunError, nearest
from cnnsearch.lookup import best_trial
from cnnsearch.records import TrialRecord
from cnnsearch.rundir import RunDirectory
from cnnsearch.settings import Settings, load_data, pixel_statistics
from cnnsearch.space import SearchSpace
from cnnsearch.verify import reloaded_outputs, wilson

if TYPE_CHECKING:
    import keras
    import numpy as np
    import numpy.typing as npt

TOLERANCE = 1e-4
"""The largest difference between two probabilities that still counts as the same function."""

COMPARED = 256
"""Real images on which the reloaded export is compared with the Keras model."""

BATCH = 128


@dataclass(frozen=True)
class Exported:
    """An export that was reloaded in a fresh process and compared.

    Attributes:
        path: the folder.
        format: ``savedmodel``.
        trial: the candidate's id.
        compared: real images compared.
        largest_difference: of any class probability between the export and the Keras model.
        test_accuracy: share of the untouched test split that the export classifies correctly; None:
            there is none.
        test_images: how many those were.
        interval: 95 % Wilson score interval of ``test_accuracy``.
        bytes: size on disk.
    """

    path: str
    format: str
    trial: str
    compared: int
    largest_difference: float
    test_accuracy: float | None
    test_images: int
    interval: tuple[float, float] | None
    bytes: int


def export(
    run: RunDirectory, which: str = "best", out: str | Path = "exports", *, force: bool = False
) -> Exported:
    """Exports a finished candidate as a SavedModel.

    Its ``serving_default`` takes uint8 images (batch, any height, any width, channels) and returns
    class probabilities (batch, classes); class names, architecture and metrics lie beside it. It is
    reloaded in a fresh process and compared with the Keras model on images of the test split.

    Args:
        run: where the candidate was trained.
        which: ``best`` or a trial's id.
        out: the folder to make.
        force: replace ``out`` if it is there.

    Returns:
        What the comparison found.

    Raises:
        ExportError: nothing is finished, ``out`` is there, TensorFlow is missing, or the export
            computes something else; nothing is left behind then.
    """
    trial = choose(run, which)
    target = Path(out)
    if target.exists() and not force:
        raise ExportError(f"--out {target}: is already there (--force replaces it)")
    model = trained_model(run, trial)
    split = _real_images(run)
    with _beside(target) as folder:
        _save(model, folder)
        result = _verify(model, folder, trial, target, split)
        _describe(run, trial, folder, result)
        _replace(folder, target)
    run.db.append("exported", asdict(result), trial.id)
    return result


def choose(run: RunDirectory, which: str) -> TrialRecord:
    """Returns the finished trial that ``which`` names.

    Raises:
        ExportError: none is finished, or not this one; says which are.
    """
    trials, best = run.db.trials(), best_trial(run)
    if best is None:
        raise ExportError(f"run {run.name!r} has no finished trial to export")
    if which == "best":
        return best
    found = {t.id: t for t in trials if t.score is not None}
    wanted = which if which in found else which.zfill(len(best.id))
    if wanted not in found:
        hint = nearest(wanted, found) or f" (the best is {best.id})"
        raise ExportError(f"run {run.name!r} has no finished trial {which!r}{hint}")
    return found[wanted]


def trained_model(run: RunDirectory, trial: TrialRecord) -> "keras.Model":
    """Builds the trial's Keras model (raw pixels to logits) with the weights of its best epoch."""
    if machine.settle_backend() != "tensorflow" or not machine.version("tensorflow"):
        raise ExportError("a SavedModel needs TensorFlow: set KERAS_BACKEND=tensorflow, install it")
    machine.import_frameworks()
    from cnnsearch.checkpoint import BEST, load_weights
    from cnnsearch.model import build

    data = run.manifest["dataset"]
    mean, std = pixel_statistics(run)
    model = build(
        Architecture.from_data(dict(trial.architecture)),
        mean=mean,
        std=std,
        image=tuple(data["image"]),
    )
    try:
        load_weights(model, run.trial_dir(trial.id) / BEST)
    except (OSError, ValueError, CnnsearchError) as error:
        raise ExportError(f"trial {trial.id}: its weights cannot be read: {error}") from None
    return model


def _serving(model: "keras.Model") -> "keras.Model":
    """Puts resizing in front of the model and softmax behind it."""
    import keras

    height, width, channels = model.input_shape[1:]
    image = keras.Input((None, None, channels), dtype="uint8", name="image")
    x = keras.layers.Resizing(height, width, antialias=True, name="fit")(image)
    probabilities = keras.layers.Softmax(dtype="float32", name="probabilities")(model(x))
    return keras.Model(image, probabilities, name=f"{model.name}_serving")


def _save(model: "keras.Model", folder: Path) -> None:
    """Writes the SavedModel; Keras's own account of it stays off the terminal."""
    import keras
    import tensorflow as tf

    serving = _serving(model)
    channels = model.input_shape[-1]
    signature = tf.TensorSpec((None, None, None, channels), tf.uint8, name="image")

    def predict(image: Any) -> dict[str, Any]:
        return {"probabilities": serving(image, training=False)}

    archive = keras.export.ExportArchive()
    archive.track(serving)
    archive.add_endpoint("serving_default", predict, input_signature=[signature])
    archive.write_out(str(folder), verbose=False)


def _real_images(run: RunDirectory) -> Split:
    """Returns the test split, untouched until here; the validation split where there is no test."""
    settings = Settings(space=run.space_text, **run.manifest["settings"])
    space = SearchSpace.from_text(run.space_text, settings.source)
    try:
        dataset = load_data(settings, space, run.path.parent)
    except DataError as error:
        raise ExportError(f"the export is compared on real images, but {error}") from None
    if dataset.fingerprint != run.manifest["dataset"]["fingerprint"]:
        raise RunError(f"run {run.name!r}: {dataset.source} has changed since the search")
    return dataset.test if dataset.test.count else dataset.validation


def _verify(
    model: "keras.Model", folder: Path, trial: TrialRecord, target: Path, split: Split
) -> Exported:
    import numpy as np

    exported, labels = reloaded_outputs(folder, split), split.labels()
    sample = split.read(np.arange(min(COMPARED, len(labels))))
    expected = _softmax(model.predict(sample, batch_size=BATCH, verbose=0))
    difference = float(np.abs(exported[: len(sample)] - expected).max())
    if not difference <= TOLERANCE:
        raise ExportError(
            f"the reloaded export differs from its Keras model by {difference:.2g} "
            f"on {len(sample)} images, more than {TOLERANCE:g}; nothing was left behind"
        )
    correct = int((exported.argmax(axis=1) == labels).sum())
    return Exported(
        path=str(target),
        format="savedmodel",
        trial=trial.id,
        compared=len(sample),
        largest_difference=difference,
        test_accuracy=correct / len(labels),
        test_images=len(labels),
        interval=wilson(correct, len(labels)),
        bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
    )


def _softmax(logits: "npt.NDArray[np.float32]") -> "npt.NDArray[np.float64]":
    from scipy.special import softmax

    result: npt.NDArray[np.float64] = softmax(logits.astype("float64"), axis=-1)
    return result


def _describe(run: RunDirectory, trial: TrialRecord, folder: Path, result: Exported) -> None:
    data = run.manifest["dataset"]
    (folder / "class_names.txt").write_text("\n".join(data["class_names"]) + "\n", "utf-8")
    (folder / "architecture.json").write_text(json.dumps(trial.architecture, indent=2) + "\n")
    card = {
        "run": run.name,
        **asdict(result),
        "val_accuracy": trial.metrics.get("val_accuracy"),
        "params": trial.params,
        "params_total": trial.params_total,
        "macs": trial.macs,
        "flops": None if trial.macs is None else 2 * trial.macs,
        "input": "uint8 images (batch, any height, any width, channels), values 0 to 255",
        "channels": data["channels"],
        "resized_to": data["image"],
        "output": "class probabilities (batch, classes), in the order of class_names.txt",
        "recipe": dict(trial.recipe),
        "environment": machine.environment(),
    }
    (folder / "export.json").write_text(json.dumps(card, indent=2) + "\n", "utf-8")


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A folder beside ``target`` that is gone afterwards unless it was renamed."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        folder.chmod(0o755)
    except OSError as error:
        raise ExportError(f"--out {target}: cannot be written: {error.strerror}") from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _replace(folder: Path, target: Path) -> None:
    if target.exists():
        old = folder.with_name(folder.name + "-old")
        os.rename(target, old)
        os.rename(folder, target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(folder, target)
