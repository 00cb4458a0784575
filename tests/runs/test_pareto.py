"""The front of a search for several objectives, and what is said of it."""

import pytest

from cnnsearch.runs.pareto import measure_front

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
