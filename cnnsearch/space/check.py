"""What ``cnnsearch check`` finds out about a space without training: soundness, size, cost."""

from collections import Counter
from statistics import median
from typing import TYPE_CHECKING, Any

from cnnsearch.architecture.cost import Budget, Cost
from cnnsearch.architecture.cost_table import cost_lines
from cnnsearch.architecture.costs import COUNTED, list_bounds
from cnnsearch.errors import SpaceError
from cnnsearch.space.notebook import format_condition, format_values
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.utils.units import format_count, pluralize

if TYPE_CHECKING:
    from rich.console import Console


def check_space(space: SearchSpace, samples: int, budget: Budget) -> dict[str, Any]:
    """Counts random candidates of a space.

    Args:
        space: a space that loaded, so that every option of it is sound.
        samples: how many candidates; fewer where they are huge.
        budget: what a candidate may cost.

    Returns:
        Plain data: size, hyperparameters, the spread of costs, how many could not be wired and how
        many are within the budget.

    Raises:
        SpaceError: none of them could be wired.
    """
    found = list(space.sample_costs(samples))
    costs = [cost for cost in found if isinstance(cost, Cost)]
    reasons = Counter(str(cost) for cost in found if not isinstance(cost, Cost))
    if not costs:
        raise SpaceError(
            f"{space.source}: none of {pluralize(len(found), 'random candidate')} can be wired, "
            f"for one: {reasons.most_common(1)[0][0]}"
        )
    within = [cost for cost in costs if budget.allows(cost)]
    return {
        "space": space.name,
        "candidates": space.size,
        "continuous": len(space.continuous),
        "hyperparameters": len(space.parameters),
        "samples": len(found),
        "unwirable": len(found) - len(costs),
        "within_budget": len(within),
        "budget": {kind.budget: getattr(budget, kind.budget) for kind in COUNTED},
        **{kind.key: _summarize([kind.read(cost) or 0 for cost in costs]) for kind in COUNTED},
        "first_reason": reasons.most_common(1)[0][0] if reasons else None,
    }


def _summarize(numbers: list[float]) -> dict[str, float]:
    return {"smallest": min(numbers), "median": int(median(numbers)), "largest": max(numbers)}


def check_table(space: SearchSpace, report: dict[str, Any], console: "Console") -> None:
    """Prints what :func:`check_space` found."""
    from rich.markup import escape
    from rich.table import Table

    what = "a search space" if space.parameters else "a network"
    title = f"{space.name}: {space.description or what}"
    console.print(title, highlight=False, markup=False)
    if space.parameters:
        table = Table(box=None, pad_edge=False)
        for name in ("hyperparameter", "values", "only where"):
            table.add_column(name, overflow="fold")
        for parameter in space.parameters:
            cells = (parameter.name, format_values(parameter), format_condition(parameter))
            table.add_row(*map(escape, cells))
        console.print(table)
    summary = _format_summary(space, report) if space.parameters else _format_network(space, report)
    console.print(summary, highlight=False, markup=False)


def _format_summary(space: SearchSpace, report: dict[str, Any]) -> str:
    lines = [_explain_budget(report) or "Sound: every option reads, and candidates can be wired."]
    times = f", times {report['continuous']} continuous" if report["continuous"] else ""
    lines.append(
        f"{report['hyperparameters']} hyperparameters, at most "
        f"{format_count(report['candidates'])} different candidates{times}."
    )
    for kind in COUNTED:
        spread = report[kind.key]
        low, mid, high = (kind.format(spread[k]) for k in ("smallest", "median", "largest"))
        drawn = f"{low} to {high}, median {mid} of {report['samples']} random candidates"
        name = kind.label[0].upper() + kind.label[1:]
        lines.append(f"{name}: {drawn if report['samples'] > 1 else mid}.")
    if report["unwirable"]:
        share = report["unwirable"] / report["samples"]
        lines.append(f"{share:.0%} cannot be wired, for one: {report['first_reason']}.")
    if report["within_budget"] and any(report["budget"].values()):
        share = report["within_budget"] / report["samples"]
        lines.append(f"{share:.0%} are within the budget.")
    return "\n".join(lines)


def _format_network(space: SearchSpace, report: dict[str, Any]) -> str:
    """Returns the exact costs of a file without choices, in words."""
    sound = "Sound: every option reads, and the network can be wired. It has no choices."
    lines = [_explain_budget(report) or sound, cost_lines(space.decode_first().architecture)]
    if report["within_budget"] and any(report["budget"].values()):
        lines.append("It is within the budget.")
    return "\n".join(lines)


def _explain_budget(report: dict[str, Any]) -> str:
    """Returns what to say where no candidate is within the budget; else nothing."""
    if report["within_budget"]:
        return ""
    wired = report["samples"] - report["unwirable"]
    limits = [
        f"{kind.describe(bound)} (the fewest found: {kind.format(report[kind.key]['smallest'])})"
        for kind, bound in list_bounds(report["budget"])
    ]
    who = "The candidate is not" if wired == 1 else f"None of {wired} random candidates is"
    return f"{who} within the budget of {' and '.join(limits)}."
