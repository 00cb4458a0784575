"""Classifies image files with an export, whatever its format."""

import csv
import io
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from cnnsearch.errors import DataError, ExportError
from cnnsearch.exporters.formats import FORMATS, Target, find_format, recognize
from cnnsearch.exporters.formats.base import ExportFormat, LoadedModel
from cnnsearch.training.inference import BATCH, mirror_images
from cnnsearch.utils.atomic_files import write_text

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RECORD = "export.json"
MAX_BYTES = 256 * 2**20
"""Of an image file."""
_Side = Annotated[int, Field(ge=1, le=8192)]


class ExportFacts(BaseModel):
    """The facts of an export that prediction needs.

    Attributes:
        class_names: in the order of the probabilities.
        input: height, width and channels of the images.
    """

    class_names: list[str] = Field(min_length=1)
    input: tuple[_Side, _Side, Literal[1, 3]]


@dataclass(frozen=True)
class Prediction:
    """The classes of one image file.

    Attributes:
        image: the file.
        classes: the likeliest classes, each with its probability, likeliest first.
        error: why the file cannot be classified; empty: it was.
    """

    image: str
    classes: tuple[tuple[str, float], ...]
    error: str = ""


def predict(
    export: str | Path, images: Sequence[str | Path], top_k: int = 5, mirror: bool = False
) -> Iterator[Prediction]:
    """Classifies image files, in order.

    Args:
        export: a folder that ``cnnsearch export`` wrote, or one file in it.
        images: files.
        top_k: classes per image.
        mirror: average the probabilities of each image and its mirror image.

    Yields:
        A prediction for each file; a file that cannot be read has an ``error``.

    Raises:
        ExportError: it is not an export, cannot be run, or its runtime is not installed.
    """
    if top_k < 1:
        raise ExportError(f"--top-k: expected at least 1, got {top_k}")
    path, format_ = find_model(Path(export))
    format_.check_installed()
    facts = read_facts(path, format_)
    model = _load(path, format_)
    for start in range(0, len(images), BATCH):
        names = images[start : start + BATCH]
        pixels = [_read_pixels(Path(name), facts) for name in names]
        good = [each for each in pixels if not isinstance(each, str)]
        rows = iter(_run(model, path, facts, good, mirror) if good else ())
        for name, each in zip(names, pixels, strict=True):
            if isinstance(each, str):
                yield Prediction(str(name), (), each)
            else:
                yield Prediction(str(name), _rank(next(rows), facts, top_k))


def list_images(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Returns image files, those in folders included, and the files in folders that are none.

    Args:
        paths: files, which are returned whatever they are, and folders.

    Raises:
        DataError: a folder contains no image.
    """
    images: list[Path] = []
    others: list[Path] = []
    for path in paths:
        if not path.is_dir():
            images.append(path)
            continue
        files = sorted(each for each in path.rglob("[!.]*") if not each.is_dir())
        found = [each for each in files if _looks_like_an_image(each)]
        if not found:
            raise DataError(f"{path}: contains no images")
        images += found
        others += [each for each in files if each not in set(found)]
    return images, others


def _looks_like_an_image(path: Path) -> bool:
    """Whether its name or its first bytes are an image's."""
    from PIL import Image

    from cnnsearch.data.sources.decode import FORMATS as IMAGE_FORMATS
    from cnnsearch.data.sources.recognition import SUFFIXES

    if path.suffix.lower() in SUFFIXES:
        return True
    if not path.is_file():
        return False
    try:
        Image.open(path, formats=IMAGE_FORMATS).close()
    except Exception:  # whatever a malformed file makes Pillow raise
        return False
    return True


def to_data(prediction: Prediction) -> dict[str, Any]:
    """Returns a prediction as plain data for JSON."""
    classes = [{"class": name, "probability": share} for name, share in prediction.classes]
    found = {"image": prediction.image, "classes": classes}
    return {**found, "error": prediction.error} if prediction.error else found


def write_csv(predictions: Iterable[Prediction], path: Path, top_k: int) -> list[Prediction]:
    """Writes one row per image: image, error, and ``top_k`` pairs of class and probability.

    Raises:
        DataError: the file cannot be written.
    """
    head = [f"{what}_{rank}" for rank in range(1, top_k + 1) for what in ("class", "probability")]
    text, done = io.StringIO(), list(predictions)
    writer = csv.writer(text)
    writer.writerow(["image", "error", *head])
    for each in done:
        pairs = [value for name, share in each.classes for value in (name, f"{share:.6f}")]
        writer.writerow([each.image, each.error, *pairs])
    try:
        write_text(path, text.getvalue())
    except OSError as error:
        raise DataError(f"--csv {path}: cannot be written: {error.strerror or error}") from None
    return done


def find_model(path: Path) -> tuple[Path, ExportFormat]:
    """Returns the file (or the SavedModel's folder) to run, and its format.

    Of a folder with several formats, it is the one that starts fastest and is installed; of
    quantized ones, only if there is no other.

    Raises:
        ExportError: it is not an export.
    """
    known = recognize(path)
    if known is not None:
        return path, known
    if path.is_file():
        suffixes = ", ".join(each.suffix for each in FORMATS if each.suffix)
        raise ExportError(f"{path}: not an export: expected a folder, {suffixes}")
    if not path.is_dir():
        raise ExportError(f"{path}: there is no such export")
    targets = _list_targets(path)
    if not targets:
        raise ExportError(f"{path}: not a folder that cnnsearch export wrote")
    best = next((each for each in targets if _is_installed(each.format)), targets[0])
    return path / best.file, best.format


def _list_targets(path: Path) -> list[Target]:
    """Returns what a folder holds according to its record, what to run first first."""
    if not (path / RECORD).is_file():  # a FIFO would block
        return []
    try:
        formats: Sequence[Mapping[str, Any]] = json.loads((path / RECORD).read_text("utf-8"))[
            "verified"
        ]["formats"]
        targets = [Target(find_format(each["format"]), each["quantize"]) for each in formats]
    except (OSError, ValueError, KeyError, TypeError, ExportError):
        return []
    there = [
        each
        for each in targets
        if each.quantize in each.format.quantizations and each.format.recognizes(path / each.file)
    ]
    return sorted(there, key=lambda each: (each.quantize != "float32", each.format.startup))


def _is_installed(format_: ExportFormat) -> bool:
    try:
        format_.check_installed()
    except ExportError:
        return False
    return True


def read_facts(path: Path, format_: ExportFormat) -> ExportFacts:
    """Returns the facts that an export carries.

    Raises:
        ExportError: it carries none, or none that fit together.
    """
    try:
        return ExportFacts.model_validate(format_.read_facts(path))
    except ValidationError as error:
        first = error.errors()[0]
        why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except Exception as error:  # whatever a file that is no model makes its reader raise
        why = _first_line(error)
    raise ExportError(f"{path}: not an export of cnnsearch: {why}")


def _load(path: Path, format_: ExportFormat) -> LoadedModel:
    with _silence_stderr():
        try:
            return format_.load(path)
        except Exception as error:  # whatever a runtime makes of a damaged file
            raise ExportError(f"{path}: cannot be loaded: {_first_line(error)}") from None


def _run(
    model: LoadedModel, path: Path, facts: ExportFacts, pixels: Sequence[Any], mirror: bool
) -> "npt.NDArray[np.float32]":
    import numpy as np

    images = np.stack(pixels)
    with _silence_stderr():
        try:
            found = model.predict_all(images)
            if mirror:
                both = [found, model.predict_all(mirror_images(images))]
                found = np.mean(both, axis=0, dtype=np.float32)
        except Exception as error:  # likewise
            raise ExportError(f"{path}: cannot be run: {_first_line(error)}") from None
    shape = (len(pixels), len(facts.class_names))
    if found.shape != shape or not np.isfinite(found).all():
        raise ExportError(
            f"{path}: not an export of cnnsearch: expected finite probabilities of shape {shape}, "
            f"got shape {found.shape}"
        )
    return found


def _rank(probabilities: Any, facts: ExportFacts, top_k: int) -> tuple[tuple[str, float], ...]:
    import numpy as np

    best = np.argsort(-probabilities, kind="stable")[:top_k]
    return tuple((facts.class_names[i], float(probabilities[i])) for i in best)


def _read_pixels(path: Path, facts: ExportFacts) -> Any:
    """Returns an image as uint8 (H, W, C), or the reason why it cannot be read."""
    from cnnsearch.data.sources.decode import decode, describe_error

    height, width, channels = facts.input
    try:
        status = path.stat()  # before it is opened: a FIFO blocks, a device never ends
        if not stat.S_ISREG(status.st_mode):
            raise DataError("not a regular file")
        if status.st_size > MAX_BYTES:
            raise DataError(f"{status.st_size / 2**20:,.0f} MB, more than {MAX_BYTES >> 20} MB")
        return decode(path.read_bytes(), (height, width), channels)
    except Exception as error:  # whatever a malformed file makes Pillow raise
        return describe_error(error)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@contextmanager
def _silence_stderr() -> Iterator[None]:
    """Discards what runtimes print from C++."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)
