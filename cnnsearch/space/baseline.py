"""The plain baseline: what a search has to beat, whatever its space."""

import math
from collections.abc import Mapping
from typing import Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import Budget, count
from cnnsearch.errors import ArchitectureError
from cnnsearch.space.backbone_choice import KEY, NONE
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.choices import Parameter, Value, list_active
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.space.search_space import SearchSpace

NAME = "plain-baseline"
WIDTH, WIDEST, STEP = 32, 64, 2
"""Filters of the first convolution: without a budget, at most, and in multiples of."""
LAST_SIDE = 8  # of the last feature map, about
LARGE = 64  # images with a longer side are shrunk to a quarter by the stem
MOST_STAGES = 4


def make_baseline(space: SearchSpace, budget: Budget) -> Candidate | None:
    """Returns a plain network of 3x3 convolutions for the images and classes of a space.

    Convolution, batch normalization and ReLU throughout: a stem, then two convolutions a stage at
    twice the width behind max pooling, down to maps of about 8x8, then global average pooling
    (VGG, arXiv:1409.1556, with the head of arXiv:1312.4400). It is as wide as the budget permits.
    Its recipe is the space's, with the defaults of :class:`TrainingRecipe` where the space varies
    it.

    Args:
        space: adapted to the data's classes and channels.
        budget: limits of a candidate; without any, the first convolution has 32 filters.

    Returns:
        The candidate; None: even the narrowest exceeds the budget, or images are too small.
    """
    found = space.decode(choose_values(space)).drop_backbone()
    classes, is_free = found.architecture.classes, budget == Budget()
    for width in (WIDTH,) if is_free else range(WIDEST, 0, -STEP):
        network = build_plain_network(space.input, classes, width)
        try:
            if budget.allows(count(network)):
                return Candidate(network, found.recipe)
        except ArchitectureError:
            return None
    return None


def build_plain_network(
    image: tuple[int, int, int], classes: int, width: int = WIDTH
) -> Architecture:
    """Returns the plain network for images of height, width and channels ``image``."""
    is_large = min(image[:2]) > LARGE
    side = min(image[:2]) / (4 if is_large else 1)
    stages = min(MOST_STAGES, max(1, round(math.log2(side / LAST_SIDE))))
    stem: list[dict[str, Any]] = [{"type": "conv", "filters": width, "stride": 1 + is_large}]
    stem += [{"type": "max_pool"}] if is_large else []
    data = {
        "name": NAME,
        "input": list(image),
        "classes": classes,
        "stem": stem,
        "stages": [
            {"block": "plain", "depth": 2, "width": width << number, "stride": 2}
            | {"downsample": "max_pool"}
            for number in range(1, stages + 1)
        ],
    }
    return Architecture.from_data(data, NAME)


def choose_values(space: SearchSpace, fixed: Mapping[str, Value] | None = None) -> dict[str, Value]:
    """Returns a value for each active hyperparameter: the fixed one, or the recipe's default."""
    values: dict[str, Value] = {}
    for parameter in list_active(space.parameters, values):  # sees them as they are filled in
        known = (fixed or {}).get(parameter.name)
        values[parameter.name] = _choose_value(parameter) if known is None else known
    return values


def _choose_value(parameter: Parameter) -> Value:
    """Returns the recipe's default where the parameter has it, or the nearest end of a range."""
    group, _, key = parameter.name.partition(".")
    field = TrainingRecipe.model_fields.get(key) if group == "recipe" else None
    default: Any = field.default if field else None
    ends = parameter.list_edges()
    if parameter.name == KEY and NONE in ends:
        return NONE
    if parameter.holds(default):
        ends = (default,)
    if parameter.kind == "choice" or not isinstance(default, int | float):
        return ends[0]
    return min(ends, key=lambda end: abs(float(end) - default))
