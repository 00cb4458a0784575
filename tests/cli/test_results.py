"""`cnnsearch results --against`: accuracy against any cost."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.cli import app
from cnnsearch.errors import CnnsearchError
from cnnsearch.runs.directory import RunDirectory
from tests.report.conftest import write_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that counted no RAM, and one that measured latency and limited RAM."""
    root = tmp_path_factory.mktemp("runs")
    write_run(root, "basic", 24)
    write_run(root, "device", 12, max_ram=10**6, max_latency=50.0, objective="accuracy, ram")
    return root


def cnnsearch(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return str(result.output)


def find_undominated(points: dict[str, tuple[float, ...]]) -> set[str]:
    """By definition: nobody is at least as good in all, and better in one."""
    return {
        name
        for name, point in points.items()
        if not any(
            other != point and all(a <= b for a, b in zip(other, point, strict=True))
            for other in points.values()
        )
    }


def test_the_front_of_costs_that_the_search_did_not_count(runs: Path) -> None:
    given = ("results", "basic", "--against", "ram,flash", "--runs", runs)
    found: dict[str, Any] = json.loads(cnnsearch(*given, "--json"))
    points = {}
    with RunDirectory.open(runs, "basic").lock():
        trials = RunDirectory.open(runs, "basic").db.get_trials()
    for trial in trials:
        if trial.score is not None:
            cost = count(Architecture.from_data(dict(trial.architecture)))
            points[trial.id] = (-trial.score, cost.peak_activation_bytes, cost.flash_bytes)
    assert set(found["pareto"]) == find_undominated(points)
    assert set(found["fronts"]["ram"]) == find_undominated({k: p[:2] for k, p in points.items()})
    assert set(found["fronts"]["flash"]) == find_undominated({k: p[::2] for k, p in points.items()})
    rams = {trial["id"]: trial["peak_activation_bytes"] for trial in found["leaderboard"]}
    assert rams == {name: point[1] for name, point in points.items()}
    text = cnnsearch(*given)
    assert "Validation accuracy against RAM (log scale)" in text
    assert "Validation accuracy against flash (log scale)" in text and "bytes of flash" in text


def test_the_plot_is_over_the_objectives_or_macs(runs: Path) -> None:
    text = cnnsearch("results", "device", "--runs", runs)
    assert "against RAM" in text and "against MACs" not in text and "hypervolume" in text
    text = cnnsearch("results", "basic", "--runs", runs)
    assert "Validation accuracy against MACs (log scale); ● no other beats in both" in text
    assert "RAM" not in text
    text = cnnsearch("results", "device", "--against", "latency", "--runs", runs)
    assert "against latency" in text and " ms" in text and "hypervolume" not in text


@pytest.mark.parametrize(
    ("against", "message"),
    [
        ("rem", "--against: expected params, macs, latency, ram, flash, or several with commas"),
        ("flops", "got 'flops'"),
        ("", "got ''"),
        ("ram,ram", "--against: expected different costs, got 'ram,ram'"),
        ("latency", "run 'basic' did not measure it; a search does with --max-latency"),
    ],
)
def test_bad_input_is_refused_in_one_line(runs: Path, against: str, message: str) -> None:
    with pytest.raises(CnnsearchError) as caught:
        cnnsearch("results", "basic", "--against", against, "--runs", runs)
    assert message in str(caught.value) and "\n" not in str(caught.value)
