"""The process that holds TensorFlow Datasets: answers questions on standard output.

A question is a JSON list on a line of standard input; an answer is a sequence of records, each its
length (int64, little-endian) and its bytes. A negative length marks an error message of one line.
"""

import importlib
import importlib.resources.abc
import json
import logging
import os
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any

from cnnsearch.data.sources import digits_builder
from cnnsearch.errors import DataError, suggest

_HELD_OUT = ("test",)


def prepare(name: str, data_dir: str) -> Iterator[bytes]:
    """Downloads and prepares a data set."""
    tfds = _import()
    digits_builder.register()
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        known = tfds.list_builders(with_community_datasets=False)
        raise DataError(f"TFDS knows no data set {name!r}{suggest(name, known)}") from error
    except Exception as error:
        raise DataError(f"TFDS cannot open {name!r} ({_one_line(error)})") from error
    _limit_retries()
    try:
        builder.download_and_prepare()
    except Exception as error:
        raise DataError(f"it could not be downloaded and prepared ({_one_line(error)})") from error
    yield json.dumps({"directory": str(builder.data_path)}).encode()


def _limit_retries() -> None:
    """Retries an unreachable host for about 6 seconds (5 times); TFDS: 3.5 minutes (11 times)."""
    downloader = importlib.import_module("tensorflow_datasets.core.download.downloader")
    downloader.MAX_RETRIES = 5  # type: ignore[attr-defined]


def list_splits(directory: str, split: str = "") -> Iterator[bytes]:
    """Sends splits, class names and labels; the labels of a test split only if it is named."""
    builder = _open(directory)
    image, label = _find_features(builder)
    counts = {name: info.num_examples for name, info in builder.info.splits.items()}
    wanted = [split] if split else [n for n in counts if n not in _HELD_OUT or len(counts) == 1]
    depth = builder.info.features[image].shape[-1]
    answer = {
        "names": builder.info.features[label].names,
        "counts": counts,
        "channels": depth if depth in (1, 3) else None,
        "labels": {name: list(_read_labels(builder, name, label)) for name in wanted},
    }
    yield json.dumps(answer).encode()


def send_images(directory: str, split: str, rows: list[int] | None) -> Iterator[bytes]:
    """Sends the encoded images of some rows, or of all if ``null``, in the order of the rows."""
    if rows is not None and rows != sorted(rows):
        raise ValueError("rows of a TFDS split are read in order")
    builder = _open(directory)
    image, _ = _find_features(builder)
    skip = {image: _import().decode.SkipDecoding()}
    keep = None if rows is None else set(rows)
    for row, example in enumerate(_read(builder, split, skip)):
        if keep is None or row in keep:
            yield example[image]


def _read_labels(builder: Any, split: str, label: str) -> Iterator[int]:
    only = _import().decode.PartialDecoding({label: True})
    return (int(example[label]) for example in _read(builder, split, only))


def _read(builder: Any, split: str, decoders: Any) -> Any:
    """Reads one file after the other, so that a row is the same example every time."""
    config = _import().ReadConfig(interleave_cycle_length=1, try_autocache=False)
    return builder.as_dataset(
        split=split, shuffle_files=False, decoders=decoders, read_config=config
    ).as_numpy_iterator()


def _open(directory: str) -> Any:
    tfds = _import()
    try:
        return tfds.builder_from_directory(directory)
    except Exception as error:
        raise DataError(f"{directory} is not readable TFDS data ({_one_line(error)})") from error


def _find_features(builder: Any) -> tuple[str, str]:
    """Returns the names of the one image and the one class label that an example must have."""
    tfds = _import()
    features = builder.info.features
    names: list[str] = []
    for kind, what in ((tfds.features.Image, "image"), (tfds.features.ClassLabel, "class label")):
        found = [name for name, feature in features.items() if isinstance(feature, kind)]
        if len(found) != 1:
            raise DataError(f"examples need one {what}, these have {len(found)}: {list(features)}")
        names += found
    return names[0], names[1]


def _import() -> Any:
    # TFDS 4.9.10 uses this back-port without declaring it
    sys.modules.setdefault("importlib_resources", importlib.resources)
    try:
        importlib.import_module("tensorflow")
        return importlib.import_module("tensorflow_datasets")
    except ImportError as error:
        raise DataError(
            f"{error.name or error} is not installed (pip install tensorflow tensorflow-datasets)"
        ) from error


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 400 else text[:399] + "…"


def main() -> None:
    """Answers questions until standard input ends; only a download may print."""
    stream, terminal = os.fdopen(os.dup(1), "wb"), os.dup(2)
    _send_output_to(os.open(os.devnull, os.O_WRONLY))
    for line in sys.stdin:
        try:
            for record in _answer(json.loads(line), terminal):
                stream.write(struct.pack("<q", len(record)) + record)
        except BrokenPipeError:
            return
        except Exception as error:
            kind = "" if isinstance(error, DataError) else f"{type(error).__name__}: "
            message = f"{kind}{_one_line(error)}".encode()
            stream.write(struct.pack("<q", -len(message)) + message)
        stream.flush()


def _send_output_to(target: int) -> None:
    os.dup2(target, 1)
    os.dup2(target, 2)


def _answer(question: list[Any], terminal: int) -> Iterator[bytes]:
    answers: dict[str, Callable[..., Iterator[bytes]]] = {
        "prepare": prepare,
        "list": list_splits,
        "images": send_images,
    }
    if question[0] == "prepare":
        _import()
        _send_output_to(terminal)
        logging.getLogger("urllib3").setLevel(logging.ERROR)
    return answers[question[0]](*question[1:])


if __name__ == "__main__":
    main()
