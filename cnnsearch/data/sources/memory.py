"""Arrays in memory, of `cnnsearch.data.from_arrays`."""

from collections.abc import Mapping, Sequence
from functools import cache, cached_property, partial
from typing import Any

import numpy as np

from cnnsearch.data.sources.arrays import (
    ArrayExamples,
    check_range,
    check_shapes,
    collect_splits,
    count_channels,
    find_classes,
    index_labels,
)
from cnnsearch.data.sources.protocol import Collection, Pixels, digest


class MemorySource:
    """Arrays in memory, which no text names: (images, labels) of train and other splits."""

    def __init__(
        self,
        pairs: Mapping[str, tuple[Any, Any] | None],
        class_names: Sequence[str] | None,
        name: str,
        flip: bool | None,
    ) -> None:
        self.name = name
        self._flip = flip
        self._names = class_names
        self._pairs = {
            role: (np.asarray(pair[0]), np.asarray(pair[1]))
            for role, pair in pairs.items()
            if pair is not None
        }

    def image_size(self) -> tuple[int, int]:
        """Returns height and width of the training images."""
        self._check("train")
        return self._pairs["train"][0].shape[1:3]

    def _check(self, role: str) -> None:
        x, y = self._pairs[role]
        check_shapes(f"{self.name}, {role}", (x.shape, x.dtype), (y.shape, y.dtype))

    @cached_property
    def _idents(self) -> dict[str, str]:
        return {
            role: digest(*(part for a in pair for part in (a.shape, a.dtype.str, a.tobytes())))
            for role, pair in self._pairs.items()
            if not any(array.dtype.hasobject for array in pair)
        }

    def witness(self) -> str:
        return digest("arrays", self._names, self._flip, sorted(self._idents.items()))

    def open(self) -> Collection:
        for role in self._pairs:
            self._check(role)
        seen = [y for role, (_, y) in self._pairs.items() if role != "test"]
        values, names = find_classes(seen, self._names, self.name)
        parts = {
            role: ArrayExamples(
                name=role,
                length=len(x),
                pixels=cache(partial(_check_pixels, x, f"{self.name}, {role}")),
                classes=cache(partial(index_labels, y, values, f"{self.name}, {role}")),
                ident=self._idents[role],
            )
            for role, (x, y) in self._pairs.items()
        }
        depth = count_channels(self._pairs["train"][0].shape)
        return collect_splits(parts, names, self.name, depth, self._flip)


def _check_pixels(x: Pixels, where: str) -> Pixels:
    check_range(x.dtype, lambda: (x.min(), x.max()), where)
    return x
