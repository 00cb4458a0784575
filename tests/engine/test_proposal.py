"""The search that is proposed for images, a machine and a time."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnnsearch.architecture.cost import Cost
from cnnsearch.data.inspection import DataReport, describe
from cnnsearch.data.inspection.copies import Leak, Place
from cnnsearch.data.inspection.report import Unreadable
from cnnsearch.engine.machine import Machine
from cnnsearch.engine.proposal import Choice, Proposal, propose
from cnnsearch.space.search_space import SearchSpace
from tests.cli.program import refused, run

LAPTOP = Machine("CPU (2 cores)", 2, 8 * 10**9, 0)
SERVER = Machine("2 GPUs", 16, 64 * 10**9, 2)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> DataReport:
    return describe("digits", cache=tmp_path_factory.mktemp("cache"))


def sized(report: DataReport, side: int, images: int = 10_000) -> DataReport:
    """The report as if on so many photographs of this size."""
    plan = replace(report.plan, image=(side, side), image_reason="said so", channels=3)
    train = replace(report.splits[0], images=images)
    return replace(report, plan=plan, splits=(train, *report.splits[1:]))


def chosen(proposal: Proposal, what: str) -> Choice:
    return next(choice for choice in proposal.choices if choice.what == what)


@pytest.mark.parametrize(
    ("side", "space", "size"),
    [(8, "tiny", 16), (28, "tiny", 28), (32, "mixed", 32), (64, "photos-small", 64),
     (112, "photos-small", 112), (224, "photos", 224)],
)  # fmt: skip
def test_the_space_suits_the_size(digits: DataReport, side: int, space: str, size: int) -> None:
    found = propose(sized(digits, side), LAPTOP, {})
    assert chosen(found, "space").value == space
    loaded = SearchSpace.from_text(found.space)
    assert loaded.input == (size, size, 3)
    costs = [cost for cost in loaded.sample_costs(50) if isinstance(cost, Cost)]
    assert sum(cost.macs <= found.settings["max_macs"] for cost in costs) >= 5


@pytest.mark.parametrize("machine", [LAPTOP, SERVER])
@pytest.mark.parametrize("seconds", [600, 3600, 86400])
def test_more_time_and_more_speed_allow_larger_candidates(
    digits: DataReport, machine: Machine, seconds: int
) -> None:
    report = sized(digits, 64)
    found = propose(report, machine, {"max_time": float(seconds)})
    more = propose(report, machine, {"max_time": seconds * 20.0})
    assert 10**6 <= found.settings["max_macs"] <= more.settings["max_macs"] <= 5 * 10**9
    if chosen(found, "budget").reason.startswith("roughly") and seconds < 86400:
        assert found.settings["max_macs"] < more.settings["max_macs"]
    epochs = int(chosen(found, "epochs").value)
    training = 15 * 3 * found.settings["max_macs"] * 10_000 * epochs / machine.speed
    assert training <= seconds or "a fifth of the space" in chosen(found, "budget").reason


def test_in_little_time_candidates_train_for_fewer_epochs(digits: DataReport) -> None:
    report = sized(digits, 32, images=4_000)
    found = [propose(report, LAPTOP, {"max_time": minutes * 60.0}) for minutes in (2, 10, 120)]
    epochs = [int(chosen(each, "epochs").value) for each in found]
    assert epochs[0] == 6 < epochs[1] < epochs[2] == 30
    written = [SearchSpace.from_text(each.space).decode_first().recipe.epochs for each in found]
    assert written == epochs, "a space file has other epochs than init says"
    assert "fewer than 15 small candidates" in chosen(found[1], "epochs").reason
    assert [each.base for each in found] == ["quick", "quick", "mixed"]
    assert "train fastest" in chosen(found[0], "space").reason
    training = 15 * 3 * found[1].settings["max_macs"] * 4_000 * epochs[1] / LAPTOP.speed
    assert 300 < training < 1200, "the time is used, and about suffices"


def test_what_is_given_is_kept(digits: DataReport) -> None:
    given = {"max_macs": 7_000_000, "image": "48x40", "epochs": 3, "trials": 5, "seed": 4}
    found = propose(digits, LAPTOP, given)
    kept = {key: found.settings[key] for key in ("max_macs", "trials", "seed")}
    assert kept == {"max_macs": 7_000_000, "trials": 5, "seed": 4}
    loaded = SearchSpace.from_text(found.space)
    assert loaded.input[:2] == (48, 40) and loaded.decode_first().recipe.epochs == 3
    assert "--max-macs 7M --trials 5 --seed 4" in found.write_command("s.yaml", "d")


def test_the_images_problems_choose_settings(digits: DataReport) -> None:
    place = Place("train", "a.png", "1")
    leaks = (Leak(place, place, 1.0),)
    bad = (Unreadable("train", "b.png", "1", "truncated"),)
    report = replace(
        digits, imbalance=4.0, unreadable=bad, copies=replace(digits.copies, leaks=leaks)
    )
    found = propose(report, SERVER, {})
    assert {"objective": "balanced_accuracy", "class_weights": "balanced", "skip_bad_images": True,
            "drop_copies": True, "gpus": "all"}.items() <= found.settings.items()  # fmt: skip
    line = found.write_command("s.yaml", "my photos")
    assert "--skip-bad-images --drop-copies" in line and "'my photos'" in line
    calm = propose(report, LAPTOP, {"objective": "accuracy"})
    assert calm.settings["objective"] == "accuracy" and "class_weights" not in calm.settings


@pytest.mark.parametrize(
    ("machine", "given", "settings"),
    [
        (LAPTOP, {}, {"workers": 2}),
        (replace(LAPTOP, cores=16, memory=64 * 10**9), {}, {"workers": 4}),
        (replace(LAPTOP, cores=16, memory=5 * 10**9), {}, {"workers": 2}),
        (replace(LAPTOP, cores=16, memory=3 * 10**9), {}, {}),
        (replace(LAPTOP, cores=1), {}, {}),
        (replace(LAPTOP, gpus=1), {}, {}),
        (SERVER, {}, {"gpus": "all"}),
        (LAPTOP, {"workers": 1}, {"workers": 1}),
        (SERVER, {"workers": 3}, {"workers": 3}),
        (SERVER, {"gpus": "0"}, {"gpus": "0"}),
        (LAPTOP, {"ray": "auto"}, {"ray": "auto"}),
    ],
)
def test_candidates_are_trained_side_by_side_where_cores_and_memory_suffice(
    digits: DataReport, machine: Machine, given: dict[str, Any], settings: dict[str, Any]
) -> None:
    found = propose(digits, machine, given)
    placed = {k: v for k, v in found.settings.items() if k in ("workers", "gpus", "ray")}
    assert placed == settings
    says_why = "workers" in [choice.what for choice in found.choices]
    assert says_why == ("workers" in settings and "workers" not in given)


def write_photos(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 255, (80, 90, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


def test_init_writes_a_space_file_that_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_photos(Path("pets"))
    assert run("init", "pets/", "--max-time", "1h") == 0
    output = capsys.readouterr().out
    text = Path("pets.yaml").read_text("utf-8")
    command = text.splitlines()[0].removeprefix("# ")
    assert command.startswith("cnnsearch search pets.yaml --data pets/ --max-time 1h --max-macs ")
    assert command in output and "--image" in output and "photos-small" in output
    assert "image size: 64x64; the median shorter side is 80, and at most 64" in text
    assert SearchSpace.load("pets.yaml").decode_first().architecture.classes == 2
    assert "pets.yaml: already exists (--force" in refused(capsys, "init", "pets/")


def test_a_search_without_a_space_is_the_proposed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import importlib

    seen: dict[str, Any] = {}

    def search(space: SearchSpace, data: str, **settings: Any) -> None:
        seen.update(space=space, data=data, **settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("cnnsearch.engine.search"), "search", search)
    monkeypatch.chdir(tmp_path)
    write_photos(Path("pets"))
    assert run("search", "--data", "pets/", "--max-time", "1h", "--seed", "3") == 130
    assert (seen["data"], seen["seed"], seen["max_time"]) == ("pets/", 3, 3600.0)
    assert (seen["space"].name, seen["space"].input) == ("pets", (64, 64, 3))
    assert seen["max_macs"] >= 10**6 and "photos-small" in capsys.readouterr().out
    assert "SPACE or --data: name a space" in refused(capsys, "search")
