"""The package's shape, beside import-linter's contracts: lengths, and how light a start is."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "cnnsearch"
LONGEST = 300

# What a command that trains nothing never imports; `import cnnsearch` neither.
HEAVY = (
    *("tensorflow", "keras", "keras_tuner", "mlflow", "jax", "ray"),
    *("tensorflow_datasets", "sklearn", "scipy", "pandas", "pyarrow", "matplotlib"),
)


@cache
def sources() -> dict[str, ast.Module]:
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def statements(node: ast.AST, when: str = "loading") -> Iterator[tuple[ast.stmt, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, when
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from statements(child, "typing")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from statements(child, "called" if when == "loading" else when)
        else:
            yield from statements(child, when)


def targets(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    if isinstance(statement, ast.ImportFrom) and statement.module == "cnnsearch":
        return [f"cnnsearch.{alias.name}" for alias in statement.names]
    return [statement.module or ""] if isinstance(statement, ast.ImportFrom) else []


def test_no_relative_imports() -> None:
    found = [
        f"{file}:{node.lineno}"
        for file, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not found


def test_tensorflow_is_imported_only_when_a_function_needs_it() -> None:
    roots = {"tensorflow", "tensorflow_datasets"}
    eager = [
        f"{file}:{statement.lineno}"
        for file, tree in sources().items()
        for statement, when in statements(tree)
        for target in targets(statement)
        if target.split(".")[0] in roots and when == "loading"
    ]
    assert not eager


def test_modules_are_short() -> None:
    lengths = {
        file: len((PACKAGE / file).read_text(encoding="utf-8").splitlines()) for file in sources()
    }
    assert not {file: lines for file, lines in lengths.items() if lines > LONGEST}


def heavy_modules_after(code: str, cwd: Path) -> tuple[list[str], str]:
    """Runs ``code`` in a fresh interpreter: the heavy libraries it loaded, and its output."""
    report = f"print('\\nHEAVY', *[m for m in {HEAVY!r} if m in sys.modules])"
    program = f"import sys\ntry:\n    {code}\nexcept SystemExit as end:\n"
    program += f"    assert not end.code, end.code\n{report}\n"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=cwd, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    output, _, heavy = done.stdout.rpartition("HEAVY")
    return heavy.split(), output


def test_importing_the_api_loads_no_framework(tmp_path: Path) -> None:
    names = "SearchSpace, Architecture, TrainingRecipe, count"
    heavy, _ = heavy_modules_after(f"from cnnsearch import {names}", tmp_path)
    assert heavy == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["check", "residual"],
        ["cost", "googlenet"],
        ["diff", "resnet-50", "resnet-101"],
    ],
)
def test_a_command_that_trains_nothing_loads_no_framework(
    arguments: list[str], tmp_path: Path
) -> None:
    code = f"sys.argv = ['cnnsearch', *{arguments!r}]; import runpy; "
    code += "runpy.run_module('cnnsearch', run_name='__main__', alter_sys=True)"
    heavy, output = heavy_modules_after(code, tmp_path)
    assert heavy == []
    assert output.strip()
