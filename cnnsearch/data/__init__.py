"""Labelled images of any source, decoded once into a cache that all trials share.

What enters is the name of a source (`sources`) or a Python object; what leaves is a `Dataset`, a
small handle whose splits are memory-mapped. `views` joins and thins data sets, `transport` sends
them to other machines, `inspection` describes them. Importing this package imports neither NumPy,
Pillow, scikit-learn nor any framework.
"""

from cnnsearch.data.dataset import Dataset, Split
from cnnsearch.data.loading import from_arrays, load, save_source

__all__ = ["Dataset", "Split", "from_arrays", "load", "save_source"]
