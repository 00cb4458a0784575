"""Random search: Keras Tuner's, over our draws."""

from cnnsearch.oracles._keras_tuner import RandomSearchOracle
from cnnsearch.oracles.base import DurableOracle


class RandomOracle(DurableOracle, RandomSearchOracle):
    """Draws uniformly from the space, without repeats."""

    strategy = "random"
