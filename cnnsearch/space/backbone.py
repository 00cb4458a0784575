"""A published network with trained weights, from which a candidate starts."""

from dataclasses import dataclass
from typing import Final

IMAGENET: Final = "imagenet"


@dataclass(frozen=True)
class Backbone:
    """A published network that a candidate starts from, and its weights.

    Attributes:
        network: the name of a published network that keras.applications has too.
        weights: ``imagenet``, or a file in the format of keras.applications.
    """

    network: str
    weights: str = IMAGENET

    def to_data(self) -> dict[str, str]:
        """Returns plain data, as runs record it."""
        return {"network": self.network, "weights": self.weights}
