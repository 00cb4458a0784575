"""A search among backbones: their weights, pixels, features, exports, and the final training."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnsearch.engine.backbones import (
    check_same_backbones,
    explain_features,
    find_backbones,
)
from cnnsearch.engine.run_manifest import read_pixel_statistics
from cnnsearch.errors import RunError
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.lookup import find_space
from cnnsearch.space.backbone import Backbone
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training import checkpoint

# Keras's own saving converts its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NETWORK = "mobilenet-v1-0.25"
SPACE = f"""
input: [32, 32, 3]
classes: 2
backbone: {{choice: [{{{NETWORK}: {{weights: mine.weights.h5}}}}, none]}}
stem: [{{type: conv, filters: 4, stride: 4}}]
head: {{dropout: {{choice: [0.0, 0.2]}}}}
recipe: {{epochs: 1, batch_size: 8, trainable: head}}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search by grid over both bodies and both heads, through the command line."""
    from PIL import Image

    from cnnsearch.training.pretrained import load_application

    folder = tmp_path_factory.mktemp("runs")
    model, rng = load_application(NETWORK), np.random.default_rng(3)
    for variable in model.weights:  # betas above zero keep a random network's rectifiers open
        if variable.name in ("beta", "moving_variance"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    model.save_weights(folder / "mine.weights.h5")
    (folder / "s.yaml").write_text(SPACE)
    for name in ("a", "b"):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(12):
            pixels = rng.uniform(0, 255, (40, 40, 3)).astype("uint8")
            Image.fromarray(pixels).save(folder / "photos" / name / f"{i}.png")
    done = command(
        *("search", folder / "s.yaml", "--data", folder / "photos", "--name", "r"),
        *("--strategy", "grid", "--runs", folder, "--plain", "--workers", 1),
    )
    assert done.returncode == 0, done.stderr
    assert f"Loading the weights of {NETWORK}: {folder / 'mine.weights.h5'}" in done.stdout
    return folder


def command(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "cnnsearch", *map(str, arguments)],
        capture_output=True, text=True, timeout=900, env={**os.environ},
    )  # fmt: skip


@pytest.fixture
def run(runs: Path) -> RunDirectory:
    return RunDirectory.open(runs, "r")


def find_trials(run: RunDirectory) -> tuple[list[Any], list[Any]]:
    trials = run.db.get_trials()
    return [t for t in trials if t.backbone], [t for t in trials if not t.backbone]


@pytest.mark.slow
def test_every_body_is_trained_beside_the_plain_baseline(run: RunDirectory) -> None:
    ours, others = find_trials(run)
    assert [t.status for t in (*ours, *others)] == ["completed"] * 5
    assert {t.label for t in ours} == {NETWORK}
    assert [t.role for t in others] == ["baseline", "", ""]
    assert {t.recipe["trainable"] for t in others} == {"all"}
    assert ours[0].backbone == {"network": NETWORK, "weights": "mine.weights.h5"}


@pytest.mark.slow
def test_a_frozen_body_is_that_of_the_file(run: RunDirectory, runs: Path) -> None:
    from cnnsearch.training.pretrained import load_application
    from cnnsearch.training.weight_copy import list_weights

    best = checkpoint.read(run.trial_dir(find_trials(run)[0][0].id) / checkpoint.BEST)
    assert best is not None
    saved = zip(best.header["paths"], best.arrays, strict=True)
    body = [array for path, array in saved if not path.startswith("head")]
    given = list_weights(load_application(NETWORK, runs / "mine.weights.h5"))[:-2]
    for found, each in zip(body, given, strict=True):
        np.testing.assert_array_equal(found, np.asarray(each.variable).reshape(found.shape))


@pytest.mark.slow
def test_its_features_are_computed_once_for_both_heads(runs: Path) -> None:
    entries = [each for each in (runs / ".cache" / "features").iterdir() if each.is_dir()]
    assert len(entries) == 1
    features = np.load(entries[0] / "train.npy")
    assert features.shape[1:] == (1, 1, 256), "behind the head's pooling"


@pytest.mark.slow
def test_pixels_are_those_that_each_body_expects(run: RunDirectory) -> None:
    ours, others = find_trials(run)
    assert read_pixel_statistics(run, ours[0])[0] == pytest.approx([0.5] * 3, abs=1e-6)
    expected = run.manifest["dataset"]["mean"]
    assert read_pixel_statistics(run, others[0])[0] == expected != [0.5] * 3


@pytest.mark.slow
def test_a_trial_is_a_space_with_its_backbone(runs: Path, run: RunDirectory) -> None:
    trial = find_trials(run)[0][0]
    space = find_space(f"r:{trial.id}", runs)
    assert space.decode_first().backbone == Backbone(NETWORK, "mine.weights.h5")
    assert space.decode_first().fingerprint == trial.fingerprint


@pytest.mark.slow
def test_changed_and_missing_weights_are_refused(run: RunDirectory, tmp_path: Path) -> None:
    assert list(find_backbones(run)) == [Backbone(NETWORK, "mine.weights.h5")]
    (tmp_path / "s.yaml").write_text(SPACE)
    elsewhere = SearchSpace.load(tmp_path / "s.yaml")
    check_same_backbones(run, elsewhere)  # without its file
    (tmp_path / "mine.weights.h5").write_bytes(b"others")
    with pytest.raises(RunError, match=r"mine\.weights\.h5 has changed"):
        check_same_backbones(run, elsewhere)
    away = (run.path / "backbones" / "1.npz").rename(run.path / "elsewhere.npz")
    try:
        with pytest.raises(RunError, match=r"1\.npz is gone"):
            find_backbones(run)
    finally:
        away.rename(run.path / "backbones" / "1.npz")


def test_why_features_are_not_cached_is_said() -> None:
    space = SearchSpace.from_text(SPACE)
    assert not list(explain_features(space, ()))
    (line,) = explain_features(space, ("mixup=0.2",))
    assert "recipe.mixup" in line


@pytest.mark.slow
def test_the_export_and_the_final_training_start_from_the_weights_too(
    runs: Path, run: RunDirectory
) -> None:
    trial = find_trials(run)[0][0].id
    done = command("export", trial, "--run", "r", "--runs", runs, "--out", runs / "out")
    assert done.returncode == 0, done.stderr
    away = (runs / "mine.weights.h5").rename(runs / "away.h5")  # the run has its own copy
    done = command(
        *("train", trial, "--run", "r", "--runs", runs, "--epochs", 1, "--name", "f"),
        *("--seeds", 1, "--plain"),
    )
    away.rename(runs / "mine.weights.h5")
    assert done.returncode == 0, done.stderr
    assert "No baselines: the winner started from pretrained weights" in done.stdout
    final = RunDirectory.open(runs, "f")
    (only,) = final.db.get_trials()
    assert only.backbone == {"network": NETWORK, "weights": "mine.weights.h5"}
    for name in ("1.npz",):
        copies = [(each.path / "backbones" / name).read_bytes() for each in (run, final)]
        assert copies[0] == copies[1]
    before, after = (
        checkpoint.read(each.trial_dir(found) / checkpoint.BEST)
        for each, found in ((run, trial), (final, only.id))
    )
    assert before and after
    stem = before.header["paths"].index("stem.0.conv/kernel")
    np.testing.assert_array_equal(before.arrays[stem], after.arrays[stem])
    assert json.loads((final.path / "run.json").read_text())["backbones"][0]["file"] == "1.npz"
