"""Whether short trainings can be trusted: ``cnnsearch fidelity``."""

from cnnsearch.fidelity.report import Comparison, FidelityReport
from cnnsearch.fidelity.study import fidelity

__all__ = ["Comparison", "FidelityReport", "fidelity"]
