"""The default strategy: what it stands for, what it claims, and runs begun before it."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cnnsearch import SearchSpace
from cnnsearch.engine.run_manifest import check_same_settings, keep_earlier
from cnnsearch.engine.search import _resolve_strategy
from cnnsearch.engine.settings import Settings
from cnnsearch.errors import RunError
from cnnsearch.oracles import AUTO, STRATEGIES, choose_strategy, find_strategy

RESULTS = Path(__file__).parents[2] / "benchmarks" / "replay" / "nas_bench_macro.json"
TINY = SearchSpace.load("tiny")


def make_settings(**given: Any) -> Settings:
    return Settings.create(TINY.text, TINY.source, **given)


@pytest.mark.parametrize("trials", [10, 20, 30, 50, 100])
def test_it_is_what_the_committed_replay_shows_to_be_best(trials: int) -> None:
    regrets = {
        name: found["regret"][str(trials)]
        for name, found in json.loads(RESULTS.read_text("utf-8"))["results"].items()
        if str(trials) in found["regret"]
    }
    assert min(regrets, key=regrets.__getitem__) == choose_strategy(trials).strategy.name
    assert regrets.keys() & {s.name for s in STRATEGIES} >= {"evolution", "random"}


def test_one_line_says_which_and_why() -> None:
    settings, why = _resolve_strategy(make_settings(trials=12), TINY)
    assert settings.search.strategy == find_strategy(AUTO).name
    assert why.startswith(
        f"Strategy {settings.search.strategy}: the best in replays of 10 to 100 trials"
    )
    assert "\n" not in why


def test_a_strategy_that_is_named_is_kept_without_a_line() -> None:
    given = make_settings(strategy="random")
    assert _resolve_strategy(given, TINY) == (given, "")


def test_a_space_that_will_be_exhausted_is_said_to_be() -> None:
    assert "all 9 candidates" in choose_strategy(20, 9).reason
    assert "10 to 100 trials" in choose_strategy(None).reason
    assert "10 to 100 trials" in choose_strategy(500).reason


def make_run(**settings: Any) -> Any:
    """A run whose search was begun by an earlier version."""
    flat = make_settings(**settings)
    manifest = {"settings": flat.flatten(), "identity": flat.identity(), "dataset": {}}
    return SimpleNamespace(name="old", manifest=manifest)


def test_a_run_of_an_earlier_version_keeps_its_strategy() -> None:
    run = make_run(strategy="evolution")
    settings = keep_earlier(run, make_settings())
    assert settings.search.strategy == "evolution"
    check_same_settings(run, settings)


def test_another_strategy_is_still_refused() -> None:
    run = make_run(strategy="evolution")
    with pytest.raises(RunError, match="another value of --strategy: 'evolution', now 'random'"):
        check_same_settings(run, keep_earlier(run, make_settings(strategy="random")))
