"""What a run's folder says of the run, read as what it is: a file that anybody may have written."""

import os
import stat
from pathlib import Path
from typing import Any, Self

from cnnsearch.errors import RunError
from cnnsearch.runs.records import parsed

LARGEST = 16 << 20  # bytes of a manifest or a space
_OBJECTS = ("settings", "identity", "dataset", "environment", "final", "pretrained", "fidelity")
_TEXTS = ("kind", "space", "data", "strategy")
_OF_DATA = {
    "source": str,
    "fingerprint": str,
    "class_names": list,
    "image": list,
    "channels": int,
    "train": int,
    "validation": int,
    "test": int,
    "mean": list,
    "std": list,
    "skipped": list,
}


class Manifest(dict[str, Any]):
    """``run.json``; a key that is not there is an error that names the file and the key."""

    where: str = "run.json"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a file.

        Raises:
            RunError: it is no manifest; says which key is wrong.
        """
        manifest = cls.noted(parsed(read_own(path), str(path)), str(path))
        for key in _OBJECTS:
            manifest.check(key, dict)
        for key in _TEXTS:
            manifest.check(key, str)
        for key, kind in _OF_DATA.items():
            manifest.get("dataset", cls()).check(key, kind)
        return manifest

    @classmethod
    def noted(cls, data: dict[str, Any], where: str) -> Self:
        """Returns data that knows where it stands, and so all objects in it."""
        found = cls(
            {
                key: cls.noted(value, f"{where}: {key}") if isinstance(value, dict) else value
                for key, value in data.items()
            }
        )
        found.where = where
        return found

    def check(self, key: str, kind: type) -> None:
        """Refuses a value of another type; one that is not there is for who needs it."""
        if key in self and (not isinstance(self[key], kind) or isinstance(self[key], bool)):
            got = type(self[key]).__name__
            raise RunError(f"{self.where}: {key}: expected {kind.__name__}, got {got}")

    def __missing__(self, key: str) -> Any:
        raise RunError(f"{self.where}: {key}: this key is missing")


def check_own(path: Path) -> None:
    """Refuses what leads out of a run's folder.

    Raises:
        RunError: it is a link, or neither a file nor a folder.
    """
    mode = path.lstat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise RunError(f"{path}: a run holds files and folders, but this is a link or a device")


def read_own(path: Path) -> str:
    """Returns the text of a file in a run's folder.

    Raises:
        RunError: it is too large to be one.
        OSError: it cannot be read, or is none.
        ValueError: it is no UTF-8 text.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path.name} is no file")
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise RunError(f"{path}: larger than {LARGEST:,} bytes")
    return data.decode("utf-8")
