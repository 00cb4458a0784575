"""What the process that makes exports is told."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Job:
    """What is to be made.

    Attributes:
        architecture: as JSON.
        mean: per channel, of training pixels scaled to [0, 1].
        std: per channel, likewise.
        image: height and width of the images in the files.
        size: height and width that the exports take; None: any, where the format can.
        batch: images at once; None: any, where the format can.
        weights: the checkpoint.
        folder: is written to.
        targets: what is written.
        images: an .npy file to be answered; None: nothing is.
        answers: the .npz file for the Keras model's probabilities and latency.
        calibration: an .npy file of training images.
    """

    architecture: str
    mean: list[float]
    std: list[float]
    image: list[int]
    size: list[int] | None
    batch: int | None
    weights: str
    folder: str
    targets: list[list[str]]
    images: str | None
    answers: str
    calibration: str

    def to_json(self) -> str:
        """Returns what :mod:`cnnsearch.exporters.keras_export` reads."""
        return json.dumps(asdict(self))
