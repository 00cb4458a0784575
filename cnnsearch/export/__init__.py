"""Turns a trained candidate into files that carry their preprocessing, and proves them."""

from cnnsearch.export.session import Exported, export
from cnnsearch.export.source import choose, trained_model
from cnnsearch.export.targets import FORMATS, QUANTIZATIONS
from cnnsearch.export.verifying import Verified

__all__ = [
    "FORMATS",
    "QUANTIZATIONS",
    "Exported",
    "Verified",
    "choose",
    "export",
    "trained_model",
]
