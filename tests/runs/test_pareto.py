"""The front of a search for several objectives, and what is said of it."""

from dataclasses import replace

import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.architecture.costs import FLASH, RAM
from cnnsearch.runs.pareto import count_missing, list_tradeoffs, measure_front
from cnnsearch.space.published import load_published

from .test_ranking import trial

TRIALS = [
    trial("1", 0.9, macs=100, params=10),
    trial("2", 0.8, macs=50, params=20),
    trial("3", 0.7, macs=60, params=5),
    trial("4", None, macs=999, params=999, status="failed"),
]


def test_the_front_and_its_volume_by_hand() -> None:
    """Trial 2 alone dominates (0.8 x half of the MACs), trial 1 nothing: it has the most MACs."""
    front = measure_front({"objective": "accuracy, macs"}, TRIALS)
    assert front is not None
    assert [each.id for each in front.trials] == ["2", "1"]
    assert front.hypervolume == pytest.approx(0.8 * 0.5)
    assert "2 candidates, hypervolume 0.4000" in front.describe()
    assert "reference point: validation accuracy 0, 100 MACs" in front.describe()


def test_a_budget_is_the_reference() -> None:
    front = measure_front({"objective": "accuracy, macs", "max_macs": 200}, TRIALS)
    assert front is not None
    assert front.hypervolume == pytest.approx(0.9 * 0.5 + 0.8 * 0.25)


def test_each_cost_has_its_own_front() -> None:
    front = measure_front({"objective": "accuracy, params, macs"}, TRIALS)
    assert front is not None
    assert [each.id for each in front.trials] == ["3", "1", "2"]
    front = measure_front({"objective": "accuracy, params"}, TRIALS)
    assert front is not None
    assert [each.id for each in front.trials] == ["3", "1"]


def test_one_objective_has_none() -> None:
    assert measure_front({"objective": "accuracy"}, TRIALS) is None
    assert measure_front({}, TRIALS) is None
    assert measure_front({"objective": "accuracy, macs"}, TRIALS[3:]) is None


def test_figures_show_objectives_first_and_what_is_limited_and_known() -> None:
    def names(settings: dict[str, object], trials: object = TRIALS) -> list[str]:
        return [kind.name for kind in list_tradeoffs(settings, trials)]  # type: ignore[arg-type]

    assert names({}) == ["macs", "params"]
    assert names({"max_ram": 100}) == ["macs", "params"], "it is not known of these candidates"
    measured = [replace(each, peak_activation_bytes=9, latency_ms=0.5) for each in TRIALS]
    assert names({}, measured) == ["macs", "params"]
    assert names({"max_ram": 100}, measured) == ["macs", "params", "ram"]
    assert names({"objective": "accuracy, latency"}, measured) == ["latency", "macs", "params"]
    assert names({}, TRIALS[:1]) == [], "there is nothing to compare"


def test_costs_that_a_search_did_not_count_are_counted() -> None:
    network = load_published("resnet-20-cifar")
    later = {**network.to_data(), "stages": [{"block": "of a later version"}]}
    trials = [trial("1", 0.9, architecture=network.to_data()), trial("2", 0.8, architecture=later)]
    found, unknown = count_missing(trials, [RAM])
    cost = count(Architecture.from_data(network.to_data()))
    assert (RAM.read(found), FLASH.read(found)) == (cost.peak_activation_bytes, cost.flash_bytes)
    assert RAM.read(unknown) is None
    assert count_missing(trials, []) == trials
