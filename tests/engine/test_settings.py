"""Settings: written once, entered by flag, keyword or object, kept under the keys of before."""

import inspect
import json
from pathlib import Path

import pytest

import cnnsearch
from cnnsearch.cli.options import list_keys
from cnnsearch.engine.options import DataOptions, Placement, SearchOptions, TrainingOptions
from cnnsearch.engine.settings import SETTINGS, Settings
from cnnsearch.errors import CnnsearchError

# what older runs lack
SINCE = ("drop_copies", "baseline", "max_train_time", "reduction_factor", "min_epochs",
         "max_latency", "latency_precision", "latency_table", "learn_from", "first",
         "max_ram", "max_flash")  # fmt: skip
BEFORE = Path(__file__).parents[1] / "compatibility" / "version_0_1"


def test_run_json_keeps_the_keys_of_before() -> None:
    manifest = json.loads(next(BEFORE.glob("**/run.json")).read_text("utf-8"))
    assert {*manifest["settings"]} <= {"source", *SETTINGS}
    identity = Settings.create("", "s.yaml").identity()
    assert {*manifest["identity"], *SINCE} == {*identity}


def test_a_setting_comes_by_keyword_or_in_an_object() -> None:
    given = Settings.create(
        "", "s", data=DataOptions(source="photos/"), placement=Placement(workers=2),
        training=TrainingOptions(objective="macro_f1"), max_params="300K", max_time="1h30m",
    )  # fmt: skip
    assert given == Settings.create(
        "", "s", data="photos/", workers=2, objective="macro_f1", max_params=300_000, max_time=5400
    )
    assert given.replace(**given.flatten()) == given


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"trails": 3}, "trails: no such setting, did you mean 'trials'"),
        ({"trials": "many"}, "--trials: input should be a valid integer"),
        ({"workers": 1, "placement": Placement(workers=2)}, "workers: is given twice"),
        ({"changes": ["ema=2", "emma=1"]}, "--set: recipe"),
        ({"max_memory": "lots"}, "--max-memory: expected a positive number"),
    ],
)
def test_a_mistake_names_the_flag_in_one_line(given: dict[str, object], words: str) -> None:
    with pytest.raises(CnnsearchError, match=words) as caught:
        Settings.create("", "s", **given)
    assert "\n" not in str(caught.value)


def test_a_session_may_move_but_not_change_what_is_found() -> None:
    began = Settings.create("", "s", ray="local", gpus_per_trial=0.5)
    assert began.move(ray="none", workers=None) == Settings.create("", "s")
    with pytest.raises(CnnsearchError, match="--seed: a run keeps the value"):
        began.move(seed=1)


def test_search_shows_its_settings_and_refuses_others(tmp_path: Path) -> None:
    shown = inspect.signature(cnnsearch.search).parameters
    assert {*list_keys()} <= {*shown}
    assert shown["trials"].default == 20
    with pytest.raises(CnnsearchError, match="no such setting, did you mean 'max_macs'"):
        cnnsearch.search("tiny", max_mac="1M", runs=tmp_path)


def test_several_objectives_change_the_default_strategy_and_no_other() -> None:
    made = Settings.create("", "s.yaml", objective="macs, val_accuracy")
    assert (made.search.strategy, made.training.objective) == ("pareto", "accuracy, macs")
    assert Settings.create("", "s.yaml", objective="macro_f1").search.strategy != "pareto"
    assert made.replace(trials=9).search.strategy == "pareto"
    with pytest.raises(CnnsearchError, match="several objectives need --strategy pareto"):
        Settings.create("", "s.yaml", objective="accuracy, params", strategy="random")
    with pytest.raises(CnnsearchError, match="--strategy pareto: needs a cost too"):
        Settings.create("", "s.yaml", strategy="pareto")


@pytest.mark.parametrize("strategy", ["hyperband", "asha", "pareto"])
def test_only_scores_of_equal_epochs_can_end_a_search(strategy: str) -> None:
    with pytest.raises(CnnsearchError, match="--stop-when-enough: compares candidates"):
        SearchOptions(strategy=strategy, stop_when_enough=True)


def test_a_search_that_ends_itself_needs_no_limit() -> None:
    assert SearchOptions(trials=None, stop_when_enough=True).stop_when_enough
