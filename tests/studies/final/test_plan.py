"""The ``final`` section of a run's manifest is validated when it is read."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cnnsearch.errors import CnnsearchError, RunError
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.studies.final.entrants import Entrant
from cnnsearch.studies.final.plan import FinalOptions, FinalPlan


def make_plan() -> FinalPlan:
    candidate = SearchSpace.load("resnet-20-cifar").decode_first()
    entrant = Entrant.create("winner", "s:0001", candidate)
    return FinalPlan(source="s:best", run="s", seeds=2, epochs=5, entrants=(entrant,))


def as_run(section: dict[str, Any]) -> RunDirectory:
    return cast(
        RunDirectory, SimpleNamespace(name="f", manifest={"kind": "final", "final": section})
    )


def test_a_plan_survives_the_manifest(tmp_path: Path) -> None:
    plan = make_plan()
    assert FinalPlan.read(as_run(plan.to_data())) == plan
    assert {"from", "hold-out", "references"} <= plan.to_data().keys()  # as version 0.1 wrote them


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("seeds", 0, "final.*seeds: expected at least 1, got 0"),
        ("seeds", None, "final.*seeds: "),
        ("entrants", [], "final.*entrants: "),
        ("entrants", [{"role": "winner", "label": "s:0001"}], "final.*entrants.0.architecture: "),
        ("hold-out", "perhaps", "final.*hold-out: "),
    ],
)
def test_a_damaged_plan_is_one_line(key: str, value: Any, message: str) -> None:
    section = {**make_plan().to_data(), key: value}
    with pytest.raises(RunError, match=f"run 'f': run.json: {message}") as refused:
        FinalPlan.read(as_run(section))
    assert "\n" not in str(refused.value)


def test_a_damaged_network_names_the_entrant() -> None:
    section = make_plan().to_data()
    section["entrants"][0]["architecture"]["classes"] = 0
    with pytest.raises(CnnsearchError, match="s:0001: classes: "):
        FinalPlan.read(as_run(section))


def test_resuming_with_other_options_names_the_flag() -> None:
    run = as_run(make_plan().to_data())
    FinalOptions(source="s:best", run="s", seeds=2).check_same(run)
    for name, flag in (("seeds", "--seeds"), ("top", "--top"), ("epochs", "--epochs")):
        given = {"source": "s:best", "run": "s", "seeds": 2, name: 9}
        with pytest.raises(RunError, match=f"another value of {flag}: .* now 9"):
            FinalOptions.model_validate(given).check_same(run)
