"""Searches that start from trained weights: what is loaded, what is trained, what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnsearch.engine.initial_weights import (
    FILE,
    check_same_weights,
    find_pretrained,
)
from cnnsearch.engine.run_data import load_data
from cnnsearch.engine.run_manifest import check_same_settings, read_pixel_statistics, read_settings
from cnnsearch.errors import DataError, RunError
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.space.files import list_published_files
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training import checkpoint

# Keras's own saving converts its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


NETWORK = "mobilenet-v1-0.25"


LARGE = (pytest.mark.slow, pytest.mark.networks)


RECIPE = "recipe: {epochs: 1, batch_size: 8, learning_rate: {log: [1.0e-4, 1.0e-2]}}\n"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An application with random weights and statistics, saved as its users save it."""
    from cnnsearch.training.pretrained import load_application

    model = load_application(NETWORK)
    rng = np.random.default_rng(3)
    for variable in model.weights:  # betas above zero keep a random network's rectifiers open
        if variable.name in ("beta", "moving_variance"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    file = tmp_path_factory.mktemp("weights") / "mine.weights.h5"
    model.save_weights(file)
    return file


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 15 small pictures each: brighter on the left, or on the right."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 150, 40)[None, :, None]
    for name, light in {"left": ramp[:, ::-1], "right": ramp}.items():
        (folder / name).mkdir()
        for i in range(15):
            pixels = light + rng.uniform(0, 100, (40, 40, 3))
            Image.fromarray(pixels.astype("uint8")).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def run(saved: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A search for the learning rate of the head alone, through the command line."""
    runs = tmp_path_factory.mktemp("runs")
    space = runs / "mine.yaml"
    space.write_text(list_published_files()[NETWORK].read_text("utf-8") + RECIPE)
    done = command(
        *("search", space, "--data", photos, "--weights", saved, "--freeze", "--image", 32),
        *("--trials", 1, "--name", "r", "--runs", runs, "--plain"),
    )
    assert done.returncode == 0, done.stderr
    assert "Loading the weights of mobilenet-v1-0.25" in done.stdout
    return RunDirectory.open(runs, "r")


def command(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "cnnsearch", *map(str, arguments)],
        capture_output=True, text=True, timeout=300, env={**os.environ, **environment},
    )  # fmt: skip


def trained(run: RunDirectory) -> dict[str, Any]:
    (trial,) = run.db.get_trials()
    best = checkpoint.read(run.trial_dir(trial.id) / checkpoint.BEST)
    assert best is not None
    return dict(zip(best.header["paths"], best.arrays, strict=True))


def values(tensor: Any) -> np.ndarray:
    return tensor.numpy() if hasattr(tensor, "numpy") else np.asarray(tensor)


@pytest.mark.programs
def test_a_frozen_body_is_that_of_the_file(run: RunDirectory, saved: Path) -> None:
    from cnnsearch.training.pretrained import load_application
    from cnnsearch.training.weight_copy import list_weights

    found = trained(run)
    body = [array for path, array in found.items() if not path.startswith("head")]
    given = [values(w.variable) for w in list_weights(load_application(NETWORK, saved))][:-2]
    assert len(body) == len(given) == 135
    for ours, theirs in zip(body, given, strict=True):
        np.testing.assert_array_equal(ours, theirs.reshape(ours.shape))


@pytest.mark.programs
def test_the_head_is_new_and_of_the_datas_classes(run: RunDirectory) -> None:
    found = {path: a for path, a in trained(run).items() if path.startswith("head")}
    assert [array.shape for array in found.values()] == [(256, 2), (2,)]
    assert np.abs(found["head.dense/bias"]).min() > 0, "a bias begins at zero and is trained"
    (trial,) = run.db.get_trials()
    assert trial.architecture["input"] == [32, 32, 3]
    assert trial.architecture["classes"] == 2
    assert 1e-4 <= trial.recipe["learning_rate"] <= 1e-2


@pytest.mark.programs
def test_pixels_are_those_of_the_application(run: RunDirectory) -> None:
    mean, std = read_pixel_statistics(run)
    assert mean == pytest.approx([0.5] * 3, abs=1e-6)
    assert std == pytest.approx([0.5] * 3, abs=1e-6)
    assert run.manifest["dataset"]["mean"] != mean


@pytest.mark.slow
@pytest.mark.programs
def test_the_export_computes_what_was_trained(run: RunDirectory, tmp_path: Path) -> None:
    from cnnsearch.exporters.pipeline import export

    (trial,) = run.db.get_trials()
    result = export(run, "best", tmp_path / "out")
    assert result.largest_difference < 1e-4
    assert result.compared > 0

    from cnnsearch.exporters.inputs import ExportRequest, build_job
    from cnnsearch.exporters.serving_model import build_network

    split = validation(run)
    size = tuple(run.manifest["dataset"]["image"])
    job = build_job(run, trial, ExportRequest((), None, None), size, tmp_path)
    answers = build_network(job, size).predict(split.images(), verbose=0).argmax(axis=1)
    assert float((answers == split.labels()).mean()) == pytest.approx(trial.score)


def validation(run: RunDirectory) -> Any:
    settings = read_settings(run)
    return load_data(settings, SearchSpace.from_text(run.space_text), run.path.parent).validation


@pytest.mark.slow
@pytest.mark.programs
def test_a_run_continues_without_the_weight_file(
    run: RunDirectory, saved: Path, tmp_path: Path
) -> None:
    away = saved.rename(tmp_path / "moved.weights.h5")
    try:
        done = command("resume", "r", "--trials", 2, "--runs", run.path.parent, "--plain")
    finally:
        away.rename(saved)
    assert done.returncode == 0, done.stderr
    assert [t.status for t in run.db.get_trials()] == ["completed", "completed"]


@pytest.mark.programs
def test_the_run_keeps_to_its_weights(run: RunDirectory, saved: Path, tmp_path: Path) -> None:
    asked = read_settings(run)
    check_same_settings(run, asked.replace(image="32x32"))
    for change in ({"weights": "imagenet"}, {"freeze": False}, {"image": "64"}):
        with pytest.raises(RunError, match=f"another value of --{next(iter(change))}"):
            check_same_settings(run, asked.replace(**change))
    other = tmp_path / "other.h5"
    other.write_bytes(b"other")
    check_same_weights(run, asked)
    with pytest.raises(RunError, match=r"other\.h5 has changed"):
        check_same_weights(run, asked.replace(weights=str(other)))


@pytest.mark.programs
def test_a_run_without_its_weights_is_reported(run: RunDirectory) -> None:
    before = find_pretrained(run)
    assert before is not None
    assert before.freeze
    away = (run.path / FILE).rename(run.path / "elsewhere.npz")
    try:
        with pytest.raises(RunError, match=r"pretrained\.npz is gone"):
            find_pretrained(run)
    finally:
        away.rename(run.path / FILE)


@pytest.mark.slow
def test_nothing_is_left_of_a_download_that_fails(photos: Path, tmp_path: Path) -> None:
    nowhere = {"https_proxy": "http://127.0.0.1:9", "KERAS_HOME": str(tmp_path / "keras")}
    done = command(
        *("search", NETWORK, "--data", photos, "--weights", "imagenet", "--trials", 1),
        *("--image", 32, "--name", "r", "--runs", tmp_path / "runs", "--plain"),
        **nowhere,
    )
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "ImageNet weights cannot be downloaded: URL fetch failure" in done.stderr
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == [".cache"]


def test_weights_of_another_width_name_the_first_layer(saved: Path, tmp_path: Path) -> None:
    from cnnsearch.training.pretrained import save_pretrained

    with pytest.raises(DataError, match=r"'conv1' \(kernel\) needs 3x3x3x16.* has 3x3x3x8"):
        save_pretrained("mobilenet-v1-0.5", str(saved), tmp_path / "out.npz")


@pytest.mark.programs
def test_a_run_of_before_knows_no_weights(run: RunDirectory) -> None:
    old = dict(run.manifest["identity"])
    for key in ("weights", "freeze", "image"):
        del old[key]
    asked = read_settings(run)
    before = RunDirectory(run.path, {"identity": json.loads(json.dumps(old))}, run.space_text)
    check_same_settings(before, asked.replace(weights=None, freeze=False, image=None))
    with pytest.raises(RunError, match="--weights"):
        check_same_settings(before, asked.replace(freeze=False, image=None))
