"""The package's shape: who may import whom, where each dependency enters, how light a start is."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[1] / "cnnsearch"
LONGEST = 300

# A module may import what its arrows reach, directly or on the way. A folder counts as one module.
ARROWS = {
    "__main__": {"cli"},
    "cli": {
        *("search", "report", "export", "checking", "comparing", "lookup", "schema", "display"),
        *("published", "scaled", "scaling_search", "fidelity", "final", "managing"),
        *("inspection", "registering"),
    },
    "registering": {"export", "tracking", "lookup"},
    "inspection": {"data", "machine", "amounts"},
    "fidelity": {"search"},
    "final": {"search", "report", "verify"},
    "search": {"session", "starting", "placing"},
    "placing": {"executor", "settings"},
    "report": {"driver", "settings", "drawing"},
    "export": {"driver", "settings", "verify", "serving"},
    "verify": {"serving", "data"},
    "session": {"driver", "display", "judge", "settings", "starting", "placing"},
    "starting": {"settings", "published", "outcomes"},
    "display": {"watcher", "records"},
    "driver": {"executor", "oracles", "tracking", "watcher", "assignment", "housekeeping"},
    "assignment": {"attempts", "oracles", "rundir"},
    "attempts": {"outcomes", "rundir"},
    "housekeeping": {"checkpoint", "rundir"},
    "watcher": {"oracles", "records"},
    "judge": {"oracles"},
    "executor": {"trial"},
    "oracles": {"trial"},
    "tracking": {"measuring", "rundir", "drawing"},
    "trial": {"training", "model", "outcomes"},
    "outcomes": {"data"},
    "training": {
        *("model", "steps", "checkpoint", "outcomes", "progress", "resources", "transfer"),
        *("fitting", "measuring", "phases", "assembling", "job"),
    },
    "job": {"checkpoint", "outcomes", "recipe"},
    "assembling": {"model", "outcomes", "precision"},
    "fitting": {"losses", "optimizers"},
    "measuring": {"errors"},
    "phases": {"recipe"},
    "precision": {"recipe"},
    "transfer": {"checkpoint", "outcomes"},
    "progress": {"outcomes"},
    "resources": {"errors"},
    "steps": {"augment", "losses", "optimizers"},
    "losses": {"transforms"},
    "transforms": {"errors"},
    "draws": {"recipe"},
    "optimizers": {"recipe"},
    "augment": {"data", "draws"},
    "model": {"keras_layers", "space"},
    "keras_layers": {"blocks"},
    "scaling": {"cost"},
    "settings": {"data", "measuring", "oracles", "rundir", "machine", "space", "lookup"},
    "checking": {"space", "amounts"},
    "comparing": {"costing"},
    "scaling_search": {"search", "report", "lookup"},
    "scaled": {"costing", "space"},
    "costing": {"drawing"},
    "drawing": {"wording"},
    "wording": {"cost"},
    "lookup": {"space", "rundir"},
    "schema": {"space"},
    "pretrained": {"published", "weights", "model", "transfer"},
    "weights": {"errors"},
    "published": {"space"},
    "space": {"scaling", "compiler", "recipe", "yamlfile", "spacefiles"},
    "spacefiles": {"errors"},
    "cost": {"architecture", "amounts"},
    "compiler": {"choices"},
    "recipe": {"architecture", "yamlfile"},
    "architecture": {"blocks", "validation"},
    "choices": {"validation"},
    "blocks": {"errors"},
    "validation": {"errors"},
    "yamlfile": {"errors"},
    "data": {"errors"},
    "checkpoint": {"errors"},
    "rundir": {"beside", "rundb", "runlock", "manifest"},
    "manifest": {"records"},
    "beside": {"errors"},
    "rundb": {"records", "runschema"},
    "runschema": {"errors"},
    "runlock": {"errors"},
    "records": {"errors"},
    "amounts": {"errors"},
    "machine": {"amounts", "resources"},
    "managing": {"rundir"},
    "serving": {"keras_layers"},
    "errors": set(),
}

# Imported against the arrows, and so inside a function only.
FACADES = {
    ("space", "oracles"),  # SearchSpace.hypermodel hands over to the layer above
    *(("validation", model) for model in ("architecture", "blocks", "recipe")),  # hints name keys
}

# Each outside library, and the only modules that may import it.
DOORS = {
    "yaml": {"space", "yamlfile"},
    "mlflow": {"tracking"},
    "ray": {"executor"},
    "keras_tuner": {"oracles"},
    "sqlite3": {"rundb", "runschema"},
    "keras": {
        *("model", "keras_layers", "training", "steps", "losses", "optimizers", "resources"),
        *("trial", "executor", "checkpoint", "export", "oracles", "weights", "pretrained"),
        *("fitting", "transforms", "precision", "final", "serving"),
    },
    "jax": {"steps", "training", "trial", "precision", "final", "export"},
    "tensorflow_datasets": {"data"},
    "pyarrow": {"data"},
    "sklearn": {"data", "final", "report"},
    "PIL": {"data", "inspection"},
    "scipy": {"fidelity", "final"},
    "matplotlib": {"report", "drawing", "inspection", "fidelity", "final", "tracking"},
    "typer": {"cli"},
    "onnx": {"export"},
    "onnxruntime": {"export", "serving"},
    "ai_edge_litert": {"export", "serving"},
    "flatbuffers": {"export"},
    "tensorflow": {
        *("steps", "resources", "training", "trial", "export", "serving", "precision", "final"),
        "tracking",  # in what a registered model runs
    },
}

# What a command that trains nothing never imports; `import cnnsearch` neither.
HEAVY = (
    *("tensorflow", "keras", "keras_tuner", "mlflow", "jax", "ray"),
    *("tensorflow_datasets", "sklearn", "scipy", "pandas", "pyarrow", "matplotlib"),
)


class Import(NamedTuple):
    """One import statement's target, as seen from the module that holds it."""

    where: str
    module: str
    target: str
    when: str  # "loading", "called" (inside a function) or "typing" (under TYPE_CHECKING)


@cache
def sources() -> dict[str, ast.Module]:
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def module_of(file: str) -> str:
    return file.split("/")[0].removesuffix(".py")


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


def imports() -> list[Import]:
    return [
        Import(f"{file}:{statement.lineno}", module_of(file), target, when)
        for file, tree in sources().items()
        for statement, when in statements(tree)
        for target in targets(statement)
    ]


def reach(module: str) -> set[str]:
    below = ARROWS[module]
    return below.union(*(reach(other) for other in below))


def crossings() -> list[tuple[Import, str]]:
    """Every import of one of our modules by another, with the name of the other."""
    own = [(i, i.target.split(".")[1]) for i in imports() if i.target.startswith("cnnsearch.")]
    return [(i, o) for i, o in own if i.module not in (o, "__init__") and o != "__version__"]


def test_every_module_has_its_arrows() -> None:
    unplaced = {module_of(file) for file in sources()} - set(ARROWS) - {"__init__"}
    assert not unplaced, f"say in ARROWS what these may import: {sorted(unplaced)}"


def test_no_relative_imports() -> None:
    found = [
        f"{file}:{node.lineno}"
        for file, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not found


def test_imports_go_one_way() -> None:
    wrong = [
        f"{i.where} imports {other}"
        for i, other in crossings()
        if i.when != "typing"
        and i.module in ARROWS
        and other not in reach(i.module)
        and not (i.when == "called" and (i.module, other) in FACADES)
    ]
    assert not wrong


def test_the_package_itself_loads_none_of_its_modules() -> None:
    loaded = [i for i in imports() if i.module == "__init__" and i.when != "typing"]
    assert [i.where for i in loaded if i.target.split(".")[0] == "cnnsearch"] == []


def test_each_dependency_has_one_door() -> None:
    wrong = [
        f"{i.where} imports {i.target}"
        for i in imports()
        if i.when != "typing" and i.module not in DOORS.get(i.target.split(".")[0], {i.module})
    ]
    assert not wrong


def test_tensorflow_is_imported_only_when_a_function_needs_it() -> None:
    roots = {"tensorflow", "tensorflow_datasets"}
    eager = [i for i in imports() if i.target.split(".")[0] in roots and i.when == "loading"]
    assert not [i.where for i in eager]


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
