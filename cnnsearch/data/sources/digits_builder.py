"""A builder for TensorFlow Datasets that needs no network: scikit-learn's digits.

It tests the TFDS source offline, and is an example of a custom builder.
"""

import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np

from cnnsearch.data.sources.digits import DigitsExamples


@cache
def register() -> Any:
    """Defines the builder, which registers it with TFDS, and returns its class."""
    tfds: Any = importlib.import_module("tensorflow_datasets")

    class CnnsearchDigits(tfds.core.GeneratorBasedBuilder):  # type: ignore[misc]
        """The 1,797 handwritten digits of 8x8 grey pixels that come with scikit-learn."""

        VERSION = tfds.core.Version("1.0.0")
        RELEASE_NOTES: Mapping[str, str] = {"1.0.0": "As scikit-learn has them, 0..16 made 0..255."}

        def _info(self) -> Any:
            features = tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(8, 8, 1)),
                    "label": tfds.features.ClassLabel(names=list("0123456789")),
                }
            )
            return tfds.core.DatasetInfo(
                builder=self,
                description=self.__doc__,
                features=features,
                supervised_keys=("image", "label"),
                homepage="https://archive.ics.uci.edu/dataset/80",
                disable_shuffling=True,
            )

        def _split_generators(self, dl_manager: Any) -> Any:
            return {"train": self._generate_examples()}

        def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
            digits = DigitsExamples()
            for row, (item, label) in enumerate(zip(digits.items(), digits.labels, strict=True)):
                yield row, {"image": np.asarray(item())[..., np.newaxis], "label": label}

    return CnnsearchDigits
