"""``cnnsearch train`` as a person uses it: on digits, with processes, killed and gone on with."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import keras
import numpy as np
import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.engine.display.callback import Overview
from cnnsearch.engine.display.lines import Quiet
from cnnsearch.engine.run_manifest import read_pixel_statistics
from cnnsearch.engine.search import search
from cnnsearch.errors import CnnsearchError
from cnnsearch.exporters.source import open_dataset
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.records import BASELINE
from cnnsearch.studies.final.final_training import train_final as train
from cnnsearch.studies.final.predict import load_predictions
from cnnsearch.studies.final.results import explain_results, read_test_metrics
from cnnsearch.training.checkpoint import BEST, load_weights
from cnnsearch.training.model import build

pytestmark = pytest.mark.programs

SPACE = """
input: [8, 8, 1]
classes: 10
stem: [{type: conv, filters: {choice: [4, 8, 12]}}]
recipe: {epochs: 1, batch_size: 64, learning_rate: 0.01}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("final") / "runs"
    space = root.parent / "space.yaml"
    space.write_text(SPACE)
    search(space, trials=2, name="s", runs=root, seed=1, workers=0)
    train(
        "best",
        "s",
        seeds=2,
        epochs=2,
        references="random",
        mirror=True,
        name="f",
        runs=root,
        workers=0,
    )
    return root


def opened(runs: Path, name: str) -> RunDirectory:
    return RunDirectory.open(runs, name)


def test_winner_and_reference_are_trained_and_judged(runs: Path) -> None:
    result = train(
        "best", "s", seeds=2, epochs=2, references="random", mirror=True, name="f", runs=runs
    )
    assert [row.role for row in result.rows] == ["winner", "random"]
    assert all(len(row.accuracy.values) == 2 for row in result.rows)
    assert all(0.1 < row.accuracy.mean <= 1 for row in result.rows)
    assert all(row.metrics["latency_ms_batch_1"] > 0 for row in result.rows)
    assert explain_results(result.run, result.rows)
    recipes = {json.dumps(trial.recipe, sort_keys=True) for trial in result.run.db.get_trials()}
    assert len(recipes) == 1


def test_the_headline_says_how_large_the_images_are(runs: Path) -> None:
    titles = []

    class Display(Quiet):
        def on_search_begin(self, overview: Overview) -> None:
            titles.append(overview.title)

    train(
        "best", "s", seeds=1, epochs=1, references="none", name="headline",
        runs=runs, workers=0, callback=Display(),
    )  # fmt: skip
    assert "on digits (1,438 images of 8x8x1, validation included): 1 epoch, 1 seed" in titles[0]


def test_train_and_validation_are_learnt_from_and_test_is_not(runs: Path) -> None:
    with closing(opened(runs, "f")) as run:
        sizes = run.manifest["dataset"]
        steps = run.db.get_trials()[0].metrics["steps"]
        assert steps == (sizes["train"] + sizes["validation"]) // 64
        assert "val_accuracy" not in run.db.get_trials()[0].metrics


def test_the_test_split_is_asked_once(runs: Path) -> None:
    with closing(opened(runs, "f")) as run:
        before = read_test_metrics(run)
        train("best", "s", seeds=2, epochs=2, references="random", mirror=True, name="f", runs=runs)
        assert read_test_metrics(run) == before
        kinds = [event.kind for event in run.db.get_events(limit=10_000)]
        assert kinds.count("evaluated") == len(run.db.get_trials()) == 4


def test_predictions_averaged_over_mirrored_images_are_the_models_own(runs: Path) -> None:
    with closing(opened(runs, "f")) as run:
        trial, metrics = run.db.get_trials()[0], read_test_metrics(run)
        found = load_predictions(run.trial_dir(trial.id))
        mean, std = read_pixel_statistics(run)
        network = Architecture.from_data(dict(trial.architecture))
        model = build(network, mean=mean, std=std)
        load_weights(model, run.trial_dir(trial.id) / BEST)
        images = np.asarray(open_dataset(run).test.images())
    expected = [keras.ops.softmax(model(x)) for x in (images, images[:, :, ::-1])]
    assert found is not None
    np.testing.assert_allclose(found.mirrored, np.mean(expected, axis=0), atol=1e-5)
    accuracy = (found.mirrored.argmax(axis=1) == found.labels).mean()
    assert metrics[trial.id]["test_accuracy_mirrored"] == pytest.approx(accuracy)
    assert metrics[trial.id]["test_accuracy_mirrored"] != metrics[trial.id]["test_accuracy"]


def test_files_say_the_same_as_the_table(runs: Path) -> None:
    folder = runs / "f"
    results = json.loads((folder / "results.json").read_text())["results"]
    with (folder / "confusion-1.csv").open() as file:
        counts = np.array([row[1:] for row in list(csv.reader(file))[1:]], int)
    share = np.trace(counts) / counts.sum()
    assert share == pytest.approx(results[0]["accuracy"]["mean"], abs=1e-9)
    assert {"confusion-1.png", "worst-1.png", "per_class-1.csv"} <= {
        p.name for p in folder.iterdir()
    }
    assert (folder / "worst-1.png").stat().st_size > 10_000


def test_another_request_under_the_same_name_is_refused(runs: Path) -> None:
    with pytest.raises(CnnsearchError, match="another value of --seeds: 2, now 3"):
        train("best", "s", seeds=3, epochs=2, references="random", mirror=True, name="f", runs=runs)
    with pytest.raises(CnnsearchError, match="is no final training"):
        train("best", "s", name="s", runs=runs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"which": "best", "run": "nobody"}, "nobody"),
        ({"which": "99", "run": "s"}, "no trial '99'"),
        ({"which": "resnet-20-cifr"}, "no network named 'resnet-20-cifr', did you mean"),
        ({"which": "best", "run": "s", "epochs": 0}, "--epochs: expected at least 1"),
        ({"which": "1", "run": "s", "top": 2}, "--top 2: goes with best"),
        ({"which": "best", "run": "s", "changes": ["learning_rat=1"]}, "learning_rat"),
        ({"which": "best", "run": "s", "data": "nowhere"}, "nowhere"),
        ({"which": "resnet-20-cifar", "references": "all"}, "no search's"),
        ({"which": "best", "run": "s", "seeds": 0}, "--seeds: expected at least 1"),
        ({"which": "best", "run": "s", "top": 3}, "--top 3: run 's' has 2"),
        ({"which": "best", "run": "s", "references": "some"}, "--references: expected all"),
        ({"which": "best", "run": "f"}, "is a final training"),
        ({"which": "resnet-20-cifr.yaml"}, "resnet-20-cifr"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_run(
    runs: Path, arguments: dict[str, object], message: str
) -> None:
    before = sorted(path.name for path in runs.iterdir())
    with pytest.raises(CnnsearchError, match=message) as caught:
        train(**{"epochs": 1, "runs": runs, **arguments})  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in runs.iterdir()) == before


def test_the_random_reference_has_the_very_splits_of_the_search(runs: Path) -> None:
    with closing(opened(runs, "s")) as search, closing(opened(runs, "s-random")) as random:
        assert search.manifest["dataset"] == random.manifest["dataset"]
        assert search.manifest["seed"] != random.manifest["seed"]
        candidates = [t for t in search.db.get_trials() if t.role != BASELINE]
        assert len(candidates) == len(random.db.get_trials()) > 0


def test_the_latest_search_is_meant_and_no_reference_of_one(runs: Path) -> None:
    located = train(
        "best", seeds=2, epochs=2, references="random", mirror=True, name="f", runs=runs
    )
    assert located.run.manifest["final"]["run"] == "s"


@pytest.mark.slow
def test_killed_and_gone_on_with_ends_as_if_undisturbed(runs: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cnnsearch", "train", "best", "--run", "s", "--seeds", "2"]
    command += ["--epochs", "12", "--references", "none", "--runs", str(runs), "--quiet"]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    going = subprocess.Popen([*command, "--name", "killed"], env=environment)
    wait_for_epochs(runs, "killed", 3)
    going.send_signal(signal.SIGKILL)
    going.wait()
    done = subprocess.run(
        [sys.executable, "-m", "cnnsearch", "resume", "killed", "--runs", str(runs), "--quiet"],
        env=environment, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    subprocess.run([*command, "--name", "whole"], env=environment, check=True, timeout=200)
    with closing(opened(runs, "killed")) as killed, closing(opened(runs, "whole")) as whole:
        found = [
            [e["test_accuracy"] for e in read_test_metrics(r).values()] for r in (killed, whole)
        ]
        assert found[0] == found[1]
        assert len(found[0]) == 2


def wait_for_epochs(runs: Path, name: str, epochs: int) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if RunDirectory.exists(runs, name):
            with closing(opened(runs, name)) as run:
                if sum(e.kind == "epoch" for e in run.db.get_events(limit=10_000)) >= epochs:
                    return
        time.sleep(0.1)
    raise TimeoutError("no epochs")


@pytest.mark.slow
def test_when_time_is_up_what_is_finished_is_judged_and_the_rest_waits(runs: Path) -> None:
    asked = {
        "seeds": 2,
        "epochs": 1,
        "references": "none",
        "name": "late",
        "workers": 1,
        "runs": runs,
    }
    first = train("best", "s", max_time="0.1s", **asked)  # type: ignore[arg-type]
    assert first.reason == "time"
    assert first.rows == ()
    whole = train("best", "s", **asked)  # type: ignore[arg-type]
    assert whole.reason == "trials"
    assert len(whole.rows[0].accuracy.values) == 2
