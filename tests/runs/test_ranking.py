"""The leaderboard counts a candidate once, by its last rung."""

from typing import Any

from cnnsearch.runs.ranking import find_best, find_pareto_front, rank_trials
from cnnsearch.runs.records import TrialRecord


def trial(name: str, score: float | None, **more: Any) -> TrialRecord:
    fields: dict[str, Any] = {
        "id": name, "number": int(name), "status": "completed", "values": {}, "architecture": {},
        "recipe": {}, "fingerprint": name, "family": "plain", "macs": 100, "epochs": 3,
        "metrics": {}, "started": 0.0, "score": score, **more,
    }  # fmt: skip
    return TrialRecord(**fields)


def test_a_promoted_candidate_counts_by_its_last_rung() -> None:
    trials = [
        trial("1", 0.9),
        trial("2", 0.85, macs=50),
        trial("3", 0.8, continues="1", epochs=9),
        trial("4", None, continues="2", epochs=9, status="failed", macs=50),
    ]
    assert [each.id for each in rank_trials(trials)] == ["2", "3"]
    assert find_best(trials) is trials[1]
    assert [each.id for each in find_pareto_front(trials)] == ["2"]
    assert find_best([trials[3]]) is None


def test_of_equal_scores_the_cheaper_is_first() -> None:
    trials = [trial("1", 0.9), trial("2", 0.9, macs=50), trial("3", 0.9, macs=50)]
    assert [each.id for each in rank_trials(trials)] == ["2", "3", "1"]
    assert [each.id for each in find_pareto_front(trials)] == ["2"]
