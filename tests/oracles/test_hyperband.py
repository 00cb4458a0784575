from collections import Counter
from typing import Any

import pytest

from cnnsearch.oracles.protocol import WAIT, Proposal

from .helpers import Store, drive, finish, make, mixed_space, score, small_space

keras_tuner = pytest.importorskip("keras_tuner")


def lengths(proposals: list[Proposal]) -> Counter[int]:
    return Counter(p.epochs for p in proposals)


def stock_lengths(epochs: int, monkeypatch: Any, tmp_path: Any) -> Counter[int]:
    """The trials of Keras Tuner's own oracle, without failures."""
    from cnnsearch.oracles.convert import to_hyperparameters

    oracle = keras_tuner.oracles.HyperbandOracle(
        objective=keras_tuner.Objective("score", "max"),
        hyperparameters=to_hyperparameters(mixed_space().parameters),
        max_epochs=epochs,
        seed=1,
    )
    oracle._set_project_dir(str(tmp_path), "stock")
    oracle.verbose = 0
    seen: Counter[int] = Counter()
    while (trial := oracle.create_trial("slot")).status == "RUNNING":
        seen[trial.hyperparameters.values["tuner/epochs"]] += 1
        oracle.update_trial(trial.trial_id, {"score": score(trial.hyperparameters.values)})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    return seen


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Keras Tuner's threading.currentThread
@pytest.mark.parametrize("epochs", [1, 2, 4, 9, 10, 27])
def test_without_failures_the_schedule_is_keras_tuners(
    epochs: int, monkeypatch: Any, tmp_path: Any
) -> None:
    proposals = drive(make("hyperband", max_trials=None, epochs=epochs))
    assert lengths(proposals) == stock_lengths(epochs, monkeypatch, tmp_path)


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("failing", [0.1, 0.3, 0.5])
def test_failures_do_not_starve_the_rounds(slots: int, failing: float) -> None:
    """As many candidates are trained in full as without failures."""
    whole = _completed(failing=0.0, slots=slots)
    hurt = _completed(failing=failing, slots=slots)
    assert hurt[27] == whole[27]
    assert hurt[9] >= whole[9]


def _completed(failing: float, slots: int) -> Counter[int]:
    import json

    store = Store()
    proposals = drive(
        make("hyperband", max_trials=None, epochs=27, store=store), slots=slots, failing=failing
    )
    done = {i for i, text in store.trials.items() if json.loads(text)["status"] == "COMPLETED"}
    return lengths([p for p in proposals if p.trial_id in done])


def test_a_promotion_continues_from_the_promoted_trial() -> None:
    proposals = {p.trial_id: p for p in drive(make("hyperband", epochs=9, max_trials=None))}
    promoted = [p for p in proposals.values() if p.continues is not None]
    assert promoted
    for proposal in promoted:
        past = proposals[proposal.continues or ""]
        assert proposal.values == past.values
        assert proposal.fingerprint == past.fingerprint
        assert proposal.initial_epoch == past.epochs < proposal.epochs
    assert all(p.initial_epoch == 0 for p in proposals.values() if p.continues is None)


def test_a_trial_is_promoted_once_at_most_unless_that_failed() -> None:
    proposals = drive(make("hyperband", epochs=27, max_trials=None), failing=0.3, slots=3)
    pasts = [p.continues for p in proposals if p.continues is not None]
    assert len(pasts) == len(set(pasts))


def test_the_best_are_promoted() -> None:
    proposals = drive(make("hyperband", epochs=9, max_trials=None))
    first = [p for p in proposals if p.epochs == 1]
    best = sorted(first, key=lambda p: -score(p.values))[:3]
    second = [p for p in proposals if p.epochs == 3 and p.continues]
    assert {p.continues for p in second} == {p.trial_id for p in best}


def test_brackets_follow_each_other_until_max_trials() -> None:
    once = drive(make("hyperband", epochs=9, max_trials=None))
    more = drive(make("hyperband", epochs=9, max_trials=40))
    new = [p for p in more if p.continues is None]
    assert len(new) == 40 > len([p for p in once if p.continues is None])
    assert [p.values for p in more[: len(once)]] == [p.values for p in once]


def test_a_truncated_bracket_still_promotes() -> None:
    proposals = drive(make("hyperband", epochs=27, max_trials=7))
    assert len([p for p in proposals if p.continues is None]) == 7
    assert lengths(proposals) == {1: 7, 3: 3, 9: 1, 27: 1}


def test_an_exhausted_space_still_promotes() -> None:
    oracle = make("hyperband", small_space(), epochs=27, max_trials=None)
    proposals = drive(oracle)
    assert oracle.reason == "exhausted"
    assert lengths(proposals)[27] == 1


def test_ends_though_everything_fails() -> None:
    oracle = make("hyperband", epochs=9, max_trials=None)
    assert len(drive(oracle, failing=1.1)) == 4 * (9 + 5 + 3)
    assert oracle.reason == "schedule"


def test_waits_for_running_trials_and_says_when_its_schedule_is_done() -> None:
    oracle = make("hyperband", epochs=1, max_trials=None)
    proposal = oracle.propose("a")
    assert oracle.propose("b") is WAIT
    finish(oracle, proposal)
    assert drive(oracle) == []
    assert oracle.reason == "schedule"
