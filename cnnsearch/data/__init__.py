"""Labelled images of any source, decoded once into a cache that all trials share.

Importing this package imports neither NumPy, Pillow, scikit-learn nor any framework.
"""

from cnnsearch.data.dataset import Dataset, Split
from cnnsearch.data.loading import from_arrays, load, source_of

__all__ = ["Dataset", "Split", "from_arrays", "load", "source_of"]
