"""Predicting image files with exports: the model card's snippets, folders, CSV, files to refuse."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnnsearch.errors import CnnsearchError
from cnnsearch.exporters import prediction
from cnnsearch.exporters.formats.base import LoadedModel
from cnnsearch.exporters.prediction import ExportFacts, list_images, predict
from tests.cli.program import run as cnnsearch
from tests.exporters.made import made_run

pytestmark = pytest.mark.programs

pytest.importorskip("onnxruntime")
pytest.importorskip("ai_edge_litert")
CLASSES = ("blue", "green", "red")
ROTATED = 6
"""The EXIF orientation of a photograph taken with the camera turned by 90 degrees."""


def write_photo(path: Path, main: int, rng: np.random.Generator, size: tuple[int, int]) -> Path:
    """Writes a noisy photograph with a gradient in one colour."""
    pixels = rng.uniform(0, 90, (*size, 3))
    pixels[..., main] += np.linspace(0, 160, size[0])[:, None]
    exif = Image.Exif()
    exif[0x0112] = ROTATED
    Image.fromarray(pixels.astype("uint8")).save(path, quality=95, exif=exif)
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export in every format of a network for colour photographs, with one of them beside it."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for index, name in enumerate(CLASSES):
        (root / "data" / name).mkdir(parents=True)
        for number in range(12):
            write_photo(root / "data" / name / f"{number}.jpg", 2 - index, rng, (20, 16))
    made_run(root / "runs", (0.5,), str(root / "data")).close()
    command = [sys.executable, "-m", "cnnsearch", "export", "--out", "out", "--format", "all"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (root / "stdout.txt").write_text(done.stdout)
    (root / "stderr.txt").write_text(done.stderr)
    write_photo(root / "out" / "photo.jpg", 0, rng, (400, 300))
    return root / "out"


@pytest.fixture(autouse=True)
def deadline() -> Iterator[None]:
    """Ends a test that reads a file without an end."""
    signal.alarm(500)
    yield
    signal.alarm(0)


def test_an_export_shows_its_steps_and_that_it_had_few_images(exported: Path) -> None:
    steps = (exported.parent / "stderr.txt").read_text().splitlines()
    assert steps[0] == "Writing SavedModel, Keras, LiteRT, ONNX ..."
    assert [step.split(" on ")[0] for step in steps[1:]] == [
        f"Verifying {name}" for name in ("SavedModel", "Keras", "LiteRT", "ONNX")
    ]
    output = (exported.parent / "stdout.txt").read_text()
    assert "images to verify on (fewer than 200)" in output


def probabilities_of(model: Path, photo: Path) -> Any:
    (found,) = predict(model, [photo], len(CLASSES))
    assert found.error == ""
    return np.array([dict(found.classes)[name] for name in CLASSES])


def weigh_halves(images: Any) -> Any:
    """A model whose classes are the halves of an image: its probabilities, their brightness."""
    halves = np.stack([images[:, :, :4].sum((1, 2, 3)), images[:, :, 4:].sum((1, 2, 3))], axis=1)
    return (halves / halves.sum(axis=1, keepdims=True)).astype(np.float32)


def test_probabilities_are_averaged_over_the_mirror_image_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = ExportFacts(class_names=["left", "right"], input=(8, 8, 1))
    form: Any = SimpleNamespace(check_installed=list)
    monkeypatch.setattr(prediction, "find_model", lambda path: (path, form))
    monkeypatch.setattr(prediction, "read_facts", lambda path, form: facts)
    monkeypatch.setattr(prediction, "_load", lambda path, form: LoadedModel(weigh_halves, None))
    pixels = np.full((8, 8), 50, np.uint8)
    pixels[:, :4] = 150
    Image.fromarray(pixels).save(tmp_path / "left.png")
    for mirror, expected in ((False, 0.75), (True, 0.5)):
        (found,) = predict("x", [tmp_path / "left.png"], 2, mirror)
        assert dict(found.classes) == pytest.approx({"left": expected, "right": 1 - expected})


def run_snippet(code: str, folder: Path) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", code + "\nnp.save('probabilities.npy', probabilities)"],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return np.load(folder / "probabilities.npy")[0]


def read_snippets(exported: Path) -> list[str]:
    card = (exported / "MODEL_CARD.md").read_text("utf-8")
    return re.findall(r"```python\n(.*?)```", card, re.DOTALL)


@pytest.mark.parametrize("number", range(4))
def test_the_model_cards_snippets_predict_what_predict_does(exported: Path, number: int) -> None:
    snippets = read_snippets(exported)
    assert len(snippets) == 4
    file = ("1", "model.keras", "model.tflite", "model.onnx")[number]
    assert f'"{file}"' in snippets[number]
    expected = probabilities_of(exported / file, exported / "photo.jpg")
    found = run_snippet(snippets[number], exported)
    assert np.abs(found - expected).max() < 1e-4


def test_the_documentations_example_predicts_what_predict_does(exported: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "exports.md").read_text("utf-8")
    (code,) = re.findall(r"^    import numpy as np\n(?:(?:    .*)?\n)*", text, re.MULTILINE)
    for before, after in (("224", "8"), ("448", "16"), ("exports/photos/1", "1")):
        code = code.replace(before, after)
    expected = probabilities_of(exported / "1", exported / "photo.jpg")
    assert np.abs(run_snippet(textwrap.dedent(code), exported) - expected).max() < 1e-4


def test_without_the_orientation_the_answer_is_another(exported: Path) -> None:
    code = read_snippets(exported)[3].replace("ImageOps.exif_transpose(picture)", "picture")
    expected = probabilities_of(exported / "model.onnx", exported / "photo.jpg")
    assert np.abs(run_snippet(code, exported) - expected).max() > 1e-3


def test_what_is_no_regular_file_is_named_and_the_rest_is_classified(
    exported: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "text.jpg").write_text("hello")
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(300 * 2**20)
    photo = exported / "photo.jpg"
    names = [tmp_path / "pipe.jpg", photo, "/dev/zero", tmp_path, tmp_path / "text.jpg",
             tmp_path / "huge.jpg", tmp_path / "nowhere.jpg", photo]  # fmt: skip
    found = list(predict(exported, names, 1))
    errors = [each.error for each in found]
    assert [each.image for each in found] == [str(name) for name in names]
    assert errors[1] == errors[7] == "" and found[1].classes == found[7].classes != ()
    assert errors[0] == errors[2] == errors[3] == "not a regular file"
    assert errors[4] == "not a JPEG, PNG, BMP, WebP or GIF image"
    assert errors[5] == "300 MB, more than 256 MB"
    assert errors[6] == "no such file or directory"


def tamper(model: Path, facts: Any) -> None:
    """Replaces the facts of an ONNX file."""
    import onnx

    content = onnx.load(model)
    onnx.helper.set_model_props(content, {"cnnsearch": json.dumps(facts)})
    onnx.save(content, model)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"class_names": ["a", "b"], "input": [8, 8, 3]}, "expected finite probabilities of shape"),
        ({"class_names": ["a", "b", "c"], "input": [8, 8, 1]}, "cannot be run"),
        ({"class_names": ["a", "b", "c"], "input": [8, 8, 2]}, "input.2: Input should be 1 or 3"),
        ({"class_names": ["a", "b", "c"], "input": [8, 10**9, 3]}, "input.1: Input should be less"),
        ({"class_names": ["a", "b", "c"]}, "input: Field required"),
        ({"class_names": [1, 2, 3], "input": [8, 8, 3]}, "class_names.0: Input should be a valid"),
        (["no", "object"], "not an export of cnnsearch"),
    ],
)
def test_a_tampered_export_is_refused_in_one_line(
    exported: Path, tmp_path: Path, facts: Any, message: str
) -> None:
    model = Path(shutil.copy(exported / "model.onnx", tmp_path))
    tamper(model, facts)
    with pytest.raises(CnnsearchError) as caught:
        list(predict(model, [exported / "photo.jpg"]))
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert str(model) in str(caught.value)


@pytest.mark.parametrize("file", ["model.keras", "model.tflite", "model.onnx", "export.json"])
def test_a_truncated_export_is_refused_in_one_line(
    exported: Path, tmp_path: Path, file: str
) -> None:
    content = (exported / file).read_bytes()
    (tmp_path / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(CnnsearchError) as caught:
        list(predict(tmp_path if file == "export.json" else tmp_path / file, [tmp_path / "x.png"]))
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_a_damaged_saved_model_and_onnx_file_are_refused_without_other_output(
    exported: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(exported / "1", tmp_path / "1")
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"no protocol buffer")
    content = (exported / "model.onnx").read_bytes()
    assert b'"run":' in content
    (tmp_path / "model.onnx").write_bytes(content.replace(b'"run":', b'"r\x9bn":'))
    for name in ("1", "model.onnx"):
        with pytest.raises(CnnsearchError) as caught:
            list(predict(tmp_path / name, [exported / "photo.jpg"]))
        assert "\n" not in str(caught.value) and str(tmp_path / name) in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A folder of two photographs, one without a suffix, a damaged one, and a text."""
    (tmp_path / "in" / "more").mkdir(parents=True)
    shutil.copy(exported / "photo.jpg", tmp_path / "in" / "more" / "a.jpg")
    shutil.copy(exported / "photo.jpg", tmp_path / "in" / "b_as_a_browser_saves_it")
    (tmp_path / "in" / "bad.jpg").write_text("hello")
    (tmp_path / "in" / "labels.csv").write_text("a,b\n")
    return tmp_path / "in"


def test_folders_are_searched_for_images(folder: Path, tmp_path: Path) -> None:
    images, others = list_images([folder, folder / "labels.csv"])
    names = ["b_as_a_browser_saves_it", "bad.jpg", "more/a.jpg", "labels.csv"]
    assert [str(path.relative_to(folder)) for path in images] == names
    assert others == [folder / "labels.csv"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(CnnsearchError, match="empty: contains no images"):
        list_images([tmp_path / "empty"])


def test_predict_continues_past_a_bad_file_and_ends_with_exit_code_1(
    exported: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cnnsearch("predict", str(exported), str(folder), "--top-k", "1") == 1
    output = capsys.readouterr()
    assert output.out.count("\n") == 2 and "more/a.jpg: " in output.out
    lines = output.err.splitlines()
    assert lines[0] == f"Left out 1 file that is not an image: {folder / 'labels.csv'}"
    assert lines[1] == f"{folder / 'bad.jpg'}: not a JPEG, PNG, BMP, WebP or GIF image"
    assert lines[2] == "1 of 3 files could not be classified."
    (folder / "bad.jpg").unlink()
    assert cnnsearch("predict", str(exported), str(folder)) == 0


def test_predictions_are_written_as_csv(
    exported: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = folder.parent / "out.csv"
    arguments = ("predict", str(exported), str(folder), "--top-k", "2", "--csv", str(out))
    assert cnnsearch(*arguments) == 1
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["error"] for row in rows].count("") == 2
    assert rows[0]["class_1"] in CLASSES and rows[0]["class_2"] in CLASSES
    assert float(rows[0]["probability_1"]) >= float(rows[0]["probability_2"]) > 0
    assert rows[1]["class_1"] in ("", None) and "not a JPEG" in rows[1]["error"]
    assert f"Wrote {out}" in capsys.readouterr().out
    assert cnnsearch(*arguments[:-1], str(folder)) == 2
    assert "--csv" in capsys.readouterr().err
