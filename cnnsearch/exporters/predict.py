"""Classifies image files with an export, whatever its format."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnsearch.errors import CnnsearchError, ExportError
from cnnsearch.exporters.formats import FORMATS, Target, check_runtime
from cnnsearch.exporters.metadata import unpack

FILE = "export.json"
ORDER = ("onnx", "litert", "savedmodel", "keras")
"""What a folder of several formats is asked by: what starts fastest first."""
_SUFFIXES = {".keras": "keras", ".tflite": "litert", ".onnx": "onnx"}


@dataclass(frozen=True)
class Prediction:
    """What a model says of one image: ``classes`` are (name, probability), the likeliest first."""

    image: str
    classes: tuple[tuple[str, float], ...]


def predict(
    export: str | Path, images: Sequence[str | Path], top_k: int = 5
) -> Iterator[Prediction]:
    """Classifies image files.

    Args:
        export: a folder that ``cnnsearch export`` wrote, or one file in it.
        images: files.
        top_k: classes that are told of each.

    Raises:
        ExportError: it is no export, or its runtime is not installed.
        DataError: a file is no image; names it.
    """
    from cnnsearch.exporters.runtimes import answers, open_model

    if top_k < 1:
        raise ExportError(f"--top-k: expected at least 1, got {top_k}")
    path, format_ = _model(Path(export))
    check_runtime(format_)
    facts = unpack(path)
    pixels = [_pixels(Path(image), facts) for image in images]
    import numpy as np

    with _hushed():
        try:
            model, size = open_model(path)
            found = answers(model, size, np.stack(pixels))
        except CnnsearchError:
            raise
        except Exception as error:  # whatever a runtime makes of a damaged file
            raise ExportError(f"{path}: cannot be run: {_first(error)}") from None
    for image, probabilities in zip(images, found, strict=True):
        best = np.argsort(-probabilities, kind="stable")[:top_k]
        names = facts["class_names"]
        told = tuple((names[i], float(probabilities[i])) for i in best)
        yield Prediction(str(image), told)


def _model(path: Path) -> tuple[Path, str]:
    """Returns the file (or the SavedModel's folder) that is meant, and its format."""
    if path.is_file():
        if path.suffix not in _SUFFIXES:
            raise ExportError(f"{path}: not an export: expected a folder, {', '.join(_SUFFIXES)}")
        return path, _SUFFIXES[path.suffix]
    if (path / "saved_model.pb").is_file():
        return path, "savedmodel"
    if not path.is_dir():
        raise ExportError(f"{path}: there is no such export")
    found = _listed(path)
    if not found:
        raise ExportError(f"{path}: not a folder that cnnsearch export wrote")
    return _first_installed(path, found)


def _listed(path: Path) -> list[Target]:
    try:
        text = (path / FILE).read_text("utf-8")
        formats: Sequence[Mapping[str, Any]] = json.loads(text)["verified"]["formats"]
        every = [Target(each["format"], each["quantize"]) for each in formats]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    here = [t for t in every if t.format in FORMATS and (path / t.file).exists()]
    return sorted(here, key=lambda t: (t.quantize != "float32", ORDER.index(t.format)))


def _first_installed(path: Path, found: Sequence[Target]) -> tuple[Path, str]:
    for target in found:
        try:
            check_runtime(target.format)
        except ExportError:
            continue
        return path / target.file, target.format
    return path / found[0].file, found[0].format


def _pixels(path: Path, facts: Mapping[str, Any]) -> Any:
    from cnnsearch.data.sources.decode import decode, describe_error
    from cnnsearch.errors import DataError

    height, width, channels = facts["input"]
    try:
        return decode(path.read_bytes(), (height, width), channels)
    except Exception as error:  # whatever a malformed file makes Pillow raise
        raise DataError(f"{path}: not an image: {describe_error(error)}") from None


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextmanager
def _hushed() -> Iterator[None]:
    """What runtimes print in C++ while they start goes nowhere."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)
