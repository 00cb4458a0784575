"""`cnnsearch scale`: the family, its files, the search of alpha, beta and gamma, and bad input."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.compound_scaling import CompoundScaling
from cnnsearch.architecture.cost import count
from cnnsearch.cli import app
from cnnsearch.engine.settings import SETTINGS
from cnnsearch.errors import CnnsearchError
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.space.scaled_family import parse_phis
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.studies.coefficient_search import (
    OWN,
    inherit_settings,
    list_proportions,
    make_scaling_space,
    make_scaling_table,
    rank_results,
)

NET = Architecture.from_data(
    {
        "name": "small",
        "input": [16, 16, 1],
        "classes": 10,
        "stem": [{"type": "conv", "filters": 16}],
        "stages": [{"block": "basic", "width": w, "depth": 2, "stride": 2} for w in (16, 32)],
    }
)
RECIPE = TrainingRecipe(epochs=3, learning_rate=0.02)


def cnnsearch(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return str(result.output)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with one run, of one finished trial."""
    settings = {"data": "digits", "seed": 7, "epochs": None, "strategy": "random", "workers": 4}
    run = RunDirectory.create(tmp_path / "runs", "mine", {"settings": settings}, "")
    started = {
        "number": 0, "values": {}, "architecture": NET.to_data(), "recipe": RECIPE.to_data(),
        "fingerprint": "f", "family": "residual", "params": 1, "params_total": 1, "macs": 1,
        "epochs": 3,
    }  # fmt: skip
    run.db.append("trial_started", started, "0001")
    ended = {"status": "completed", "score": 0.5, "reason": None, "metrics": {}, "seconds": 1.0}
    run.db.append("trial_ended", ended, "0001")
    run.close()
    return tmp_path / "runs"


def test_the_family_of_a_published_network() -> None:
    output = cnnsearch("scale", "efficientnet-b0", "--phi", "1..2")
    assert "alpha 1.2, beta 1.1, gamma 1.15" in output
    assert "258x258x3" in output and "9.11M" in output and "993M" in output and "1.99G" in output
    data = json.loads(cnnsearch("scale", "efficientnet-b0", "--phi", "1,2", "--json"))
    assert [one["macs"] for one in data["family"]] == [992629472, 1810522464]
    assert [one["depth"] for one in data["family"]] == [23, 26]


def test_up_to_a_budget() -> None:
    data = json.loads(cnnsearch("scale", "resnet-50", "--to", "10G", "--json"))
    (one,) = data["family"]
    assert 9.5e9 < one["macs"] <= 10e9 and one["flops"] == 2 * one["macs"]


def test_up_to_ram_and_flash() -> None:
    limits = ("--max-ram", "256K", "--max-flash", "1M")
    data = json.loads(cnnsearch("scale", "resnet-8-mlperf-tiny", *limits, "--json"))
    (one,) = data["family"]
    assert one["phi"] > 0.5
    assert one["peak_activation_bytes"] <= 256_000 and one["flash_bytes"] <= 10**6
    output = cnnsearch("scale", "resnet-8-mlperf-tiny", *limits)
    assert "RAM" in output and "flash" in output and f"{one['phi']:g}" in output
    assert "RAM" not in cnnsearch("scale", "resnet-8-mlperf-tiny", "--phi", "1")


def test_the_winner_of_a_run_is_written_with_its_recipe(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "scaled"
    output = cnnsearch("scale", "mine", "--phi", "1", "--out", out, "--runs", runs)
    file = out / "mine-0001-phi-1.yaml"
    assert f"Wrote {file}" in output
    found = SearchSpace.load(file).decode_first()
    assert found.architecture.fingerprint == CompoundScaling().scale(NET, 1).fingerprint
    assert found.recipe == RECIPE


def test_files_are_not_replaced_unasked(tmp_path: Path) -> None:
    arguments = ("scale", "lenet-5-modern", "--phi", "1..2", "--out", tmp_path)
    cnnsearch(*arguments)
    (tmp_path / "lenet-5-modern-phi-1.yaml").unlink()
    with pytest.raises(CnnsearchError, match=r"lenet-5-modern-phi-2.yaml is already there"):
        cnnsearch(*arguments)
    assert not (tmp_path / "lenet-5-modern-phi-1.yaml").exists()
    cnnsearch(*arguments, "--force")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--phi", "1..3", "--to", "1.5G"),
            "at phi = 2 costs 1.81G MACs, over the budget of 1.50G",
        ),
        (("--to", "100M"), "at phi = 0 costs 386M MACs, over the budget of 100M"),
        (("--to", "1G", "--max-macs", "2G"), "--to, --max-macs: expected one of them"),
        (("--max-ram", "lots"), "--max-ram: expected a positive number such as 300K"),
        (
            ("--max-ram", "1M", "--max-flash", "3M"),
            "at phi = 0 costs 3.61M bytes of RAM and 5.72M bytes of flash, over the budget of"
            " 1.00M bytes of RAM and 3.00M bytes of flash; a negative --phi makes networks smaller",
        ),
        (("--to", "much"), "--to: expected a positive number such as 300K"),
        (("--phi", "4..1"), "--phi: expected numbers such as 1..4"),
        (("--phi", "60"), "phi: expected a number from -20 to 20, got 60"),
        (("--phi", "nan"), "phi: expected a number from -20 to 20, got nan"),
        (("--alpha", "0.5"), "scaling.alpha: input should be greater than or equal to 1, got 0.5"),
        (("--divisor", "0"), "scaling.divisor: input should be greater"),
        (("--search",), "--data: name the images to train on"),
        (("--search", "--data", "digits", "--step", "0"), "--step: expected a number from 0.02"),
        (("--out", __file__), "test_scale.py: cannot be written"),
    ],
)
def test_bad_input_is_reported_in_one_line(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(CnnsearchError) as caught:
        cnnsearch("scale", "efficientnet-b0", *arguments)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_phis() -> None:
    assert parse_phis("1..4") == [1, 2, 3, 4]
    assert parse_phis("-1..1") == [-1, 0, 1]
    assert parse_phis("0.5, 2") == [0.5, 2]
    for text in ("", "1..", "1..2..3", "a", "0..100000", "1;2"):
        with pytest.raises(CnnsearchError, match="--phi: expected numbers"):
            parse_phis(text)


def test_every_proportion_about_doubles_the_macs() -> None:
    found = list_proportions(0.05)
    assert CompoundScaling(alpha=1.2, beta=1.1, gamma=1.15) in found
    assert all(abs(one.growth / 2 - 1) <= 0.05 for one in found)
    assert {(2.0, 1.0, 1.0), (1.0, 1.4, 1.0), (1.0, 1.0, 1.4)} <= {
        (one.alpha, one.beta, one.gamma) for one in list_proportions(0.1)
    }
    assert len(list_proportions(0.1)) == 20


def test_the_grid_is_a_space_of_the_scaled_winner() -> None:
    choices = list_proportions(0.2)
    space = make_scaling_space(Candidate(NET, RECIPE), choices)
    (parameter,) = space.parameters
    assert parameter.options[0] == "alpha=1,beta=1,gamma=1.4"
    assert space.input == (22, 22, 1)
    for label, choice in zip(parameter.options, choices, strict=True):
        found = space.decode({"scaling": label})
        assert found.recipe == RECIPE
        assert found.architecture.fingerprint == choice.scale(NET, 1).fingerprint


def record(space: SearchSpace, label: object, score: float) -> TrialRecord:
    net = space.decode({"scaling": label}).architecture  # type: ignore[dict-item]
    cost = count(net)
    return TrialRecord(
        id=str(label), number=0, status="completed", values={"scaling": label},
        architecture=net.to_data(), recipe={}, fingerprint="", family="", params=cost.params,
        params_total=cost.params_total, macs=cost.macs, epochs=1, initial_epoch=0, continues=None,
        score=score, reason=None, metrics={}, seconds=1.0, started=0.0, ended=1.0,
    )  # fmt: skip


def test_a_proportion_that_rounding_made_costly_does_not_win() -> None:
    shallow = Architecture.from_data(
        {
            "input": [32, 32, 3],
            "classes": 10,
            "stages": [{"block": "basic", "width": 64} for _ in range(2)],
        }
    )
    choices = list_proportions(0.2)
    space = make_scaling_space(Candidate(shallow, RECIPE), choices)
    trials = [
        record(space, label, 0.5 + 0.01 * i) for i, label in enumerate(space.parameters[0].options)
    ]
    found = rank_results(shallow, space, choices, trials)
    costly = [one for one in found if not one.fair]
    assert costly and all(one.growth > 2.2 for one in costly)  # depth 1 becomes 2, and wider too
    assert found[0].fair and found.index(costly[0]) == len(found) - len(costly)
    assert max(one.trial.score or 0 for one in found) >= (found[0].trial.score or 0)
    assert rank_results(shallow, space, choices, []) == []


def test_a_run_hands_on_how_it_trained(runs: Path) -> None:
    assert inherit_settings("mine:1", runs) == {"data": "digits", "seed": 7}
    assert inherit_settings("resnet-18", runs) == {}


DIFFERENT = {
    "data": "npz:images.npz", "train_share": 0.5, "split_seed": 3, "skip_bad_images": True,
    "data_dir": "prepared", "max_memory": 10**9, "epochs": 4, "objective": "macro_f1",
    "class_weights": "balanced", "changes": ["ema=0.9"], "max_failures": 2, "seed": 7,
    "gpus": None, "workers_per_gpu": 2, "start_method": "spawn", "trial_timeout": 60.0,
    "max_disk": 10**9, "ray": "local", "gpus_per_trial": 0.5, "mlflow_uri": "http://localhost",
    "drop_copies": True, "split_version": 1,
}  # fmt: skip
"""A value of each setting that differs from its default."""


def test_a_coefficient_search_inherits_every_setting_that_is_not_its_own(tmp_path: Path) -> None:
    settings = {key: DIFFERENT.get(key, setting.field.default) for key, setting in SETTINGS.items()}
    RunDirectory.create(tmp_path, "mine", {"settings": settings}, "").close()
    passed = {key for key, value in DIFFERENT.items() if value is not None}
    assert inherit_settings("mine:1", tmp_path) == {key: DIFFERENT[key] for key in passed}
    assert SETTINGS.keys() - OWN == DIFFERENT.keys(), "a new setting: inherited, or OWN?"


def test_scale_search_trains_with_the_settings_of_the_run(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: dict[str, object] = {}

    def search(space: SearchSpace, data: str, **settings: object) -> SimpleNamespace:
        passed.update(settings, data=data)
        return SimpleNamespace(trials=[])

    monkeypatch.setattr("cnnsearch.engine.search.search", search)
    manifest = json.loads((runs / "mine" / "run.json").read_text())
    for key in ("objective", "class_weights", "train_share", "max_memory"):
        manifest["settings"][key] = DIFFERENT[key]
    (runs / "mine" / "run.json").write_text(json.dumps(manifest))
    with pytest.raises(CnnsearchError, match="no candidate was trained to its end"):
        cnnsearch("scale", "mine", "--search", "--workers", "2", "--runs", runs)
    expected = {key: DIFFERENT[key] for key in ("objective", "class_weights", "train_share")}
    expected |= {"max_memory": 10**9, "seed": 7, "workers": 2, "strategy": "grid"}
    assert {key: passed[key] for key in expected} == expected


def test_the_table_and_json_name_the_objective(runs: Path) -> None:
    choices = list_proportions(0.2)
    space = make_scaling_space(Candidate(NET, RECIPE), choices)
    trial = record(space, space.parameters[0].options[0], 0.5)
    (found,) = rank_results(NET, space, choices, [trial])
    assert (found.to_data()["score"], found.to_data()["val_accuracy"]) == (0.5, None)
    headings = [column.header for column in make_scaling_table([found], "val macro F1").columns]
    assert "val macro F1" in headings and "val accuracy" not in headings


@pytest.mark.slow
def test_the_search_of_a_runs_winner_is_a_run_of_its_own(runs: Path) -> None:
    arguments = ("scale", "mine", "--search", "--step", "0.5", "--epochs", "1", "--workers", "0")
    output = cnnsearch(*arguments, "--phi", "1", "--runs", runs)
    assert "Best: --alpha" in output
    with RunDirectory.open(runs, "mine-scaling").lock():
        pass
    trials = RunDirectory.open(runs, "mine-scaling").db.get_trials()
    assert {trial.status for trial in trials} == {"completed"}
    assert len(trials) == len(list_proportions(0.5))
    *_, last = cnnsearch(*arguments, "--json", "--runs", runs).splitlines()
    tried = json.loads(last)["tried"]
    assert {one["trial"] for one in tried} == {trial.id for trial in trials}
    assert f"--alpha {tried[0]['alpha']:g} --beta {tried[0]['beta']:g}" in output
