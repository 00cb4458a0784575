"""TensorFlow Datasets, read by a process of its own (`tfds_reader`).

So that TensorFlow neither takes GPU memory in this process nor has to live with another framework,
and image files are decoded by Pillow here like everything else.
"""

import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self

from cnnsearch.data.sources.arrays import RowExamples
from cnnsearch.data.sources.protocol import (
    Collection,
    Folders,
    Item,
    Source,
    are_characters,
    digest,
)
from cnnsearch.data.sources.split import check_classes
from cnnsearch.errors import DataError

_OURS = re.compile(r"(?P<name>\w+)(?::(?P<config>[\w.+-]+))?(?:/(?P<version>\d+\.\d+\.\d+))?")
_THEIRS = re.compile(r"(?P<name>\w+)(?:/(?P<config>[\w.+-]+))?(?::(?P<version>\d+\.\d+\.\d+))?")
_INFO = "dataset_info.json"
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_NO_KERAS = {"TF_USE_LEGACY_KERAS": "1"}  # TensorFlow then imports no Keras, half of its start
_CHARACTERS = ("emnist", "kmnist", "mnist", "omniglot", "svhn_cropped")
_FORMS = "tfds:NAME[:config][/version], tfds:NAME[/config][:version] or tfds:/DIRECTORY"
_ROLES = {"validation": ("validation", "val", "valid"), "test": ("test",)}


@dataclass(frozen=True, kw_only=True)
class TfdsExamples(RowExamples):
    """Rows of a TFDS split, read one after the other; see `Examples`.

    Attributes:
        directory: Of the prepared data.
        split: As TFDS calls it.
        classes: The class index of each row; None: they are listed when needed.
        reader: The process that reads.
    """

    kind = "tfds"
    directory: str
    split: str
    classes: Sequence[int] | None
    reader: "Reader" = field(repr=False)

    @property
    def name(self) -> str:
        return self.split

    def read_classes(self) -> Sequence[int]:
        if self.classes is not None:
            return self.classes
        answer = self.reader.ask_one("list", self.directory, self.split)
        return list(answer["labels"][self.split])

    def items(self) -> Iterator[Item]:
        question = ("images", self.directory, self.split, self.rows)
        for data in self.reader.ask(len(self), *question):
            yield partial(bytes, data)

    def stamp(self) -> str:
        return digest(Path(self.directory, _INFO).read_bytes(), self.split, list(self.numbers))


class TfdsSource(Source):
    """A data set of TFDS; it is downloaded and prepared first where that has not been done."""

    kind = TfdsExamples.kind
    prefix = "tfds:"
    form = "tfds:NAME[:config][/version]"
    suggestions = ("tfds:cifar10", "tfds:cifar100", "tfds:fashion_mnist", "tfds:mnist")

    def __init__(self, text: str, data_dir: Path | None) -> None:
        self.name = f"{self.prefix}{text}"
        self._reader = Reader()
        if text.startswith(("/", "~", "./", "../")):
            self._find_directory(Path(text).expanduser().absolute())
        else:
            self._parse(text)
            default = os.environ.get("TFDS_DATA_DIR") or Path("~", "tensorflow_datasets")
            self._root = Path(data_dir or default).expanduser().absolute()

    @classmethod
    def recognize(cls, text: str, folders: Folders) -> Self | None:
        if not text.startswith(cls.prefix):
            return None
        return cls(text.removeprefix(cls.prefix), folders.data_dir)

    @classmethod
    def reopen(cls, plan: Mapping[str, Any], folder: Path) -> TfdsExamples:
        if not Path(plan["directory"], _INFO).is_file():
            where = plan["directory"]
            raise DataError(f"the prepared TFDS data in {where} is gone; load the data set again")
        return TfdsExamples.from_plan(plan, reader=Reader())

    def _find_directory(self, path: Path) -> None:
        """Takes the directory of a prepared data set, or the newest version in it."""
        found = [path] if (path / _INFO).is_file() else _list_versions(path)
        if not found:
            raise DataError(f"{self.name}: no prepared TFDS data there (no {_INFO})")
        self._directory = found[-1]
        self._dataset = _read_name(self._directory)

    def _parse(self, text: str) -> None:
        match = _OURS.fullmatch(text) or _THEIRS.fullmatch(text)
        if match is None:
            raise DataError(f"{self.name!r} is not of the form {_FORMS}")
        self._dataset, self._config, self._version = match.group("name", "config", "version")
        if self._config and _VERSION.fullmatch(self._config) and not self._version:
            self._config, self._version = None, self._config

    def witness(self) -> str:
        status = (self._directory / _INFO).stat()
        return digest("tfds", self._directory, status.st_size, status.st_mtime_ns)

    def open(self) -> Collection:
        listed = self._reader.ask_one("list", str(self._directory))
        names, labels, counts = tuple(listed["names"]), listed["labels"], listed["counts"]
        parts = {
            role: self._examples(name, labels.get(name), counts[name])
            for role, name in self._find_splits(list(counts)).items()
        }
        check_classes(parts["train"].labels, names, self.name)
        return Collection(
            names,
            parts["train"],
            parts.get("validation"),
            parts.get("test"),
            flip=not (are_characters(names) or self._dataset in _CHARACTERS),
            channels=listed["channels"],
            closed=True,
        )

    def _examples(self, split: str, classes: Sequence[int] | None, count: int) -> TfdsExamples:
        return TfdsExamples(
            split=split,
            length=count,
            directory=str(self._directory),
            classes=classes,
            reader=self._reader,
        )

    def _find_splits(self, names: Sequence[str]) -> dict[str, str]:
        if len(names) == 1:
            return {"train": names[0]}
        if "train" not in names:
            raise DataError(f"{self.name}: no split 'train' among {', '.join(sorted(names))}")
        held = {role: name for role, known in _ROLES.items() for name in known if name in names}
        return {"train": "train", **held}

    @cached_property
    def _directory(self) -> Path:
        return self._find_prepared() or self._download()

    def _find_prepared(self) -> Path | None:
        """Returns the directory of the newest prepared version, without importing TFDS."""
        base = self._root / self._dataset
        folders = [base / self._config] if self._config else [base, *_list_configs(base)]
        listed = {folder: _list_versions(folder, self._version) for folder in folders}
        found = {folder: versions for folder, versions in listed.items() if versions}
        if len(found) > 1 and base not in found:
            configs = ", ".join(sorted(folder.name for folder in found))
            raise DataError(f"{self.name}: add a config, tfds:NAME:config, one of {configs}")
        return next(iter(found.values()))[-1] if found else None

    def _download(self) -> Path:
        config = f"/{self._config}" if self._config else ""
        version = f":{self._version}" if self._version else ""
        try:
            answer = self._reader.ask_one(
                "prepare", f"{self._dataset}{config}{version}", str(self._root)
            )
        except DataError as error:
            raise DataError(f"{self.name}: not prepared in {self._root}, and {error}") from error
        return Path(answer["directory"])


def _list_versions(folder: Path, wanted: str | None = None) -> list[Path]:
    """Returns the prepared versions in a directory, the newest last."""
    versions = [
        path
        for path in folder.glob(wanted or "*.*.*")
        if _VERSION.fullmatch(path.name) and (path / _INFO).is_file()
    ]
    return sorted(versions, key=lambda path: [int(part) for part in path.name.split(".")])


def _read_name(directory: Path) -> str:
    """Returns the name in the metadata of a prepared data set."""
    try:
        info = json.loads((directory / _INFO).read_text(encoding="utf-8"))
        return str(info["name"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{directory}/{_INFO} is not readable ({error!r})") from error


def _list_configs(base: Path) -> list[Path]:
    return [path for path in base.glob("*") if path.is_dir() and not _VERSION.fullmatch(path.name)]


class Reader:
    """The process that reads, started with the first question and ended with this object."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._pending = 0

    def ask(self, records: int, *question: Any) -> Iterator[bytes]:
        """Yields the records of the answer.

        If an earlier answer was not read to its end, the process is restarted: what is left in the
        pipe would be taken for this one.
        """
        if self._pending:
            self.close()
        self._pending = records
        pipe = self._start().stdin
        if pipe is None:
            raise RuntimeError("the reader has no pipes")
        with suppress(BrokenPipeError):  # reading the answer gives the better message
            pipe.write(json.dumps(question).encode() + b"\n")
            pipe.flush()
        for _ in range(records):
            yield self._read_record()
            self._pending -= 1

    def ask_one(self, *question: Any) -> dict[str, Any]:
        """Returns an answer of one record of JSON."""
        (record,) = self.ask(1, *question)
        answer: dict[str, Any] = json.loads(record)
        return answer

    def close(self) -> None:
        """Kills the process."""
        process, self._process, self._pending = self._process, None, 0
        if process:
            process.kill()
            process.communicate()

    __del__ = close

    def _start(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            package = str(Path(__file__).resolve().parents[3])
            path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
            quiet = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cnnsearch.data.sources.tfds_reader"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **quiet, **_NO_KERAS, "PYTHONPATH": path},
            )
        return self._process

    def _read_record(self) -> bytes:
        stream = self._process.stdout if self._process else None
        header = stream.read(8) if stream else b""
        if stream is None or len(header) < 8:
            self.close()
            raise DataError("the process that reads TFDS data ended early")
        size = struct.unpack("<q", header)[0]
        if size < 0:
            self._pending = 0
            raise DataError(stream.read(-size).decode("utf-8", "replace"))
        return stream.read(size)
