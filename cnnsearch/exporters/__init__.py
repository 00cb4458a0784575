"""Turns a trained candidate into files that carry their preprocessing, and proves them."""

from cnnsearch.exporters.export import Exported, export
from cnnsearch.exporters.formats import FORMATS, QUANTIZATIONS
from cnnsearch.exporters.source import choose, trained_model
from cnnsearch.exporters.verify import Verified

__all__ = [
    "FORMATS",
    "QUANTIZATIONS",
    "Exported",
    "Verified",
    "choose",
    "export",
    "trained_model",
]
