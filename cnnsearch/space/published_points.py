"""The published networks that are candidates of a search space."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.errors import CnnsearchError
from cnnsearch.space.baseline import choose_values
from cnnsearch.space.choices import Value
from cnnsearch.space.files import list_folders
from cnnsearch.space.published import load_published
from cnnsearch.space.search_space import SearchSpace

FILE = "published/points.json"
"""Hyperparameters of the architecture, by shipped space and network (benchmarks/spaces)."""
Points = dict[str, dict[str, dict[str, Value]]]


@dataclass(frozen=True)
class PublishedPoint:
    """A published network in a search space.

    Attributes:
        name: of the network.
        values: of all hyperparameters; those of the recipe have its defaults, where it can.
        architecture: with the image size, channels and classes of the space.
        designed: height and width of the images that the network was published for.
    """

    name: str
    values: dict[str, Value]
    architecture: Architecture
    designed: tuple[int, int]


def read_points() -> Points:
    """Returns the table of the shipped spaces."""
    for folder in list_folders():
        points: Points = json.loads((folder / FILE).read_text("utf-8"))
        return points
    return {}


def find_points(space: SearchSpace) -> list[PublishedPoint]:
    """Returns the published networks that a space contains, as far as the table knows.

    An entry of any shipped space counts if this space gives the very network under its values: so
    a copy of a shipped space is known too, and one that was changed claims no network that it does
    not contain.
    """
    found: dict[str, PublishedPoint] = {}
    for entries in read_points().values():
        for name, values in entries.items():
            if name not in found:
                found |= {point.name: point for point in _decode(space, name, values)}
    return list(found.values())


def _decode(space: SearchSpace, name: str, values: Mapping[str, Value]) -> Iterator[PublishedPoint]:
    parameters = {parameter.name: parameter for parameter in space.parameters}
    if not all(key in parameters and parameters[key].holds(value) for key, value in values.items()):
        return
    completed = choose_values(space, values)
    try:
        architecture = space.decode(completed).architecture
    except CnnsearchError:
        return
    network = load_published(name)
    if is_network(architecture, network):
        yield PublishedPoint(name, completed, architecture, network.input[:2])


def is_network(architecture: Architecture, network: Architecture) -> bool:
    """Whether an architecture is wired as a network that is adapted to its images and classes.

    The constant that normalization adds to the variance may differ.
    """
    height, width, channels = architecture.input
    epsilon = {"norm_epsilon": architecture.style.norm_epsilon}
    styled = network.model_copy(update={"style": network.style.model_copy(update=epsilon)})
    adapted = styled.adapt(classes=architecture.classes, image=(height, width), channels=channels)
    return adapted.fingerprint == architecture.fingerprint
