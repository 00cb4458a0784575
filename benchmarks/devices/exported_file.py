"""Random architectures as int8 LiteRT files, and the memory that such a file needs.

The tests of :mod:`cnnsearch.architecture.operators` and ``count_exports.py`` use it.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.errors import CnnsearchError
from cnnsearch.space.search_space import SearchSpace


def list_networks(spaces: Sequence[str], networks: int) -> Iterator[tuple[str, str, Architecture]]:
    """Yields names, spaces and architectures, one of each space after another."""
    loaded = {name: (SearchSpace.load(name), random.Random(name)) for name in spaces}
    for number in range(networks):
        name = spaces[number % len(spaces)]
        yield f"{name}-{number // len(spaces)}", name, draw(*loaded[name])


def draw(space: SearchSpace, rng: random.Random) -> Architecture:
    """Returns a random architecture that can be wired, folded as exports are."""
    while True:
        try:
            found = space.decode(space.sample(rng)).architecture
            count(found)
        except CnnsearchError:
            continue
        return found.fold()


def export(architecture: Architecture) -> bytes:
    """Returns the int8 file of the network with random weights and statistics."""
    from cnnsearch.exporters.litert_file import shrink

    return shrink(convert_random(architecture))


def convert_random(architecture: Architecture) -> bytes:
    """Returns the file that the converter writes of it.

    Statistics are random too: the converter would leave out additions of zero.
    """
    import keras

    from cnnsearch.training.litert import convert
    from cnnsearch.training.model import build

    keras.backend.clear_session()
    channels = architecture.input[2]
    model = build(architecture, mean=[0.4] * channels, std=[0.2] * channels)
    draws = np.random.default_rng(0)
    for weights in model.weights:
        if weights.name in ("gamma", "moving_variance"):
            weights.assign(draws.uniform(0.5, 1.5, weights.shape))
        elif weights.name in ("beta", "bias", "moving_mean"):
            weights.assign(draws.normal(0.0, 0.1, weights.shape))
    shape = (1, *architecture.input)
    images = draws.integers(0, 256, shape).astype(np.float32)
    return convert(model, architecture.input[:2], shape, "int8", lambda: iter([[images]]))


@dataclass(frozen=True)
class FeatureMap:
    """A tensor that an operator of a file writes, or the image.

    Attributes:
        size: bytes.
        first: operator that writes it.
        last: the last operator that reads it.
        address: where LiteRT's interpreter put it.
    """

    size: int
    first: int
    last: int
    address: int = 0

    @property
    def end(self) -> int:
        """The address behind it."""
        return self.address + self.size


@dataclass(frozen=True)
class ExportedFile:
    """The feature maps of a file, the image first.

    Attributes:
        operators: how many there are.
        maps: as LiteRT's reference kernels are given them.
    """

    operators: int
    maps: tuple[FeatureMap, ...]

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Reads the operators of a file, and lets LiteRT's interpreter allocate their tensors."""
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        resolver = OpResolverType.BUILTIN_REF  # without scratch memory of optimized kernels
        model = Interpreter(model_content=content, experimental_op_resolver_type=resolver)
        model.allocate_tensors()
        operators: list[Any] = model._get_ops_details()
        first = {int(model.get_input_details()[0]["index"]): 0}
        for number, operator in enumerate(operators):
            first |= {int(tensor): number for tensor in operator["outputs"]}
        last = dict(first)
        for number, operator in enumerate(operators):
            last |= {int(tensor): number for tensor in operator["inputs"]}
        maps = []
        for tensor, start in first.items():
            memory = model.tensor(tensor)()
            address = memory.__array_interface__["data"][0]
            maps.append(FeatureMap(memory.nbytes, start, last[tensor], address))
        return cls(len(operators), tuple(maps))

    @property
    def peak(self) -> int:
        """The largest sum of the maps that are alive while one operator runs."""
        changes = np.zeros(self.operators + 1, int)
        for each in self.maps:
            changes[each.first] += each.size
            changes[each.last + 1] -= each.size
        return int(changes.cumsum().max())

    @property
    def arena(self) -> int:
        """What the interpreter took for the maps: from the lowest address to the highest."""
        return max(each.end for each in self.maps) - min(each.address for each in self.maps)

    def plan(self, alignment: int = 16) -> int:
        """Returns what a greedy planner takes: the largest map first, each into the first gap.

        That is what LiteRT for Microcontrollers does, with this alignment.
        """
        placed: list[FeatureMap] = []
        for each in sorted(self.maps, key=lambda each: (-each.size, each.first)):
            beside = [m for m in placed if m.first <= each.last and each.first <= m.last]
            start = 0
            for other in sorted(beside, key=lambda other: other.address):
                if start + each.size <= other.address:
                    break
                start = max(start, -(-other.end // alignment) * alignment)
            placed.append(replace(each, address=start))
        return max(each.end for each in placed)
