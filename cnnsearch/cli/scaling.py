"""The command that scales a network, and searches for its scaling coefficients."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnnsearch.cli.architectures import Image, Network, find_network
from cnnsearch.cli.common import RUNS, Json, Runs, command, make_console, print_json
from cnnsearch.cli.options import BUDGETS, add_settings

if TYPE_CHECKING:
    from cnnsearch.architecture.architecture import Architecture
    from cnnsearch.architecture.compound_scaling import CompoundScaling
    from cnnsearch.architecture.cost import Budget

LIMITS = ("device", *BUDGETS)
"""Keys of the settings that limit the scaled networks."""


@command(
    "cnnsearch scale first --phi 1..3",
    "cnnsearch scale first --to 2G --out scaled/",
    "cnnsearch scale first --max-ram 256K --max-flash 1M",
)
@add_settings(
    ["data", "epochs", "workers", *LIMITS],
    as_changes=True,
    data="With --search: data to train on; default: the run's.",
    epochs="With --search: epochs of a candidate; default: the run's.",
    workers="With --search: candidates trained in parallel.",
)
def scale(
    network: Network,
    phi: Annotated[
        str | None, typer.Option(help="Values of phi: 1..4, 2 or 0.5,1,2; default: 1..4.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", help="A budget in MACs, as --max-macs.")] = None,
    alpha: Annotated[float, typer.Option(help="Growth of depth at phi = 1.")] = 1.2,
    beta: Annotated[float, typer.Option(help="Growth of width.")] = 1.1,
    gamma: Annotated[float, typer.Option(help="Growth of resolution.")] = 1.15,
    divisor: Annotated[int, typer.Option(help="Widths are rounded to multiples of it.")] = 8,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the scaled networks' files.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files in --out.")] = False,
    image: Image = None,
    search: Annotated[
        bool, typer.Option("--search", help="Find alpha, beta and gamma by training first.")
    ] = False,
    step: Annotated[float, typer.Option(help="With --search: step of the grid from 1 up.")] = 0.1,
    name: Annotated[
        str | None, typer.Option(help="With --search: name of the run; default: NETWORK-scaling.")
    ] = None,
    runs: Runs = RUNS,
    json_: Json = False,
    **settings: Any,
) -> None:
    """Scale a network: depth, width and resolution.

    With a budget and no --phi: by the largest phi within it; with both, no phi may exceed it.
    """
    from cnnsearch.architecture.compound_scaling import CompoundScaling, Scaling

    budget = _find_budget(to, {key: settings.pop(key) for key in LIMITS})
    found = find_network(network, runs, image)
    if search:
        best = _search_coefficients(
            network, found, runs, {**settings, "name": name, "step": step}, json_
        )
        if phi is None and budget is None:
            return
        alpha, beta, gamma = best.alpha, best.beta, best.gamma
    numbers = {"alpha": alpha, "beta": beta, "gamma": gamma, "divisor": divisor}
    checked = Scaling.from_data(numbers, "scale")
    scaling = CompoundScaling(**checked.model_dump(exclude={"phi"}))
    relatives = _print_family(found, scaling, phi, budget, json_)
    if out is not None:
        _write(network, runs, relatives, out, force, json_)


def _find_budget(to: str | None, limits: dict[str, Any]) -> "Budget | None":
    """Returns what the options allow; None: anything."""
    from cnnsearch.engine.options import SearchOptions
    from cnnsearch.errors import BudgetError
    from cnnsearch.utils.units import parse_amount

    given = {key: value for key, value in limits.items() if value is not None}
    if to is not None:
        if "max_macs" in given:
            raise BudgetError("--to, --max-macs: expected one of them: both limit MACs")
        given["max_macs"] = parse_amount(to, "--to")
    return SearchOptions(**given).budget if given else None


def _print_family(
    found: "Architecture",
    scaling: "CompoundScaling",
    phi: str | None,
    budget: "Budget | None",
    json_: bool,
) -> Any:
    """Prints the scaled networks, and returns them."""
    from cnnsearch.architecture.cost import count
    from cnnsearch.architecture.costs import choose_columns
    from cnnsearch.space.scaled_family import (
        describe_family,
        make_family_table,
        parse_phis,
        scale_family,
    )

    if budget is not None and phi is None:
        phis = [scaling.find_phi(found, budget)]
    else:
        phis = parse_phis(phi or "1..4")
    relatives = scale_family(found, scaling, phis, budget)
    if json_:
        print_json(describe_family(relatives, scaling))
        return relatives
    has_baseline = any(one.phi == 0 for one in relatives)
    shown = [*([] if has_baseline else scale_family(found, scaling, [0.0])), *relatives]
    columns = choose_columns(vars(budget) if budget else None)
    make_console().print(make_family_table(shown, scaling, count(found), columns))
    return relatives


def _write(
    network: str, runs: Path, relatives: Any, folder: Path, force: bool, json_: bool
) -> None:
    from cnnsearch.runs.lookup import find_candidate
    from cnnsearch.space.scaled_family import write_family

    for file in write_family(
        relatives, find_candidate(network, runs).drop_backbone().recipe, folder, force
    ):
        if not json_:
            print(f"Wrote {file}")


def _search_coefficients(
    network: str, found: "Architecture", runs: Path, given: dict[str, Any], json_: bool
) -> "CompoundScaling":
    """Trains the grid, prints the results, and returns the best coefficients."""
    from dataclasses import replace

    from cnnsearch.engine.display import create_display
    from cnnsearch.errors import RunError
    from cnnsearch.runs.lookup import find_candidate
    from cnnsearch.studies.coefficient_search import (
        inherit_settings,
        make_scaling_table,
        search_coefficients,
    )
    from cnnsearch.training.objectives import objective_of

    baseline = replace(find_candidate(network, runs).drop_backbone(), architecture=found)
    requested = {key: value for key, value in given.items() if value is not None}
    options = {**inherit_settings(network, runs), **requested}
    options.setdefault("name", f"{network.replace(':', '-').split('/')[-1]}-scaling")
    callback = create_display("json" if json_ else "auto")
    tried = search_coefficients(baseline, runs=runs, callback=callback, **options)
    if not tried:
        raise RunError(f"run {options['name']!r}: no candidate was trained to its end")
    best = tried[0].scaling
    if json_:
        print(json.dumps({"event": "scaling", "tried": [one.to_data() for one in tried]}))
    else:
        metric = objective_of(options).heading
        make_console().print(make_scaling_table(tried, metric))
        print(f"Best: --alpha {best.alpha:g} --beta {best.beta:g} --gamma {best.gamma:g}")
    return best
