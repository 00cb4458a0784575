"""Finds the published networks in the shipped spaces; writes search_spaces/published/points.json.

    .venv/bin/python benchmarks/spaces/locate_published.py

Takes about six minutes on one core. A network is looked for in the spaces that have all of its
block families, with the space's constant in normalization.
"""

import json

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.space.files import list_folders, list_spaces
from cnnsearch.space.locate import locate
from cnnsearch.space.published import list_published, load_published
from cnnsearch.space.published_points import FILE, Points
from cnnsearch.space.search_space import SearchSpace


def main() -> None:
    """Writes the table."""
    networks = {network.name: load_published(network.name) for network in list_published()}
    points: Points = {}
    for name in list_spaces():
        space = SearchSpace.load(name)
        families = find_families(space)
        for network, architecture in networks.items():
            if architecture.family and set(architecture.family.split("+")) <= families:
                add_point(points, name, space, network, architecture)
    path = list_folders()[0] / FILE
    path.write_text(json.dumps(points, indent=1) + "\n", "utf-8")


def find_families(space: SearchSpace) -> set[str]:
    """Returns the families of all blocks of a space."""
    edges = [(p, value) for p in space.parameters for value in p.list_edges()]
    fixed = [{**dict(p.when), p.name: value} for p, value in edges] or [{}]
    found = [space.decode(space.complete(values)).architecture.family for values in fixed]
    return {family for names in found for family in names.split("+")}


def add_point(
    points: Points, name: str, space: SearchSpace, network: str, architecture: Architecture
) -> None:
    """Adds the place of a network, if it is in the space."""
    epsilon = space.decode_first().architecture.style.norm_epsilon
    style = architecture.style.model_copy(update={"norm_epsilon": epsilon})
    location = locate(architecture.model_copy(update={"style": style}), space)
    if location.is_exact:
        points.setdefault(name, {})[network] = dict(location.values)
        print(f"{name}: {network}", flush=True)


if __name__ == "__main__":
    main()
