"""Accuracy after quantization to 8 bits."""

from importlib import util
from typing import ClassVar

from cnnsearch.errors import CnnsearchError
from cnnsearch.training.objectives.accuracy import Accuracy
from cnnsearch.training.objectives.base import Objective


class Int8Accuracy(Accuracy):
    """The accuracy of the best epoch as an int8 LiteRT model, calibrated on training images.

    Epochs are compared by their accuracy in float.
    """

    name: ClassVar[str] = "int8_accuracy"
    label: ClassVar[str] = "int8 accuracy"
    quantized: ClassVar[bool] = True

    @property
    def per_epoch(self) -> Objective:
        return Accuracy()

    def check_installed(self) -> None:
        from cnnsearch.utils.environment import get_backend

        if get_backend() != "tensorflow":
            raise CnnsearchError(
                f"--objective {self.name}: quantizes with TensorFlow, but KERAS_BACKEND is"
                f" {get_backend()}"
            )
        if util.find_spec("ai_edge_litert") is None:
            raise CnnsearchError(
                f"--objective {self.name}: needs ai-edge-litert, which is not installed:"
                " pip install 'cnnsearch[litert]'"
            )
