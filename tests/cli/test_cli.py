"""The command line as people use it: what it prints, and what it says of mistakes."""

import json
from pathlib import Path

import pytest

from cnnsearch.cli.commands import LazyCommands
from cnnsearch.cli.common import app
from cnnsearch.space.files import list_spaces
from tests.cli.program import Capture, refused, run


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_help_names_every_command_in_full(capsys: Capture) -> None:
    assert run("--help") == 0
    text = capsys.readouterr().out
    assert [line for line in text.splitlines() if line.endswith(":")] == [
        "Start here:", "Understand:", "Networks:", "Manage:", "Options:",
    ]  # fmt: skip
    listed = text.split("Start here:")[1].split("Options:")[0].splitlines()
    names = [line[2:].split("  ")[0] for line in listed if line.startswith("  ")]
    assert names == list(LazyCommands(app))
    assert "..." not in text.split("Start here:")[1]


@pytest.mark.parametrize("name", list_spaces())
def test_check_tells_size_and_cost(name: str, capsys: Capture) -> None:
    assert run("check", name, "--max-macs", "5G") == 0
    text = capsys.readouterr().out
    assert "Sound: every option reads" in text
    assert "are within the budget." in text
    assert run("check", name, "--json", "--samples", "20") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["samples"] == 20
    assert report["macs"]["smallest"] <= report["macs"]["median"] <= report["macs"]["largest"]


def test_check_of_a_space_that_no_budget_fits_is_not_sound(capsys: Capture) -> None:
    assert run("check", "tiny", "--max-params", "1K") == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "Sound" not in text
    assert "None of 100 random candidates is within the budget of 1.00K parameters" in text
    assert "(the fewest found: 1.72K)" in text
    assert run("check", "lenet-5", "--max-macs", "1K", "--max-params", "1M") == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "The candidate is not within the budget of 1.00M parameters" in text
    assert run("check", "tiny", "--max-params", "1K", "--json") == 1
    assert json.loads(capsys.readouterr().out)["within_budget"] == 0


def test_check_of_a_file_without_choices_prints_the_exact_costs(capsys: Capture) -> None:
    assert run("check", "squeezenet-1.1", "--max-macs", "1G") == 0
    text = capsys.readouterr().out
    assert "the network can be wired. It has no choices." in text
    assert "params               1,235,496  " in text and "median" not in text
    assert text.endswith("It is within the budget.\n")


def test_check_gives_an_upper_bound_of_the_candidates(capsys: Capture) -> None:
    assert run("check", "tiny") == 0
    assert "at most 224 different candidates" in capsys.readouterr().out


def test_spaces_lists_what_ships(capsys: Capture) -> None:
    assert run("spaces") == 0
    text = capsys.readouterr().out
    assert all(name in text for name in list_spaces())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "residul"], "there is no space named 'residul', did you mean 'residual'"),
        (["check", "no/such.yaml"], "no/such.yaml: there is no such space file"),
        (
            ["search", "tiny", "--max-macs", "lots"],
            "--max-macs: expected a positive number such as",
        ),
        (["search", "tiny", "--max-params", "-3"], "--max-params: expected a positive number"),
        (["search", "tiny", "--max-time", "soon"], "--max-time: expected a time such as 2h"),
        (
            ["search", "tiny", "--max-time", "10"],
            "--max-time: expected a time with a unit, got '10': 10s or 10m or 10h?",
        ),
        (["search", "tiny", "--set", "lr=0.1"], "recipe.lr: unknown key, did you mean 'learning_r"),
        (["search", "tiny", "--trials", "0"], "--trials: expected at least 1, got 0"),
        (["search", "tiny", "--epochs", "-1"], "--epochs: expected at least 1, got -1"),
        (["search", "tiny", "--workers", "-1"], "--workers: expected 0 or more, got -1"),
        (["search", "tiny", "--seed", "-1"], "--seed: expected a number from 0"),
        (["search", "tiny", "--strategy", "evolutoin"], "did you mean 'evolution'"),
        (["search", "tiny", "--data", "digit"], "unknown data set 'digit', did you mean 'digits'"),
        (["search", "tiny", "--data", "./photos"], "data folder './photos' does not exist"),
        (["search", "tiny", "--name", "../out"], "../out"),
        (["search", "tiny", "--name", "a b"], "'a b'"),
        (["search", "tiny", "--name", ""], "run name '': must be letters"),
        (
            ["search", "tiny", "--max-macs", "10", "--workers", "0"],
            "no candidate meets the budget: of ",
        ),
        (["search", "tiny", "--trials", "x"], "Invalid value for '--trials'"),
        (["search", "tiny", "--trals", "3"], "No such option: --trals"),
        (["search"], "SPACE or --data: name a space, or the images to choose one for"),
        (["sarch"], "No such command 'sarch'. Did you mean 'search'?"),
        (["results"], "there is no run in runs yet"),
        (["results", "nothing"], "no run 'nothing' in runs"),
        (["export"], "there is no run in runs yet"),
        (["resume", "nothing"], "no run 'nothing' in runs"),
        (["ui"], "there is no run in runs yet"),
        (["sync", "nothing"], "no run 'nothing' in runs"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, capsys: Capture, tmp_path: Path
) -> None:
    assert message in refused(capsys, *arguments)
    left = [p for p in tmp_path.rglob("*") if ".cache" not in p.parts and p.name != "runs"]
    assert left == []


def test_a_space_file_with_a_mistake_is_named(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("input: [8, 8, 1]\nclasses: 2\nstages: [{blok: basic}]\n")
    message = refused(capsys, "check", "mine.yaml")
    assert message.startswith("mine.yaml: stages.0.") and "blok" in message
    (tmp_path / "mine.yaml").write_text("input: [8, 8, 1]\nclasses: [2\n")
    assert refused(capsys, "search", "mine.yaml").startswith("mine.yaml, line ")


def test_a_folder_that_cannot_be_written_is_named(capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "file" in refused(capsys, "search", "tiny", "--runs", "file")


def test_the_schema_allows_choices_and_variables_anywhere(capsys: Capture) -> None:
    assert run("schema") == 0
    schema = json.loads(capsys.readouterr().out)
    assert {"input", "stem", "stages", "head", "variables", "recipe"} <= set(schema["properties"])
    width = schema["$defs"]["Stage"]["properties"]["width"]["anyOf"]
    assert {"$ref": "#/$defs/Varying"} in width
