import subprocess
import sys
from pathlib import Path

import pytest

from cnnsearch.data import load
from cnnsearch.errors import DataError


def refusal(source: str, cache: Path, **options: object) -> str:
    settings: dict[str, object] = {"image": (8, 8), "channels": None, "cache": cache} | options
    with pytest.raises(DataError) as caught:
        load(source, **settings)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = (
        "import sys, cnnsearch.data; "
        "print([m for m in ('tensorflow', 'keras', 'sklearn', 'PIL', 'numpy', 'mlflow') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_loading_images_imports_no_framework(photos: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from cnnsearch.data import load; "
        f"load({str(photos)!r}, image=(8, 8), channels=None, cache=Path({str(photos)!r} + '-c'))"
        ".test.images(); "
        "print([m for m in ('tensorflow', 'keras', 'sklearn', 'jax') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_an_unknown_name_gets_the_nearest_and_the_forms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flowers").mkdir()
    message = refusal("digts", tmp_path)
    assert "unknown data set 'digts', did you mean 'digits'?" in message
    assert "a .zip or .tar of class folders, a folder of class folders" in message
    assert "'tfds:mnist'" in refusal("mnist", tmp_path)
    assert "did you mean 'flowers'?" in refusal("flower", tmp_path)
    assert "unknown data set 'csv:x.csv'" in refusal("csv:x.csv", tmp_path)


def test_missing_folders_and_files(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    message = refusal(str(tmp_path / "fotos"), tmp_path)
    assert "does not exist, did you mean 'photos'?" in message
    assert "no such file" in refusal(f"npz:{tmp_path}/none.npz", tmp_path)
    (tmp_path / "list.doc").write_text("a,b")
    assert "is a file; a data source is" in refusal(str(tmp_path / "list.doc"), tmp_path)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"image": (0, 8)}, "image must be a height and a width of at least 1"),
        ({"channels": 2}, "channels must be 1 or 3, got 2"),
        ({"validation": 0.0}, "validation must be above 0"),
        ({"validation": 0.6, "test": 0.4}, "both together below 1, got 0.6 and 0.4"),
    ],
)
def test_options_out_of_range(tmp_path: Path, options: dict[str, object], rule: str) -> None:
    assert rule in refusal("digits", tmp_path, **options)


def test_progress_is_reported(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    load(
        "digits",
        image=(8, 8),
        channels=1,
        cache=tmp_path,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[0][0] == 100 and seen[-1][0] == seen[-1][1]
    assert len(seen) == len(set(seen))
