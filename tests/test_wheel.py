"""The wheel, built from the sdist and installed where no checkout is: `pytest -m slow`."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
SPACES = sorted(path.name for path in (ROOT / "search_spaces").glob("*.yaml"))


def run(*command: str | Path, cwd: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    return out


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("cnnsearch-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel in it that sees this one's dependencies, not its checkout."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    # Path files in a folder that a path file names are not read: no editable install comes in.
    purelib = Path(sysconfig.get_path("purelib", "venv", {"base": str(home)}))
    (purelib / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    arguments = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "--python", python, "install", *arguments, wheel, cwd=home)
    return home


def test_it_holds_the_package_the_spaces_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.split("/")[0] for name in names}
    assert {f for f in folders if not f.endswith(".dist-info")} == {"cnnsearch"}
    assert "cnnsearch/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert SPACES
    assert {f"cnnsearch/search_spaces/{space}" for space in SPACES} <= set(names)


def test_the_sdist_can_be_tested_and_built(dist: Path) -> None:
    (path,) = dist.glob("cnnsearch-*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {"pyproject.toml", "LICENSE", "README.md", "Makefile", "constraints.txt"} <= names
    assert {"tests/test_wheel.py", "cnnsearch/py.typed", "search_spaces/tiny.yaml"} <= names
    assert not {name for name in names if name.startswith(("runs/", ".venv"))} - {"runs/README.md"}


def test_the_installed_command_runs_away_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    where = "import cnnsearch; print(cnnsearch.__file__)"
    assert run(installed / "bin" / "python", "-c", where, cwd=tmp_path).startswith(str(installed))
    assert "0.1.0" in run(installed / "bin" / "cnnsearch", "--version", cwd=tmp_path)
    assert "residual" in run(installed / "bin" / "cnnsearch", "check", "residual", cwd=tmp_path)


def test_every_space_that_ships_is_found_by_name(installed: Path, tmp_path: Path) -> None:
    program = (
        "import sys, cnnsearch\nfor n in sys.argv[1:]: print(cnnsearch.SearchSpace.load(n).name)"
    )
    names = [space.removesuffix(".yaml") for space in SPACES]
    found = run(installed / "bin" / "python", "-c", program, *names, cwd=tmp_path).split()
    assert found == names
