"""Reads ``run.json`` and the other files of a run's folder; anybody may have written them."""

import os
import stat
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, StrictFloat, StrictInt, StrictStr

from cnnsearch.errors import RunError
from cnnsearch.runs.records import parse_object, validate

LARGEST = 16 << 20  # bytes of a manifest or a space


class _DataSet(BaseModel):
    source: StrictStr = ""
    fingerprint: StrictStr = ""
    class_names: list[Any] = []
    image: list[Any] = []
    channels: StrictInt = 0
    train: StrictInt = 0
    validation: StrictInt = 0
    test: StrictInt = 0
    mean: list[Any] = []
    std: list[Any] = []
    skipped: list[Any] = []
    warnings: list[Any] = []
    split_version: StrictInt = 1


class _Backbone(BaseModel):
    network: StrictStr
    weights: StrictStr
    file: Annotated[StrictStr, Field(pattern=r"^[0-9]+\.npz$")]
    mean: list[StrictFloat]
    std: list[StrictFloat]
    sha256: StrictStr | None


class _Keys(BaseModel):
    """The types of a manifest's values; each kind of run has some of the keys."""

    kind: StrictStr = ""
    space: StrictStr = ""
    data: StrictStr = ""
    strategy: StrictStr = ""
    settings: dict[str, Any] = {}
    identity: dict[str, Any] = {}
    dataset: _DataSet = _DataSet()
    environment: dict[str, Any] = {}
    final: dict[str, Any] = {}
    fidelity: dict[str, Any] = {}
    pretrained: dict[str, Any] | None = None
    backbones: list[_Backbone] = []


class Manifest(dict[str, Any]):
    """``run.json`` as a dictionary whose missing keys raise an error with file and key."""

    where: str = "run.json"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads and validates a file.

        Raises:
            RunError: not a JSON object, or a value has the wrong type; names the key.
        """
        data = parse_object(read_own(path), str(path))
        validate(_Keys.model_validate, data, str(path))
        return cls.wrap(data, str(path))

    @classmethod
    def wrap(cls, data: dict[str, Any], where: str) -> Self:
        """Returns ``data`` with all objects in it wrapped, each with its own ``where``."""
        wrapped = cls(
            {
                key: cls.wrap(value, f"{where}: {key}") if isinstance(value, dict) else value
                for key, value in data.items()
            }
        )
        wrapped.where = where
        return wrapped

    def __missing__(self, key: str) -> Any:
        raise RunError(f"{self.where}: {key}: this key is missing")


def check_own(path: Path) -> None:
    """Raises RunError for links and devices: they would lead out of a run's folder."""
    mode = path.lstat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise RunError(f"{path}: a run holds files and folders, but this is a link or a device")


def read_own(path: Path) -> str:
    """Returns the text of a file in a run's folder.

    Raises:
        RunError: it is too large.
        OSError: it cannot be read, or is not a regular file.
        ValueError: it is not UTF-8.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path.name} is no file")
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise RunError(f"{path}: larger than {LARGEST:,} bytes")
    return data.decode("utf-8")
