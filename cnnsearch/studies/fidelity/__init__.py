"""Whether short trainings can be trusted: ``cnnsearch fidelity``."""

from cnnsearch.studies.fidelity.results import Comparison, FidelityReport
from cnnsearch.studies.fidelity.study import fidelity

__all__ = ["Comparison", "FidelityReport", "fidelity"]
