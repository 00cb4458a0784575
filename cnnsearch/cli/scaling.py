"""The command that scales a network, and searches for the proportion to scale it in."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnnsearch.cli.architectures import Image, Network, find_network
from cnnsearch.cli.common import RUNS, Json, Runs, app, console, print_json

if TYPE_CHECKING:
    from cnnsearch.architecture.compound_scaling import CompoundScaling


@app.command()
def scale(
    network: Network,
    phi: Annotated[
        str | None, typer.Option(help="How far: 1..4, 2 or 0.5,1,2; default: 1..4.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", help="A budget in MACs to scale up to, such as 2G.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="Growth of depth at phi = 1.")] = 1.2,
    beta: Annotated[float, typer.Option(help="Growth of width.")] = 1.1,
    gamma: Annotated[float, typer.Option(help="Growth of resolution.")] = 1.15,
    divisor: Annotated[int, typer.Option(help="Widths become multiples of it.")] = 8,
    out: Annotated[
        Path | None, typer.Option("--out", help="A folder for the scaled networks' files.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files in --out.")] = False,
    image: Image = None,
    search: Annotated[
        bool, typer.Option("--search", help="Find alpha, beta and gamma by training first.")
    ] = False,
    step: Annotated[float, typer.Option(help="With --search: of the grid from 1 upwards.")] = 0.1,
    data: Annotated[
        str | None, typer.Option(help="With --search: what to train on; default: the run's data.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="With --search: of a candidate; default: as the run's.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="With --search: of the new run; default: NETWORK-scaling.")
    ] = None,
    workers: Annotated[int, typer.Option(help="With --search: candidates side by side.")] = 1,
    runs: Runs = RUNS,
    json_: Json = False,
) -> None:
    """Scale a network: depth, width and resolution.

    With --to alone, by the largest phi that meets the budget; with both, no phi may exceed it.
    """
    if search:
        asked = {"data": data, "epochs": epochs, "name": name, "step": step, "workers": workers}
        best = _searched(network, runs, {**asked, "image": image}, json_)
        if phi is None and to is None:
            return
        alpha, beta, gamma = best.alpha, best.beta, best.gamma
    scaling = _proportion(alpha=alpha, beta=beta, gamma=gamma, divisor=divisor)
    _show(network, runs, image, scaling, (phi, to), (out, force), json_)


def _show(
    network: str,
    runs: Path,
    image: str | None,
    scaling: "CompoundScaling",
    how_far: tuple[str | None, str | None],
    where: tuple[Path | None, bool],
    json_: bool,
) -> None:
    from cnnsearch.architecture.cost import count
    from cnnsearch.runs.lookup import find_candidate
    from cnnsearch.space.scaled_family import (
        describe_family,
        make_family_table,
        scale_family,
        write_family,
    )

    found = find_network(network, runs, image)
    relatives = scale_family(found, scaling, *_phis(found, scaling, *how_far))
    if json_:
        print_json(describe_family(relatives, scaling))
    else:
        first = (
            [] if any(one.phi == 0 for one in relatives) else scale_family(found, scaling, [0.0])
        )
        shown = [*first, *relatives]
        console().print(make_family_table(shown, scaling, count(found)))
    folder, force = where
    if folder is not None:
        recipe = find_candidate(network, runs).recipe
        for file in write_family(relatives, recipe, folder, force):
            print("" if json_ else f"Wrote {file}", end="" if json_ else "\n")


def _phis(
    found: Any, scaling: "CompoundScaling", phi: str | None, to: str | None
) -> tuple[list[float], int | None]:
    from cnnsearch.space.scaled_family import parse_phis
    from cnnsearch.utils.units import parse_amount

    budget = None if to is None else parse_amount(to, "--to")
    if phi is None and budget is not None:
        return [scaling.find_phi(found, budget)], budget
    return parse_phis(phi or "1..4"), budget


def _proportion(**numbers: float) -> "CompoundScaling":
    from cnnsearch.architecture.compound_scaling import CompoundScaling, Scaling

    checked = Scaling.from_data(numbers, "scale")
    return CompoundScaling(**checked.model_dump(exclude={"phi"}))


def _searched(network: str, runs: Path, asked: dict[str, Any], json_: bool) -> "CompoundScaling":
    """Trains the grid and prints what came of it; returns the best proportion."""
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

    image = asked.pop("image")
    baseline = replace(
        find_candidate(network, runs), architecture=find_network(network, runs, image)
    )
    options = {
        **inherit_settings(network, runs),
        **{k: v for k, v in asked.items() if v is not None},
    }
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
        console().print(make_scaling_table(tried, metric))
        print(f"Best: --alpha {best.alpha:g} --beta {best.beta:g} --gamma {best.gamma:g}")
    return best
