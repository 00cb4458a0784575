"""Finds the convolutional network that fits your images and your budget.

    import cnnsearch

    space = cnnsearch.SearchSpace.load("residual")
    result = cnnsearch.search(space, data="photos/", max_macs="300M", trials=60)

The names below are imported when they are first used, so that ``import cnnsearch`` costs nothing
and needs neither TensorFlow nor MLflow.
"""

import sys
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cnnsearch.architecture import Architecture
    from cnnsearch.cost import Budget, Cost, count
    from cnnsearch.errors import CnnsearchError
    from cnnsearch.export import export
    from cnnsearch.fidelity import fidelity
    from cnnsearch.final.request import train_final
    from cnnsearch.inspection import DataReport, describe
    from cnnsearch.recipe import TrainingRecipe
    from cnnsearch.report.writing import write_report
    from cnnsearch.scaling import CompoundScaling
    from cnnsearch.search import search
    from cnnsearch.space import SearchSpace

    __version__: str

__all__ = [
    "Architecture",
    "Budget",
    "CnnsearchError",
    "CompoundScaling",
    "Cost",
    "DataReport",
    "SearchSpace",
    "TrainingRecipe",
    "__version__",
    "count",
    "describe",
    "export",
    "fidelity",
    "search",
    "train_final",
    "write_report",
]

_HOMES: Final = MappingProxyType(
    {
        "Architecture": "architecture",
        "Budget": "cost",
        "CnnsearchError": "errors",
        "CompoundScaling": "scaling",
        "Cost": "cost",
        "DataReport": "inspection",
        "SearchSpace": "space",
        "TrainingRecipe": "recipe",
        "count": "cost",
        "describe": "inspection",
        "export": "export",
        "fidelity": "fidelity",
        "search": "search",
        "train_final": "final.request",
        "write_report": "report.writing",
    }
)


class _Package(ModuleType):
    """The package itself: ``search``, ``fidelity`` and ``export`` in it are functions, not modules.

    Importing ``cnnsearch.search`` makes Python bind the module of that name here, which would turn
    ``cnnsearch.search(...)`` into an error that depends on what was imported before.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if name in ("search", "fidelity", "export") and isinstance(value, ModuleType):
            value = vars(value)[name]
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


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
