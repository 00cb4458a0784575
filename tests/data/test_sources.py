"""Searches on what people hold their images in: archives, tables, and objects in Python."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cnnsearch
from cnnsearch.engine.search import resume
from cnnsearch.errors import DataError, RunError

pytestmark = pytest.mark.programs

SPACE = """
input: [8, 8, 3]
classes: 2
stem: [{type: conv, filters: {choice: [4, 6]}, stride: 2}]
recipe: {epochs: 1, batch_size: 8, learning_rate: 0.01}
"""


def images(count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Red or blue, with noise."""
    rng, y = np.random.default_rng(3), np.arange(count) % 2
    x = rng.integers(0, 120, (count, 8, 8, 3), dtype=np.uint8)
    x[y == 0, ..., 0] += 120
    x[y == 1, ..., 2] += 120
    return x, y


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "space.yaml"
    path.write_text(SPACE)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for number, (x, y) in enumerate(zip(*images(), strict=True)):
        place = root / ("red", "blue")[y] / "2024"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(x).save(place / f"{number}.png")
    return root


def found(space: Path, data: object, **more: Any) -> Any:
    settings: dict[str, Any] = {"trials": 1, "strategy": "random", "workers": 0} | more
    return cnnsearch.search(space, data, runs=space.parent / "runs", **settings)


def test_an_archive_and_a_table_give_what_their_folder_gives(space: Path, folder: Path) -> None:
    archive = shutil.make_archive(str(space.parent / "photos"), "zip", folder)
    table = space.parent / "labels.csv"
    with table.open("w", newline="") as file:
        rows = [(f"photos/{p.relative_to(folder)}", p.parts[-3]) for p in folder.rglob("*.png")]
        csv.writer(file).writerows([("filename", "class"), *rows])
    kept = {"image": (8, 8), "channels": None, "cache": space.parent / "cache"}
    parts = cnnsearch.data.load(str(folder), **kept)
    for data in (archive, table):
        record = found(space, data).run.manifest["dataset"]
        assert record["class_names"] == ["blue", "red"]
        assert (record["train"], record["validation"], record["test"]) == (17, 9, 14)
        assert record["fingerprint"] == parts.fingerprint or data == table


def test_arrays_are_searched_and_resumed_without_them(space: Path) -> None:
    x, y = images()
    data = {"train": (x, y), "class_names": ["red", "blue"]}
    first = found(space, data, name="mine")
    assert first.run.manifest["dataset"]["class_names"] == ["red", "blue"]
    assert first.run.manifest["data"].startswith("python:")
    more = resume("mine", runs=space.parent / "runs", trials=2, workers=0)
    assert [trial.status for trial in more.trials] == ["completed"] * 2
    again = found(space, data, name="mine", trials=2)
    assert len(again.trials) == 2
    with pytest.raises(RunError, match="another value of --data"):
        found(space, (255 - x, y), name="mine", trials=2)


def test_a_data_set_that_was_loaded_is_searched(space: Path, folder: Path) -> None:
    data = cnnsearch.data.load(
        str(folder), image=(8, 8), channels=None, cache=space.parent / "mine", validation=0.3
    )
    result = found(space, data, name="loaded")
    assert result.run.manifest["dataset"]["validation"] == 13
    assert result.run.manifest["dataset"]["fingerprint"] == data.fingerprint
    more = resume("loaded", runs=space.parent / "runs", trials=2, workers=0)
    assert len(more.trials) == 2
    with pytest.raises(DataError, match="was loaded as 8x8x3, candidates read 16x16x3"):
        found(space, data, image=16)


def test_a_run_of_version_0_1_is_resumed_with_its_splits(space: Path, folder: Path) -> None:
    old = found(space, folder, name="old", split_version=1).run
    assert old.manifest["dataset"]["train"] == 24
    manifest = json.loads((old.path / "run.json").read_text())
    del manifest["dataset"]["split_version"], manifest["settings"]["split_version"]
    (old.path / "run.json").write_text(json.dumps(manifest))
    assert len(resume("old", runs=space.parent / "runs", trials=2, workers=0).trials) == 2
    assert len(found(space, folder, name="old", trials=2).trials) == 2
    new = found(space, folder, name="new").run.manifest["dataset"]
    assert new["split_version"] == 2 and new["train"] == 17


def test_copies_of_held_out_images_are_warned_about_and_dropped(space: Path) -> None:
    x, y = images(60)
    data = ((x[:30], y[:30]), (x[24:44], y[24:44]), (x[44:], y[44:]))
    manifest = found(space, data).run.manifest["dataset"]
    (warning,) = manifest["warnings"]
    assert "6 of 20 validation images have the pixels of a training image" in warning
    less = found(space, data, drop_copies=True).run.manifest["dataset"]
    assert (less["train"], less["validation"]) == (24, 20)
    assert less["warnings"] == ["6 training images left out: a held-out split has a copy."]


@pytest.mark.slow
def test_tf_data_is_searched_in_processes(space: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    stream = tf.data.Dataset.from_tensor_slices(images()).shuffle(40).batch(7)
    result = found(space, stream, workers=1)
    assert [trial.status for trial in result.trials] == ["completed"]


def test_what_is_no_data_leaves_no_run(space: Path) -> None:
    with pytest.raises(DataError, match="data: expected a source's name"):
        found(space, 7)
    assert not list((space.parent / "runs").glob("[!.]*"))


def test_a_folder_with_the_name_of_a_data_set_is_mentioned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cnnsearch.data.sources import describe_shadowed

    monkeypatch.chdir(tmp_path)
    assert describe_shadowed("digits") == ""
    (tmp_path / "digits").mkdir()
    assert describe_shadowed("digits").endswith("the folder of that name is ./digits.")
    assert describe_shadowed("./digits") == ""
