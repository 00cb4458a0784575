"""CONTRIBUTING's recipe for an export format, taken from its text and run."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.exporters.made import made_run
from tests.recipes import apply_recipe

pytestmark = pytest.mark.programs

PROGRAM = """
from pathlib import Path

from cnnsearch import export
from cnnsearch.exporters.prediction import predict

done = export("made", "best", "out", formats="stablehlo")
assert done.largest_difference < 1e-4, done
(each,) = predict(Path("out"), ["digit.png"], 2)
assert each.error == "" and len(each.classes) == 2, each
assert "jax.export.deserialize" in Path("out/MODEL_CARD.md").read_text()
"""


def test_an_export_format_is_one_file_and_one_line(tmp_path: Path) -> None:
    made_run(tmp_path / "runs", (0.5,)).close()
    Image.new("L", (8, 8), 128).save(tmp_path / "digit.png")
    environment = apply_recipe("Adding an export format", tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**environment, "KERAS_BACKEND": "jax"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
