"""The base class of export formats, and what its methods take and return."""

import json
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from cnnsearch.errors import ExportError
from cnnsearch.training.inference import BATCH, predict_batches

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FACTS_FILE = "cnnsearch.json"
"""Name of the file of facts inside an export."""


@dataclass(frozen=True)
class Requirement:
    """A module that a format needs, and what ``pip install`` gets it from (default: its name)."""

    module: str
    install: str = ""


@dataclass(frozen=True)
class ExportJob:
    """A trained network and the input shape of its exports.

    Plain data: it travels to the process that writes the files as JSON.

    Attributes:
        architecture: as JSON.
        mean: per channel, of training pixels scaled to [0, 1].
        std: per channel, likewise.
        image: height and width of the dataset's images.
        size: height and width that the exports accept; None: any, where the format can.
        batch: images per call; None: any, where the format can.
        weights: path of the checkpoint.
        calibration: path of an .npy file of training images, uint8 (N, H, W, C), for int8.
    """

    architecture: str
    mean: list[float]
    std: list[float]
    image: list[int]
    size: list[int] | None
    batch: int | None
    weights: str
    calibration: str = ""

    @property
    def fixed_size(self) -> tuple[int, int]:
        """Height and width for formats that cannot accept any size."""
        height, width = self.size or self.image
        return height, width


@dataclass(frozen=True)
class LoadedModel:
    """An export in its own runtime.

    Attributes:
        predict: from images, uint8 (N, H, W, C), to probabilities, float32 (N, classes).
        batch: the only N that it accepts; None: any.
    """

    predict: "Callable[[Any], npt.NDArray[np.float32]]"
    batch: int | None

    def predict_all(self, images: Any) -> "npt.NDArray[np.float32]":
        """Returns the probabilities of any number of images, uint8 (N, H, W, C)."""
        found: npt.NDArray[np.float32] = predict_batches(
            self.predict, images.__getitem__, len(images),
            size=self.batch or BATCH, pad=self.batch is not None,
        ).astype("float32", copy=False)  # fmt: skip
        return found


class ExportFormat(ABC):
    """One export format: its facts, and how to write, read, run and describe a file of it.

    Every export maps uint8 images (batch, height, width, channels) to class probabilities (batch,
    classes), with preprocessing inside. Nothing heavy is imported before a method needs it.

    Attributes:
        name: the word for ``--format``.
        title: for tables and messages.
        summary: for ``--help``, a few words.
        suffix: of the file; empty for a folder.
        runtime: what runs it.
        writers: what writing it needs beyond the runtime.
        backend: the Keras backend that it is written with; empty: any.
        quantizations: how weights can be stored; with ``int8`` activations are quantized too.
        startup: typical seconds until the runtime has loaded a model; of an export in several
            formats, ``cnnsearch predict`` runs the one that starts fastest.
        is_timed: whether ``cnnsearch latency`` measures it: one file that small devices run.
        caution: what to know before opening a file from somebody else, for the model card.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    suffix: ClassVar[str]
    runtime: ClassVar[Requirement]
    writers: ClassVar[tuple[Requirement, ...]] = ()
    backend: ClassVar[str] = ""
    quantizations: ClassVar[tuple[str, ...]] = ("float32",)
    startup: ClassVar[float] = 10.0
    is_timed: ClassVar[bool] = False
    caution: ClassVar[str] = ""

    @abstractmethod
    def make(self, job: ExportJob, path: Path, quantize: str) -> None:
        """Writes the network to ``path``, without facts, in a process with Keras."""

    @abstractmethod
    def load(self, path: Path) -> LoadedModel:
        """Loads a file with the format's own runtime, as a user without cnnsearch would."""

    @abstractmethod
    def snippet(self, file: str) -> str:
        """Returns Python code for the model card that computes ``probabilities`` of ``images``."""

    def embed(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Stores the facts in the file: by default in a zip archive inside or behind it."""
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(FACTS_FILE, json.dumps(facts, separators=(",", ":")))

    def read_facts(self, path: Path) -> Any:
        """Returns what :meth:`embed` stored."""
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(FACTS_FILE))

    def recognizes(self, path: Path) -> bool:
        """Whether ``path`` looks like a file of this format."""
        return path.is_file() and path.suffix == self.suffix

    def file(self, quantize: str = "float32") -> str:
        """Returns its name in the export's folder."""
        return f"model{'' if quantize == 'float32' else f'-{quantize}'}{self.suffix}"

    def label(self, quantize: str = "float32") -> str:
        """Returns the words for a table."""
        return self.title if quantize == "float32" else f"{self.title} {quantize}"

    def check_installed(self, *, writing: bool = False) -> None:
        """Raises ExportError with the pip command if the runtime (or a writer) is missing."""
        for needed in (*(self.writers if writing else ()), self.runtime):
            if util.find_spec(needed.module) is None:
                raise ExportError(
                    f"{self.title} needs {needed.module.replace('_', '-')}, which is not "
                    f"installed: pip install '{needed.install or needed.module}'"
                )
