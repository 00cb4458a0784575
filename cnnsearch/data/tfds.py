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
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import IO, Any

from cnnsearch.data.examples import Collection, Item, are_characters, digest
from cnnsearch.data.split import check_classes
from cnnsearch.errors import DataError

_OURS = re.compile(r"(?P<name>\w+)(?::(?P<config>[\w.+-]+))?(?:/(?P<version>\d+\.\d+\.\d+))?")
_THEIRS = re.compile(r"(?P<name>\w+)(?:/(?P<config>[\w.+-]+))?(?::(?P<version>\d+\.\d+\.\d+))?")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_CHARACTERS = ("emnist", "kmnist", "mnist", "omniglot", "svhn_cropped")
_ROLES = {"validation": ("validation", "val", "valid"), "test": ("test",)}


@dataclass(frozen=True)
class TfdsExamples:
    """Rows of a TFDS split, read one after the other; see `Examples`."""

    directory: Path
    split: str
    classes: Sequence[int] | None
    length: int
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
            classes = _ask("list", str(self.directory), self.split)["labels"][self.split]
        return [classes[row] for row in self._rows]

    def __len__(self) -> int:
        return len(self._rows)

    def items(self) -> Iterator[Item]:
        """The images, each read when its item is called."""
        with _reader("images", str(self.directory), self.split, json.dumps(self.rows)) as stream:
            for _ in self._rows:
                data = _record(stream)
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
    return TfdsExamples(directory, plan["split"], plan["classes"], plan["length"], plan["rows"])


class TfdsSource:
    """A data set of TFDS; prepared, which may take the network, if it is not there yet."""

    def __init__(self, text: str, data_dir: Path | None) -> None:
        self.name = f"tfds:{text}"
        match = _OURS.fullmatch(text) or _THEIRS.fullmatch(text)
        if match is None:
            raise DataError(f"{self.name!r} is not of the form tfds:NAME[:config][/version]")
        self._dataset, self._config, self._version = match.group("name", "config", "version")
        if self._config and _VERSION.fullmatch(self._config) and not self._version:
            self._config, self._version = None, self._config
        default = os.environ.get("TFDS_DATA_DIR") or Path("~", "tensorflow_datasets")
        self._root = Path(data_dir or default).expanduser().absolute()

    def witness(self) -> str:
        """Changes whenever the source may have changed."""
        status = (self._directory / "dataset_info.json").stat()
        return digest("tfds", self._directory, status.st_size, status.st_mtime_ns)

    def open(self) -> Collection:
        """Lists the examples."""
        listed = _ask("list", str(self._directory))
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
        return TfdsExamples(self._directory, split, classes, count)

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
        found = {folder: versions for folder in folders if (versions := self._versions(folder))}
        if len(found) > 1 and base not in found:
            configs = ", ".join(sorted(folder.name for folder in found))
            raise DataError(f"{self.name}: say which config, tfds:NAME:config, one of {configs}")
        return next(iter(found.values()))[-1] if found else None

    def _versions(self, folder: Path) -> list[Path]:
        versions = [
            path
            for path in folder.glob(self._version or "*.*.*")
            if _VERSION.fullmatch(path.name) and (path / "dataset_info.json").is_file()
        ]
        return sorted(versions, key=lambda path: [int(part) for part in path.name.split(".")])

    def _prepare(self) -> Path:
        config = f"/{self._config}" if self._config else ""
        version = f":{self._version}" if self._version else ""
        try:
            answer = _ask("prepare", f"{self._dataset}{config}{version}", str(self._root))
        except DataError as error:
            raise DataError(f"{self.name}: not prepared in {self._root}, and {error}") from error
        return Path(answer["directory"])


def _configs(base: Path) -> list[Path]:
    return [path for path in base.glob("*") if path.is_dir() and not _VERSION.fullmatch(path.name)]


def _ask(*words: str) -> dict[str, Any]:
    with _reader(*words) as stream:
        answer: dict[str, Any] = json.loads(_record(stream))
        return answer


@contextmanager
def _reader(*words: str) -> Iterator[IO[bytes]]:
    """Starts the reader and yields its output; it is gone when the context is left.

    The question goes through standard input, as a list of rows may be long.
    """
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    environment = {
        **os.environ,
        "PYTHONPATH": path,
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "cnnsearch.data.tfds_reader"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None
        if words[0] == "prepare"
        else subprocess.DEVNULL,  # a download shows its progress
        env=environment,
    )
    with process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the reader has no pipes")
        try:
            process.stdin.write(json.dumps(words).encode())
            process.stdin.close()
            yield process.stdout
        finally:
            process.kill()


def _record(stream: IO[bytes]) -> bytes:
    """Reads one record; one of negative length is an error message."""
    header = stream.read(8)
    if len(header) < 8:
        raise DataError("the process that reads TFDS data ended early")
    size = struct.unpack("<q", header)[0]
    if size < 0:
        raise DataError(stream.read(-size).decode("utf-8", "replace"))
    return stream.read(size)
