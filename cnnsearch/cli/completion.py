"""Completes names in the shell: spaces, networks, runs, strategies, objectives."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import typer


def complete_space(incomplete: str) -> list[str]:
    """Returns the spaces that ship and the published networks."""
    from cnnsearch.space.files import list_spaces

    return [*_select(list_spaces(), incomplete), *complete_network(incomplete)]


def complete_network(incomplete: str) -> list[str]:
    """Returns the published networks."""
    from cnnsearch.space.files import list_published_files

    return _select(list_published_files(), incomplete)


def complete_run(ctx: typer.Context, incomplete: str) -> list[str]:
    """Returns the runs in the folder of ``--runs``."""
    from cnnsearch.runs.directory import list_names

    return _select(list_names(Path(ctx.params.get("runs") or "runs")), incomplete)


def complete_network_or_run(ctx: typer.Context, incomplete: str) -> list[str]:
    """Returns the published networks and the runs."""
    return [*complete_run(ctx, incomplete), *complete_network(incomplete)]


def complete_block(incomplete: str) -> list[str]:
    """Returns the blocks and layers."""
    from cnnsearch.space.reference import list_entries

    return _select(dict.fromkeys(entry.name for entry in list_entries()), incomplete)


def _complete_strategy(incomplete: str) -> list[str]:
    from cnnsearch.oracles import STRATEGIES

    return _select((each.name for each in STRATEGIES), incomplete)


def _complete_objective(incomplete: str) -> list[str]:
    from cnnsearch.training.objectives import OBJECTIVES

    return _select((each.name for each in OBJECTIVES), incomplete)


SETTINGS: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType(
    {"strategy": _complete_strategy, "objective": _complete_objective}
)
"""Completions of settings by key."""


def _select(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
