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
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from cnnsearch.data.sources.protocol import Collection, Item, are_characters, digest
from cnnsearch.data.sources.split import check_classes
from cnnsearch.errors import DataError

_OURS = re.compile(r"(?P<name>\w+)(?::(?P<config>[\w.+-]+))?(?:/(?P<version>\d+\.\d+\.\d+))?")
_THEIRS = re.compile(r"(?P<name>\w+)(?:/(?P<config>[\w.+-]+))?(?::(?P<version>\d+\.\d+\.\d+))?")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_NO_KERAS = {"TF_USE_LEGACY_KERAS": "1"}  # TensorFlow then imports no Keras, half of its start
_CHARACTERS = ("emnist", "kmnist", "mnist", "omniglot", "svhn_cropped")
FORM = "tfds:NAME[:config][/version], tfds:NAME[/config][:version] or tfds:/DIRECTORY"
_ROLES = {"validation": ("validation", "val", "valid"), "test": ("test",)}


@dataclass(frozen=True)
class TfdsExamples:
    """Rows of a TFDS split, read one after the other; see `Examples`."""

    directory: Path
    split: str
    classes: Sequence[int] | None
    length: int
    reader: "Reader"
    rows: Sequence[int] | None = None

    @property
    def _rows(self) -> Sequence[int]:
        return range(self.length) if self.rows is None else self.rows

    @cached_property
    def keys(self) -> Sequence[str]:
        """A name for each image."""
        return [f"{self.split}[{row}]" for row in self._rows]

    @cached_property
    def labels(self) -> Sequence[int]:
        """The class index of each image."""
        classes = self.classes
        if classes is None:
            answer = self.reader.ask_one("list", str(self.directory), self.split)
            classes = answer["labels"][self.split]
        return [classes[row] for row in self._rows]

    def __len__(self) -> int:
        return len(self._rows)

    def items(self) -> Iterator[Item]:
        """The images, each read when its item is called."""
        question = ("images", str(self.directory), self.split, self.rows)
        for data in self.reader.ask(len(self), *question):
            yield partial(bytes, data)

    def take(self, rows: Sequence[int]) -> "TfdsExamples":
        """The examples of these rows."""
        return replace(self, rows=[self._rows[row] for row in rows])

    def stamp(self) -> str:
        """What is known without reading an image."""
        info = (self.directory / "dataset_info.json").read_bytes()
        return digest(info, self.split, list(self._rows))

    def plan(self) -> Mapping[str, Any]:
        """How to list these examples again."""
        return {
            "kind": "tfds",
            "directory": str(self.directory),
            "split": self.split,
            "classes": self.classes,
            "length": self.length,
            "rows": self.rows,
        }


def reopen(plan: Mapping[str, Any]) -> TfdsExamples:
    """Returns the examples that `TfdsExamples.plan` described."""
    directory = Path(plan["directory"])
    if not (directory / "dataset_info.json").is_file():
        raise DataError(f"the prepared TFDS data in {directory} is gone; load the data set again")
    return TfdsExamples(
        directory, plan["split"], plan["classes"], plan["length"], Reader(), plan["rows"]
    )


class TfdsSource:
    """A data set of TFDS; prepared, which may take the network, if it is not there yet."""

    def __init__(self, text: str, data_dir: Path | None) -> None:
        self.name = f"tfds:{text}"
        self._reader = Reader()
        if text.startswith(("/", "~", "./", "../")):
            self._place(Path(text).expanduser().absolute())
        else:
            self._parse(text)
            default = os.environ.get("TFDS_DATA_DIR") or Path("~", "tensorflow_datasets")
            self._root = Path(data_dir or default).expanduser().absolute()

    def _place(self, path: Path) -> None:
        """Takes the directory of a prepared data set, or the one above its versions."""
        found = [path] if (path / "dataset_info.json").is_file() else _versions(path)
        if not found:
            raise DataError(f"{self.name}: no prepared TFDS data there (no dataset_info.json)")
        self._directory = found[-1]
        self._dataset = _name(self._directory)

    def _parse(self, text: str) -> None:
        match = _OURS.fullmatch(text) or _THEIRS.fullmatch(text)
        if match is None:
            raise DataError(f"{self.name!r} is not of the form {FORM}")
        self._dataset, self._config, self._version = match.group("name", "config", "version")
        if self._config and _VERSION.fullmatch(self._config) and not self._version:
            self._config, self._version = None, self._config

    def witness(self) -> str:
        """Changes whenever the source may have changed."""
        status = (self._directory / "dataset_info.json").stat()
        return digest("tfds", self._directory, status.st_size, status.st_mtime_ns)

    def open(self) -> Collection:
        """Lists the examples."""
        listed = self._reader.ask_one("list", str(self._directory))
        names, labels, counts = tuple(listed["names"]), listed["labels"], listed["counts"]
        parts = {
            role: self._examples(name, labels.get(name), counts[name])
            for role, name in self._splits(list(counts)).items()
        }
        check_classes(parts["train"].labels, names, self.name)
        return Collection(
            names,
            parts["train"],
            parts.get("validation"),
            parts.get("test"),
            flip=not (are_characters(names) or self._dataset in _CHARACTERS),
            channels=listed["channels"],
        )

    def _examples(self, split: str, classes: Sequence[int] | None, count: int) -> TfdsExamples:
        return TfdsExamples(self._directory, split, classes, count, self._reader)

    def _splits(self, names: Sequence[str]) -> dict[str, str]:
        if len(names) == 1:
            return {"train": names[0]}
        if "train" not in names:
            raise DataError(f"{self.name}: no split 'train' among {', '.join(sorted(names))}")
        held = {role: name for role, known in _ROLES.items() for name in known if name in names}
        return {"train": "train", **held}

    @cached_property
    def _directory(self) -> Path:
        return self._prepared() or self._prepare()

    def _prepared(self) -> Path | None:
        """The directory of the newest version there is, without importing TFDS."""
        base = self._root / self._dataset
        folders = [base / self._config] if self._config else [base, *_configs(base)]
        found = {
            folder: versions for folder in folders if (versions := _versions(folder, self._version))
        }
        if len(found) > 1 and base not in found:
            configs = ", ".join(sorted(folder.name for folder in found))
            raise DataError(f"{self.name}: say which config, tfds:NAME:config, one of {configs}")
        return next(iter(found.values()))[-1] if found else None

    def _prepare(self) -> Path:
        config = f"/{self._config}" if self._config else ""
        version = f":{self._version}" if self._version else ""
        try:
            answer = self._reader.ask_one(
                "prepare", f"{self._dataset}{config}{version}", str(self._root)
            )
        except DataError as error:
            raise DataError(f"{self.name}: not prepared in {self._root}, and {error}") from error
        return Path(answer["directory"])


def _versions(folder: Path, wanted: str | None = None) -> list[Path]:
    """The prepared versions in a directory, the newest last."""
    versions = [
        path
        for path in folder.glob(wanted or "*.*.*")
        if _VERSION.fullmatch(path.name) and (path / "dataset_info.json").is_file()
    ]
    return sorted(versions, key=lambda path: [int(part) for part in path.name.split(".")])


def _name(directory: Path) -> str:
    """What a prepared data set calls itself."""
    try:
        info = json.loads((directory / "dataset_info.json").read_text(encoding="utf-8"))
        return str(info["name"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{directory}/dataset_info.json is not readable ({error!r})") from error


def _configs(base: Path) -> list[Path]:
    return [path for path in base.glob("*") if path.is_dir() and not _VERSION.fullmatch(path.name)]


class Reader:
    """The process that reads, started by the first question and ended with this object."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owed = 0

    def ask(self, records: int, *question: Any) -> Iterator[bytes]:
        """Yields the records of the answer; one not read to its end costs the process."""
        if self._owed:
            self.close()
        self._owed = records
        pipe = self._started().stdin
        if pipe is None:
            raise RuntimeError("the reader has no pipes")
        with suppress(BrokenPipeError):  # the missing answer says it better
            pipe.write(json.dumps(question).encode() + b"\n")
            pipe.flush()
        for _ in range(records):
            yield self._record()
            self._owed -= 1

    def ask_one(self, *question: Any) -> dict[str, Any]:
        """Returns an answer of one record of JSON."""
        (record,) = self.ask(1, *question)
        answer: dict[str, Any] = json.loads(record)
        return answer

    def close(self) -> None:
        """Ends the process."""
        process, self._process, self._owed = self._process, None, 0
        if process:
            process.kill()
            process.communicate()

    __del__ = close

    def _started(self) -> "subprocess.Popen[bytes]":
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

    def _record(self) -> bytes:
        stream = self._process.stdout if self._process else None
        header = stream.read(8) if stream else b""
        if stream is None or len(header) < 8:
            self.close()
            raise DataError("the process that reads TFDS data ended early")
        size = struct.unpack("<q", header)[0]
        if size < 0:
            self._owed = 0
            raise DataError(stream.read(-size).decode("utf-8", "replace"))
        return stream.read(size)
