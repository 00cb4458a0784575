"""A network and its compound-scaled relatives: what they cost, as a table, as files."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.compound_scaling import CompoundScaling, check_budget
from cnnsearch.architecture.cost import Budget, Cost, count
from cnnsearch.architecture.cost_table import to_totals
from cnnsearch.architecture.costs import CostKind
from cnnsearch.errors import CnnsearchError
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.effects import remove_unused
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.space.search_space import SearchSpace

if TYPE_CHECKING:
    from rich.table import Table

MOST = 100
_RANGE = re.compile(r"(-?\d+)\s*\.\.\s*(-?\d+)")


@dataclass(frozen=True)
class Scaled:
    """A network at one phi."""

    phi: float
    architecture: Architecture
    cost: Cost

    @property
    def name(self) -> str:
        """The network's name and phi."""
        return self.architecture.name


def parse_phis(text: str) -> list[float]:
    """Reads ``1..4`` (whole numbers, both ends), ``0.5``, or ``0.5,1,2``.

    Raises:
        CnnsearchError: it is none of these.
    """
    wrong = CnnsearchError(
        f"--phi: expected numbers such as 1..4, 2 or 0.5,1,2 (at most {MOST}), got {text!r}"
    )
    found = _RANGE.fullmatch(text.strip())
    if found:
        first, last = int(found[1]), int(found[2])
        if not 0 <= last - first < MOST:
            raise wrong
        return [float(phi) for phi in range(first, last + 1)]
    try:
        phis = [float(part) for part in text.split(",")]
    except ValueError:
        raise wrong from None
    if len(phis) > MOST:
        raise wrong
    return phis


def scale_family(
    architecture: Architecture,
    scaling: CompoundScaling,
    phis: Sequence[float],
    budget: Budget | None = None,
) -> list[Scaled]:
    """Scales a network by each phi.

    Args:
        architecture: the network at phi = 0.
        scaling: the proportion.
        phis: how far.
        budget: what none of them may exceed; None: any cost.

    Raises:
        ArchitectureError: a phi that is out of range.
        BudgetError: a scale that overflows the budget; names both.
    """
    found = []
    for phi in phis:
        scaled = scaling.scale(architecture, phi)
        if budget is not None:
            check_budget(scaled, phi, budget)
        name = f"{architecture.name or 'network'}-phi-{phi:g}"
        found.append(Scaled(phi, scaled.model_copy(update={"name": name}), count(scaled)))
    return found


def describe_family(relatives: Sequence[Scaled], scaling: CompoundScaling) -> dict[str, Any]:
    """Returns the family as plain data."""
    return {
        **scaling.model_dump(),
        "family": [
            {
                "phi": one.phi,
                "name": one.name,
                "input": list(one.architecture.input),
                "depth": one.architecture.depth,
                **to_totals(one.cost),
            }
            for one in relatives
        ],
    }


def make_family_table(
    relatives: Sequence[Scaled], scaling: CompoundScaling, base: Cost, columns: Sequence[CostKind]
) -> "Table":
    """Returns the family as a table; growth is in MACs, over the network at phi = 0.

    Args:
        relatives: the family.
        scaling: its proportion.
        base: what the network costs at phi = 0.
        columns: costs to show.
    """
    from rich.table import Table

    given = f"alpha {scaling.alpha:g}, beta {scaling.beta:g}, gamma {scaling.gamma:g}"
    title = f"{given}: {scaling.growth:.3g}x the MACs a phi"
    table = Table(title=title, title_justify="left")
    names = [kind.heading for kind in columns]
    for name in ("phi", "input", "depth", *names, "growth", "predicted"):
        table.add_column(name, justify="right")
    for one in relatives:
        cost = one.cost
        table.add_row(
            f"{one.phi:g}",
            "x".join(map(str, one.architecture.input)),
            str(one.architecture.depth),
            *(kind.format(kind.read(cost)) for kind in columns),
            f"{cost.macs / base.macs:.2f}" if base.macs else "-",
            f"{scaling.growth**one.phi:.2f}",
        )
    return table


def write_family(
    relatives: Sequence[Scaled], recipe: TrainingRecipe, folder: Path, force: bool = False
) -> list[Path]:
    """Writes each network as a space file of its own, its recipe included.

    Raises:
        CnnsearchError: a file is there already, or cannot be written; nothing is written then.
    """
    files = {folder / f"{one.name}.yaml": one for one in relatives}
    there = [path for path in files if path.exists() and not force]
    if there:
        raise CnnsearchError(f"--out {folder}: {there[0].name} is already there (--force)")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, one in files.items():
            path.write_text(_to_text(Candidate(one.architecture, recipe)), "utf-8")
    except OSError as error:
        raise CnnsearchError(f"--out {folder}: cannot be written: {error.strerror}") from None
    return list(files)


def _to_text(candidate: Candidate) -> str:
    architecture = remove_unused(candidate.architecture)
    return SearchSpace.from_architecture(architecture, candidate.recipe).text
