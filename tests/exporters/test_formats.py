"""Every export format of a trained network, examined with the format's own tools."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("ai_edge_litert")

pytestmark = pytest.mark.slow
SPACE = """
input: [12, 12, 1]
classes: 10
stem: [{type: conv, filters: 16}]
stages: [{block: basic, width: 32, stride: 2}]
recipe: {epochs: 6, batch_size: 64}
"""
FILES = {
    *("MODEL_CARD.md", "architecture.json", "class_names.txt", "export.json", "1", "model.keras"),
    *(f"model{kind}.{end}" for kind in ("", "-int8", "-float16") for end in ("onnx", "tflite")),
}


def command(where: Path, *arguments: str, **environment: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "cnnsearch", *arguments],
        cwd=where, capture_output=True, text=True, timeout=900, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if "--json" in arguments else {}


@pytest.fixture(scope="module", params=["tensorflow", "jax"])
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """A network of a search by macro F1, trained on either backend, in all formats."""
    where = tmp_path_factory.mktemp(request.param)
    backend = {"KERAS_BACKEND": request.param}
    (where / "s.yaml").write_text(SPACE)
    search = ("search", "s.yaml", "--trials", "1", "--name", "r", "--objective", "macro_f1")
    command(where, *search, "--quiet", **backend)
    arguments = ("export", "--run", "r", "--out", "out", "--format", "all", "--json")
    done = command(where, *arguments, "--quantize", "float32,float16,int8", **backend)
    return where / "out", done


def test_every_format_computes_what_the_keras_model_does(
    exported: tuple[Path, dict[str, Any]],
) -> None:
    folder, done = exported
    assert {path.name for path in folder.iterdir()} == FILES
    assert done["compared"] == done["test_images"] == 359
    assert done["test_accuracy"] > 0.7 and done["largest_difference"] < 1e-4
    sizes = {each["file"]: each["bytes"] for each in done["formats"]}
    assert sizes["model-int8.tflite"] < sizes["model.tflite"] / 1.5
    assert sizes["model-float16.onnx"] < sizes["model.onnx"] / 1.5
    assert all(each["latency_ms"] > 0 for each in done["formats"])


def test_the_files_carry_the_facts(exported: tuple[Path, dict[str, Any]]) -> None:
    import onnx

    folder, done = exported
    with zipfile.ZipFile(folder / "model.tflite") as archive:
        assert archive.read("labels.txt").decode().split() == list("0123456789")
        kept = json.loads(archive.read("cnnsearch.json"))
    with zipfile.ZipFile(folder / "model.keras") as archive:
        facts = json.loads(archive.read("cnnsearch.json"))
    assert kept == {key: facts[key] for key in kept} and kept["run"] == "r"
    assert facts["metrics"]["test_accuracy"] == done["test_accuracy"]
    assert facts["objective"] == "macro_f1" and len(facts["mlflow_run_id"]) == 32
    props = {p.key: p.value for p in onnx.load(folder / "model.onnx").metadata_props}
    assert json.loads(props["class_names"]) == list("0123456789")
    assert json.loads(props["architecture"])["stem"] == [{"type": "conv", "filters": 16}]
    assert (folder / "1" / "assets.extra" / "cnnsearch.json").is_file()
    card = (folder / "MODEL_CARD.md").read_text("utf-8")
    for words in ("95 % interval", "Ranked by macro F1", "onnxruntime", facts["mlflow_run_id"]):
        assert words in card


def test_litert_metadata_names_input_and_labels(exported: tuple[Path, dict[str, Any]]) -> None:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs((exported[0] / "model-int8.tflite").read_bytes(), 0)
    entries = [model.Metadata(i) for i in range(model.MetadataLength())]
    entry = next(e for e in entries if e.Name() == b"TFLITE_METADATA")
    data = model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
    assert data[4:8] == b"M001"
    for text in (b"labels.txt", b"image", b"probabilities", b"1.0.0"):
        assert text in data


def test_the_saved_model_is_what_tensorflow_serving_expects(
    exported: tuple[Path, dict[str, Any]],
) -> None:
    tool = Path(sys.executable).with_name("saved_model_cli")
    shown = subprocess.run(
        [tool, "show", "--dir", exported[0] / "1", "--tag_set", "serve",
         "--signature_def", "serving_default"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert "dtype: DT_UINT8" in shown.stdout and "shape: (-1, -1, -1, 1)" in shown.stdout
    assert "shape: (-1, 10)" in shown.stdout


def test_an_empty_batch_gets_an_empty_answer(exported: tuple[Path, dict[str, Any]]) -> None:
    from cnnsearch.exporters.formats.savedmodel import SavedModel

    model = SavedModel().load(exported[0] / "1")
    assert model.batch is None
    assert model.predict(np.zeros((0, 12, 12, 1), "uint8")).shape == (0, 10)


def test_images_of_other_sizes_are_resized_alike(exported: tuple[Path, dict[str, Any]]) -> None:
    from cnnsearch.exporters.prediction import find_model

    images = np.random.default_rng(0).integers(0, 256, (4, 31, 20, 1), dtype=np.uint8)
    models = [find_model(exported[0] / name) for name in ("1", "model.keras", "model.onnx")]
    found = [format_.load(path).predict(images) for path, format_ in models]
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)
    np.testing.assert_allclose(found[0], found[2], atol=1e-4)


def test_every_format_predicts_the_same(exported: tuple[Path, dict[str, Any]]) -> None:
    from PIL import Image

    from cnnsearch.data import load
    from cnnsearch.exporters.prediction import predict

    folder, _ = exported
    data = load("digits", image=(12, 12), channels=None, cache=folder.parent / "runs/.cache")
    picture = folder.parent / "digit.png"
    Image.fromarray(data.validation.images()[0, ..., 0]).save(picture)
    names = [".", "1", "model.keras", "model.onnx", "model.tflite", "model-int8.onnx"]
    found = [next(iter(predict(folder / name, [picture], 3))).classes for name in names]
    assert {classes[0][0] for classes in found} == {found[0][0][0]}
    assert all(len(classes) == 3 for classes in found)


def test_fixed_sizes(exported: tuple[Path, dict[str, Any]]) -> None:
    where = exported[0].parent
    arguments = ("export", "--run", "r", "--out", "fixed", "--format", "all", "--json")
    done = command(where, *arguments, "--image", "20x24", "--batch", "3")
    assert {each["batch"] for each in done["formats"]} == {3}
    assert done["largest_difference"] < 1e-4
