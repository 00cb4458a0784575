"""README.md and docs/: generated parts are current; links, commands and options exist."""

import ast
import importlib.util
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

import cnnsearch
from cnnsearch.cli import app
from cnnsearch.engine.settings import GROUPS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
CODE = re.compile(r"^ {0,3}```.*?^ {0,3}```$|^(?: {4}|\t).*$", re.MULTILINE | re.DOTALL)
GENERATED = re.compile(r"<!-- (table|output|figure): .*?<!-- /\1 -->", re.DOTALL)
MEASURED = re.compile(r"\d[\d.,]*(?:%| %| ?(?:ms|s|min|MiB|images a second|times(?! so))\b)")
# Words of a private language that these texts once spoke.
PRIVATE = re.compile(
    r"\b(?:told|tells? apart|asked for|(?:is|was) asked|go(?:es)? on with|for want of|comes to"
    r"|in vain|judged?)\b"
)
# Pages that the site makes from the code or from files of the repository's root.
MADE = {
    "contributing.md",
    "changelog.md",
    "reference/python.md",
    "reference/blocks.md",
    "reference/command-line.md",
}


@pytest.fixture(scope="module")
def refresh() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_refresh", ROOT / "docs" / "refresh.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_parts_are_current() -> None:
    command = [sys.executable, str(ROOT / "docs" / "refresh.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_figure_that_differs_from_its_result_file_is_replaced(refresh: ModuleType) -> None:
    page = "took <!-- figure: cifar-accuracy -->99.99%<!-- /figure --> of them"
    assert "89.32%" in refresh.refresh(page)


def test_every_rule_for_a_figure_is_used() -> None:
    rules = re.findall(r"^\[(.+)\]$", (ROOT / "docs/figures.toml").read_text("utf-8"), re.MULTILINE)
    used = {name for page in PAGES for name in re.findall(r"figure: (\S+) -->", page.read_text())}
    assert sorted(set(rules) - used) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_measured_figure_is_typed_by_hand(page: Path) -> None:
    prose = CODE.sub("", GENERATED.sub("", page.read_text("utf-8")))
    prose = re.sub(r"`[^`]*`|95%", "", prose)
    assert MEASURED.findall(prose) == []


def test_captured_outputs_are_what_the_commands_print(refresh: ModuleType, tmp_path: Path) -> None:
    for name, command in refresh.CAPTURES["networks"].items():
        assert refresh.run(command, str(tmp_path)).rstrip() == refresh.output(name), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_picture_and_file_linked_is_there(page: Path) -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)[^)]*\)", CODE.sub("", page.read_text("utf-8")))
    missing = [link for link in links if link not in MADE and not (page.parent / link).exists()]
    assert missing == []


def commands() -> Iterator[tuple[str, str, list[str]]]:
    """Yields page, command and options of every cnnsearch command line in code."""
    for page in PAGES:
        code = "\n".join([*CODE.findall(page.read_text("utf-8"))])
        code += "\n" + "\n".join(re.findall(r"`(cnnsearch [^`]+)`", page.read_text("utf-8")))
        code = re.sub(r"\\\n", " ", code)
        for name, rest in re.findall(
            r"^(?:\s*\$?\s*)cnnsearch (spaces compare|[a-z]+)\b(.*)$", code, re.MULTILINE
        ):
            yield page.name, name, re.findall(r"(?<!\S)--[a-z][a-z-]*", rest.split("#")[0])


def test_every_command_and_option_named_exists() -> None:
    program: Any = typer.main.get_command(app)
    known = {
        name: {opt for p in command.params for opt in [*p.opts, *p.secondary_opts]} | {"--help"}
        for name, command in program.commands.items()
    }
    named = list(commands())
    assert len(named) > 50
    assert [(page, name) for page, name, _ in named if name not in known] == []
    wrong = [(page, name, set(opts) - known[name]) for page, name, opts in named]
    assert [each for each in wrong if each[2]] == []


def test_nothing_is_left_to_be_filled_in() -> None:
    empty = re.compile(r"<!-- (\w+): ([^>]+) -->\s*<!-- /\1 -->")
    assert [found for page in PAGES for found in empty.findall(page.read_text("utf-8"))] == []


def test_pages_and_help_texts_use_plain_words() -> None:
    program: Any = typer.main.get_command(app)
    texts = {f"{page.name}": CODE.sub("", page.read_text("utf-8")) for page in PAGES}
    for name, command in program.commands.items():
        helps = [getattr(parameter, "help", None) or "" for parameter in command.params]
        texts[f"{name} --help"] = "\n".join([command.help, *helps])
    found = [(place, text) for place, each in texts.items() for text in PRIVATE.findall(each)]
    assert found == []


def calls() -> Iterator[tuple[str, ast.Attribute, ast.Call | None]]:
    """Yields page, `cnnsearch.NAME` and its call, if it is called, of every example in Python."""
    for page in PAGES:
        for block in re.findall(
            r"(?:^ {4}.*\n|^\n(?= {4}))+", page.read_text("utf-8"), re.MULTILINE
        ):
            try:
                tree = ast.parse(textwrap.dedent(block))
            except SyntaxError:
                continue
            called = {id(n.func): n for n in ast.walk(tree) if isinstance(n, ast.Call)}
            for node in ast.walk(tree):
                if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "cnnsearch":
                    yield page.name, node, called.get(id(node))


def test_python_examples_call_what_exists_with_arguments_that_exist() -> None:
    named = list(calls())
    assert len(named) > 5
    for page, node, call in named:
        target = getattr(cnnsearch, node.attr)
        if call is not None:
            keywords = {k.arg: None for k in call.keywords if k.arg and k.arg not in GROUPS}
            inspect.signature(target).bind_partial(*call.args, **keywords)
        assert node.attr in cnnsearch.__all__, page
