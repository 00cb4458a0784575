"""The help texts, and what a shell completes."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from cnnsearch.cli import app, commands
from cnnsearch.cli.commands import GROUPS
from cnnsearch.cli.completion import complete_run
from cnnsearch.engine.settings import SETTINGS
from tests.browser import sample_run
from tests.cli.program import run

PROGRAM: Any = typer.main.get_command(app)
COMMANDS = sorted(PROGRAM.commands)


def test_every_command_of_the_modules_is_in_a_group() -> None:
    for entry in (entry for group in GROUPS.values() for entry in group.values()):
        commands.import_module(f"cnnsearch.cli.{entry.module}")
    named = {each.name or each.callback.__name__ for each in app.registered_commands}  # type: ignore[union-attr]
    assert named == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_repeats_the_first_line_of_their_help(name: str) -> None:
    summary = next(group[name].summary for group in GROUPS.values() if name in group)
    assert PROGRAM.commands[name].help.splitlines()[0] == summary
    assert len(summary) <= 66


def _examples() -> Iterator[tuple[str, str]]:
    for name in COMMANDS:
        for line in PROGRAM.commands[name].epilog.splitlines():
            yield name, line


def test_every_command_has_an_example() -> None:
    assert {name for name, _ in _examples()} == set(COMMANDS)


@pytest.mark.parametrize(("name", "line"), list(_examples()))
def test_an_example_is_a_line_that_the_command_takes(name: str, line: str) -> None:
    assert len(line) <= 76
    words = shlex.split(line.split(" > ")[0])
    start = ["cnnsearch", *name.split()]
    assert words[: len(start)] == start
    PROGRAM.commands[name].make_context(name, words[len(start) :])


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_fits_80_columns_and_has_one_way_of_showing_defaults(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(name, "--help") == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "[default" not in text and "[required" not in text
    assert text.count("--help ") == 1
    assert not {"{", "}"} & {*text.split("\n\n")[0]}  # the usage


def test_the_options_of_a_search_are_in_panels_basics_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run("search", "--help")
    lines = capsys.readouterr().out.splitlines()
    titles = [line[:-1] for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert titles == ["Arguments", "Data", "Budget", "Search", "Training", "Transfer", "Hardware",
                      "Output", "Examples"]  # fmt: skip
    assert next(line for line in lines if line.startswith("  --")).split()[0] == "--data"
    flags = {line.split()[0].strip(",") for line in lines if line.startswith("  --")}
    assert flags >= {each.flag for each in SETTINGS.values() if not each.option.internal}


def _complete(*words: str, cwd: Path) -> list[str]:
    asked = {"_CNNSEARCH_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(["cnnsearch", *words]),
             "COMP_CWORD": str(len(words))}  # fmt: skip
    program = "import sys; sys.argv = ['cnnsearch']; from cnnsearch.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, **asked}, cwd=cwd,
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    assert not done.stderr
    return done.stdout.split()


def test_a_shell_completes_commands_options_and_names(tmp_path: Path) -> None:
    sample_run.create(tmp_path / "runs", "flowers").close()
    assert _complete("se", cwd=tmp_path) == ["search"]
    assert _complete("search", "--max-m", cwd=tmp_path) == ["--max-memory", "--max-macs"]
    assert "resnet-50" in _complete("search", "res", cwd=tmp_path)
    assert _complete("results", "fl", cwd=tmp_path) == ["flowers"]


def test_runs_are_completed_from_the_folder_of_runs(tmp_path: Path) -> None:
    sample_run.create(tmp_path / "others", "flowers").close()
    context: Any = SimpleNamespace(params={"runs": tmp_path / "others"})
    assert complete_run(context, "") == ["flowers"]
    assert complete_run(context, "x") == []


def test_a_space_is_printed_to_be_copied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("spaces", "residual") == 0
    Path("mine.yaml").write_text(capsys.readouterr().out)
    assert run("check", "mine.yaml", "--samples", "3") == 0
    assert run("spaces", "residul") == 2
    assert "residual" in capsys.readouterr().err
