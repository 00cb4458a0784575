"""What export and predict refuse, in one line, leaving no files behind."""

from contextlib import closing
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnsearch.errors import CnnsearchError
from cnnsearch.exporters.formats import Target, find_format, parse_targets
from cnnsearch.exporters.pipeline import export
from cnnsearch.exporters.prediction import predict
from cnnsearch.exporters.source import choose_trial
from cnnsearch.exporters.verify import compare
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.training.litert import resize_matrix

from .made import made_run


@pytest.fixture
def run(tmp_path: Path) -> Any:
    with closing(made_run(tmp_path / "runs", (0.9, 0.8, 0.7))) as made:
        yield made


def refusal(*arguments: Any, **options: Any) -> str:
    with pytest.raises(CnnsearchError) as caught:
        export(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_unknown_formats_and_quantizations_are_refused() -> None:
    with pytest.raises(CnnsearchError, match="there is no 'tflite', did you mean 'litert'"):
        parse_targets("tflite", None)
    with pytest.raises(CnnsearchError, match="there is no 'int4', did you mean 'int8'"):
        parse_targets("all", "int4")
    with pytest.raises(CnnsearchError, match="SavedModel cannot be quantized"):
        parse_targets("savedmodel", "int8")


def test_all_formats_have_each_its_file() -> None:
    files = [target.file for target in parse_targets("all", "float32,int8")]
    assert files == [
        *("1", "model.keras", "model.tflite", "model-int8.tflite"),
        *("model.onnx", "model-int8.onnx"),
    ]


def test_what_is_not_installed_is_named_with_its_extra(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = util.find_spec
    hidden = ("onnxruntime", "ai_edge_litert")
    hide = lambda name, *more: None if name in hidden else known(name, *more)  # noqa: E731
    monkeypatch.setattr(util, "find_spec", hide)
    out = tmp_path / "out"
    assert "pip install 'cnnsearch[onnx]'" in refusal(run, out=out, formats="onnx")
    assert "pip install 'cnnsearch[litert]'" in refusal(run, out=out, formats="litert")


def test_a_damaged_checkpoint_is_named_and_the_next_best_offered(
    run: RunDirectory, tmp_path: Path
) -> None:
    weights = run.path / "trials" / "0001" / "best.npz"
    weights.write_bytes(weights.read_bytes()[:100])
    (run.path / "trials" / "0002" / "best.npz").unlink()
    message = refusal(run, out=tmp_path / "out", formats="onnx")
    assert str(weights) in message and "not a checkpoint" in message
    assert "the next best is 0003: cnnsearch export 0003 --run made" in message
    assert not (tmp_path / "out").exists()


def test_trials_of_others(run: RunDirectory) -> None:
    assert choose_trial(run, "made:2").id == "0002"
    with pytest.raises(CnnsearchError, match="belongs to run 'other', not 'made'"):
        choose_trial(run, "other:1")
    with pytest.raises(CnnsearchError, match="an MLflow run's id"):
        choose_trial(run, "6a3f1a30e2f44454a0a5a123157cf621")


def test_a_folder_that_is_there_stays(run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert "--force replaces it" in refusal(run, out=tmp_path / "out")
    (tmp_path / "file").write_text("")
    assert "is a file" in refusal(run, out=tmp_path / "file", force=True)


def test_sizes_that_are_none(run: RunDirectory) -> None:
    assert refusal(run, batch=0) == "--batch: expected at least 1, got 0"
    assert refusal(run, image="wide").startswith("--image: expected a side in pixels")


@pytest.mark.parametrize("quantize", ["float32", "int8"])
def test_another_function_is_no_export(quantize: str, tmp_path: Path) -> None:
    before = np.eye(10, dtype="float32")[np.arange(300) % 10]
    wrong = before.copy()
    wrong[:4] = np.roll(before[:4], 1, axis=1)
    file = tmp_path / "model.onnx"
    file.write_bytes(b"x")
    labels = before.argmax(axis=1)
    target = Target(find_format("onnx"), quantize)
    with pytest.raises(CnnsearchError, match=r"more than 0\.0001|falls from 100\.00% to 98"):
        compare(target, file, wrong, 1.0, before, labels, 1)
    with pytest.raises(CnnsearchError, match="not numbers"):
        compare(target, file, before * np.nan, 1.0, before, labels, 1)
    assert compare(target, file, before, 1.0, before, labels, 1).agreement == 1


def test_what_is_no_export_and_no_image(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_text("hello")
    (tmp_path / "empty").mkdir()
    for name, words in {
        "bad.onnx": "not an export of cnnsearch",
        "nowhere": "there is no such export",
        "empty": "not a folder that cnnsearch export wrote",
    }.items():
        with pytest.raises(CnnsearchError, match=words) as caught:
            list(predict(tmp_path / name, ["x.png"]))
        assert name in str(caught.value)


def test_resize_matrices_are_pillows() -> None:
    from PIL import Image

    pixels = np.random.default_rng(0).uniform(0, 255, (11, 17)).astype("float32")
    picture = Image.fromarray(pixels).resize((24, 5), Image.Resampling.BILINEAR)
    ours = resize_matrix(11, 5) @ pixels @ resize_matrix(17, 24).T
    np.testing.assert_allclose(np.asarray(picture), ours, atol=1e-3)
