"""Which trainings a study plans, and which requests it refuses."""

from dataclasses import replace
from typing import Any

import pytest

from cnnsearch.errors import CnnsearchError, RunError
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.studies.fidelity.plan import (
    SampledCandidate,
    Variant,
    list_open_proposals,
    plan_trainings,
    plan_variants,
    read_changes,
    set_recipe_keys,
)

SPACE = """
input: [8, 8, 1]
classes: 10
stages: [{block: plain, depth: {int: [1, 8]}, width: 8}]
recipe: {learning_rate: 0.01, epochs: 5}
"""


def sample(count: int) -> list[SampledCandidate]:
    space = SearchSpace.from_text(SPACE)
    values = [{"stages.0.depth": depth} for depth in range(1, count + 1)]
    return [SampledCandidate(number, v, space.decode(v)) for number, v in enumerate(values, 1)]


def test_each_length_plain_and_with_each_lever_then_long() -> None:
    found = plan_variants([2, 4], 16, levers=["ema=0.9", "epochs=6,image=16"], repeat=3)
    labels = [
        *("2 epochs", "4 epochs", "2 epochs, ema=0.9", "4 epochs, ema=0.9"),
        *("6 epochs, image=16", "long", "long-again"),
    ]
    assert [way.label for way in found] == labels
    assert found[4].image == (16, 16)
    assert found[4].epochs == 6


def test_a_share_of_all_short_trainings_gives_way_to_a_levers_own() -> None:
    found = plan_variants([2], 8, levers=["train_share=1.0,ema=0.9"], train_share=0.5)
    assert [way.train_share for way in found] == [0.5, 1.0, 1.0]
    assert found[0].label == "2 epochs, train_share=0.5"


def test_values_are_read_as_yaml() -> None:
    text = "ema=null,learning_rate=1e-3,schedule=one_cycle,randaugment={layers: 1, magnitude: 3}"
    assert read_changes(text, "--lever") == {
        "ema": None,
        "learning_rate": 1e-3,
        "schedule": "one_cycle",
        "randaugment": {"layers": 1, "magnitude": 3},
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (([0], 8), "--short: expected epochs of at least 1, got '0'"),
        (([4], 4), "--long: expected more than the 4 epochs"),
        (([2, 2], 8), "'2 epochs' is there twice"),
        (([2], 8, ["ema"]), "--lever: expected key=value such as ema=0.9, got 'ema'"),
        (([2], 8, ["image=0"]), "--image: expected a side"),
        (([2], 8, ["train_share=2"]), "expected above 0 and at most 1, got 2"),
        (([2], 8, ["epochs=soon"]), "expected epochs of at least 1, got 'soon'"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: Any, expected: str) -> None:
    short, long, *levers = arguments
    with pytest.raises(CnnsearchError, match=r"^--") as refused:
        plan_variants(short, long, levers=levers[0] if levers else ())
    assert expected in str(refused.value)


def test_a_lever_of_no_recipe_key_says_which_is_near() -> None:
    with pytest.raises(CnnsearchError, match=r"--lever 2 epochs, emma=0\.9: recipe\.emma: unknown"):
        plan_variants([2], 8, levers=["emma=0.9"])[1].apply(sample(1)[0].candidate)


def test_a_way_changes_epochs_recipe_and_size_only() -> None:
    candidate = sample(1)[0].candidate
    found = Variant("x", 3, {"ema": 0.9}, image=(16, 12)).apply(candidate)
    assert (found.recipe.epochs, found.recipe.ema, found.recipe.learning_rate) == (3, 0.9, 0.01)
    assert found.architecture.input == (16, 12, 1)
    assert found.architecture.stages == candidate.architecture.stages


def test_every_training_has_an_id_and_a_seed_of_its_own() -> None:
    ways = plan_variants([2], 8, levers=["ema=0.9"], repeat=2)
    planned = list(plan_trainings(sample(3), ways, seed=0, repeat=2))
    assert len(planned) == 3 * 3 + 2
    assert len({one.trial_id for one in planned}) == len(planned)
    assert len({one.seed for one in planned}) == len(planned)
    first = ["0001-2-epochs", "0001-2-epochs-ema-0.9", "0001-long", "0001-long-again"]
    assert [one.trial_id for one in planned][:5] == [*first, "0002-2-epochs"]
    again = [one.sampled.number for one in planned if one.trial_id.endswith("again")]
    assert again == [1, 2]


def record(training: Any, number: int, status: str) -> TrialRecord:
    fingerprint = training.planned.candidate.fingerprint
    return TrialRecord(
        id=training.trial_id, number=number, status=status, values={}, architecture={}, recipe={},
        fingerprint=fingerprint, family="plain", params=1, params_total=1, macs=1, epochs=2,
        score=0.5, metrics={}, seconds=1.0, started=0.0, ended=1.0,
    )  # fmt: skip


def test_only_what_has_not_ended_is_left_and_numbers_stay() -> None:
    planned = list(plan_trainings(sample(4), plan_variants([2], 8), seed=0, repeat=0))
    states = ("completed", "running", "failed")
    known = {
        one.trial_id: record(one, number, state)
        for number, (one, state) in enumerate(zip(planned, states, strict=False), 1)
    }
    left = list_open_proposals(planned, known, "r")
    assert [p.number for p in left] == [2, 4, 5, 6, 7, 8]
    assert left[0].trial_id == "0001-long"


def test_a_trial_of_another_candidate_is_refused() -> None:
    planned = list(plan_trainings(sample(4), plan_variants([2], 8), seed=0, repeat=0))
    other = replace(record(planned[0], 1, "completed"), fingerprint="0" * 16)
    with pytest.raises(RunError, match="run 'r': trial 0001-2-epochs trained another candidate"):
        list_open_proposals(planned, {other.id: other}, "r")


def test_recipe_keys_are_set_for_the_whole_space() -> None:
    changed = set_recipe_keys(
        SearchSpace.from_text(SPACE), {"batch_size": 32, "learning_rate": 0.02}
    )
    recipe = changed.decode_first().recipe
    assert (recipe.batch_size, recipe.learning_rate, recipe.epochs) == (32, 0.02, 5)
    with pytest.raises(CnnsearchError, match="batch_size"):
        set_recipe_keys(SearchSpace.from_text(SPACE), {"batch_size": 0})


def test_a_choice_of_whole_recipes_has_no_keys_to_set() -> None:
    text = SPACE.replace("recipe: {", "recipe: {choice: [{").replace("5}", "5}, {epochs: 6}]}")
    with pytest.raises(CnnsearchError, match="--set: space chooses between whole recipes"):
        set_recipe_keys(SearchSpace.from_text(text), {"ema": 0.9})
