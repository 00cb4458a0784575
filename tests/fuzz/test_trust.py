"""What crosses a trust boundary is data: no pickle, no YAML objects, no code, no shell."""

import ast
from functools import cache
from pathlib import Path

import pytest

from cnnsearch.data import load
from cnnsearch.errors import CnnsearchError
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.utils.safe_yaml import read_yaml

PACKAGE = Path(__file__).parents[2] / "cnnsearch"

# Pipes between processes of one search, all of them ours: never a file, never a user's.
OURS = {
    "engine/executors/child.py": {"pickle.loads"},
    "studies/final/predict.py": {"pickle.load"},
    "utils/safe_yaml.py": {"yaml.load"},  # with a subclass of SafeLoader
}
FORBIDDEN = {
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "joblib.load", "torch.load"),
    *("dill.load", "dill.loads", "cloudpickle.load", "cloudpickle.loads", "marshal.loads"),
    *("yaml.load", "yaml.unsafe_load", "yaml.full_load", "pandas.read_pickle", "shelve.open"),
    *("eval", "exec", "os.system", "os.popen", "keras.config.enable_unsafe_deserialization"),
    *("archive.extractall", "shutil.unpack_archive", "tempfile.mktemp"),
}


@cache
def calls() -> tuple[tuple[str, ast.Call, str], ...]:
    return tuple(
        (path.relative_to(PACKAGE).as_posix(), node, ast.unparse(node.func))
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
    )


def said(call: ast.Call, keyword: str) -> str | None:
    return next((ast.unparse(k.value) for k in call.keywords if k.arg == keyword), None)


def test_nothing_is_unpickled_evaluated_or_unpacked() -> None:
    found = [
        f"{file}:{call.lineno} {name}"
        for file, call, name in calls()
        if name in FORBIDDEN and name not in OURS.get(file, set())
    ]
    assert not found


def test_arrays_are_read_without_pickle() -> None:
    loads = [
        (file, call)
        for file, call, name in calls()
        if name in ("np.load", "np.lib.format.read_array")
    ]
    assert len(loads) >= 5
    assert not [f"{f}:{c.lineno}" for f, c in loads if said(c, "allow_pickle") != "False"]


def test_no_shell_reads_what_a_user_wrote() -> None:
    assert not [f"{f}:{c.lineno}" for f, c, _ in calls() if said(c, "shell") not in (None, "False")]


def test_models_are_loaded_in_safe_mode() -> None:
    loads = [(f, c) for f, c, name in calls() if name.endswith(("load_model", "deserialize_model"))]
    keras = [(f, c) for f, c in loads if "mlflow" not in ast.unparse(c.func)]
    assert not [f"{f}:{c.lineno}" for f, c in keras if said(c, "safe_mode") == "False"]


def test_servers_bind_to_loopback() -> None:
    texts = {p: p.read_text("utf-8") for p in PACKAGE.rglob("*.py")}
    assert not [str(path) for path, text in texts.items() if "0.0.0.0" in text]
    assert '"--host", "127.0.0.1"' in (PACKAGE / "runs" / "mlflow" / "ui.py").read_text("utf-8")


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system [touch canary]",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!python/object/new:subprocess.Popen [[touch, canary]]",
    ],
)
def test_yaml_makes_no_objects(text: str, tmp_path: Path) -> None:
    with pytest.raises(CnnsearchError, match=r"^x\.yaml"):
        read_yaml(text, "x.yaml")


@pytest.mark.parametrize("name", ["..", "../x", "/etc", "a/b", ".x", "-x", "a\nb", "", "x" * 129])
def test_names_do_not_leave_their_folders(name: str, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    with pytest.raises(CnnsearchError, match="run name"):
        RunDirectory.create(tmp_path / "runs", name, {}, "")
    run = RunDirectory.create(tmp_path / "runs", "ok", {}, "")
    with pytest.raises(CnnsearchError, match="trial id"):
        run.trial_dir(name)
    run.close()


@pytest.mark.parametrize("source", ["python:../../x", "dataset:../x", "python:/etc", "dataset:"])
def test_names_of_data_do_not_leave_the_cache(source: str, tmp_path: Path) -> None:
    with pytest.raises(CnnsearchError, match="expected hexadecimal digits"):
        load(source, image=(8, 8), channels=None, cache=tmp_path)
