"""Random search."""

from cnnsearch.oracles.strategy import Strategy


class RandomSearch(Strategy):
    """Draws uniformly from the space, without repeats."""

    name = "random"
    summary = "uniform draws without repeats"
