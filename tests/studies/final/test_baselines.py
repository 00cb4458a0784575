"""Settings of the random search that a winner is compared with."""

from typing import Any

import pytest

from cnnsearch.engine.settings import Settings
from cnnsearch.runs.records import TrialRecord
from cnnsearch.studies.final.baselines import make_random_settings

SPACE = "input: [8, 8, 1]\nclasses: 10\nstem: [{type: conv, filters: 4}]\n"


def record(number: int, **facts: Any) -> TrialRecord:
    return TrialRecord(
        **{
            "id": f"{number:04}", "number": number, "status": "completed", "values": {},
            "architecture": {}, "recipe": {}, "fingerprint": "", "family": "plain", "epochs": 9,
            "metrics": {}, "started": 0.0,
            **facts,
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "objective"),
    [
        ({"strategy": "asha", "reduction_factor": 4, "min_epochs": 2}, "accuracy"),
        ({"strategy": "pareto", "objective": "macro_f1, macs"}, "macro_f1"),
        ({"strategy": "evolution"}, "accuracy"),
    ],
)
def test_a_search_with_any_strategy_has_a_random_baseline(
    given: dict[str, Any], objective: str
) -> None:
    settings = Settings.create(SPACE, "s", **given)
    trials = [record(0, role="baseline"), *(record(n) for n in range(1, 6))]
    found = make_random_settings(settings, trials)
    assert (found.search.strategy, found.search.baseline, found.search.trials) == (
        "random", "none", 5,
    )  # fmt: skip
    assert found.training.objective == objective
    assert found.search.options == {}
    assert found.search.seed != settings.search.seed
    assert found.data.split_seed == settings.search.seed
