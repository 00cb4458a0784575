"""Finds the convolutional network that fits your images and your budget.

    import cnnsearch

    space = cnnsearch.SearchSpace.load("residual")
    result = cnnsearch.search(space, data="photos/", max_macs="300M", trials=60)

The names below are imported when they are first used, so that ``import cnnsearch`` costs nothing
and needs neither TensorFlow nor MLflow.
"""

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cnnsearch.architecture.architecture import Architecture
    from cnnsearch.architecture.compound_scaling import CompoundScaling
    from cnnsearch.architecture.cost import Budget, Cost, count
    from cnnsearch.data.inspection import DataReport, describe
    from cnnsearch.engine.options import DataOptions, Placement, SearchOptions, TrainingOptions
    from cnnsearch.engine.search import search
    from cnnsearch.errors import CnnsearchError
    from cnnsearch.exporters.pipeline import export
    from cnnsearch.oracles.hypermodel import hypermodel
    from cnnsearch.report.report import write_report
    from cnnsearch.space.recipe import TrainingRecipe
    from cnnsearch.space.search_space import SearchSpace
    from cnnsearch.studies.fidelity import fidelity
    from cnnsearch.studies.final.final_training import train_final
    from cnnsearch.studies.space_comparison import compare_spaces

    __version__: str

__all__ = [
    "Architecture",
    "Budget",
    "CnnsearchError",
    "CompoundScaling",
    "Cost",
    "DataOptions",
    "DataReport",
    "Placement",
    "SearchOptions",
    "SearchSpace",
    "TrainingOptions",
    "TrainingRecipe",
    "__version__",
    "compare_spaces",
    "count",
    "describe",
    "export",
    "fidelity",
    "hypermodel",
    "search",
    "train_final",
    "write_report",
]

_HOMES: Final = MappingProxyType(
    {
        "Architecture": "architecture.architecture",
        "Budget": "architecture.cost",
        "CnnsearchError": "errors",
        "CompoundScaling": "architecture.compound_scaling",
        "Cost": "architecture.cost",
        "DataOptions": "engine.options",
        "DataReport": "data.inspection",
        "Placement": "engine.options",
        "SearchOptions": "engine.options",
        "SearchSpace": "space.search_space",
        "TrainingOptions": "engine.options",
        "TrainingRecipe": "space.recipe",
        "compare_spaces": "studies.space_comparison",
        "count": "architecture.cost",
        "describe": "data.inspection",
        "export": "exporters.pipeline",
        "fidelity": "studies.fidelity",
        "hypermodel": "oracles.hypermodel",
        "search": "engine.search",
        "train_final": "studies.final.final_training",
        "write_report": "report.report",
    }
)


def __getattr__(name: str) -> object:
    if name == "__version__":
        return _version()
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version(__name__)
    except metadata.PackageNotFoundError:
        return "unknown (not installed)"
