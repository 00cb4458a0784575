"""Which trials of a search are trained in full."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cnnsearch.engine.display import Quiet
from cnnsearch.engine.run_data import load_data
from cnnsearch.engine.run_manifest import create_manifest
from cnnsearch.engine.settings import Settings
from cnnsearch.errors import RunError
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.studies.final import candidates
from cnnsearch.studies.final.candidates import find_winners, prepare_run
from cnnsearch.studies.final.plan import FinalOptions, FinalPlan

SPACE = "input: [8, 8, 1]\nclasses: 10\nstem: [{type: conv, filters: 4}]\n"
FOUND = SearchSpace.load("resnet-20-cifar").decode_first()


def add_trial(run: RunDirectory, number: int, network: str, score: float, **more: Any) -> None:
    started = {
        "number": number, "values": {}, "architecture": FOUND.architecture.to_data(),
        "recipe": FOUND.recipe.to_data(), "fingerprint": network, "family": "residual",
        "params": 1, "params_total": 1, "macs": 1, "epochs": 1, "initial_epoch": 0,
        "continues": None, **more,
    }  # fmt: skip
    run.db.append("trial_started", started, f"{number:04d}")
    ended = {"status": "completed", "score": score, "reason": None, "metrics": {}, "seconds": 1.0}
    run.db.append("trial_ended", ended, f"{number:04d}")


@pytest.fixture
def hyperband(tmp_path: Path) -> RunDirectory:
    """A search whose first candidate scored best at its first rung, and worse when promoted."""
    run = RunDirectory.create(tmp_path, "h", {"settings": {"strategy": "hyperband"}}, "")
    add_trial(run, 1, "a", 0.95)
    add_trial(run, 2, "b", 0.85)
    add_trial(run, 3, "a", 0.80, continues="0001", initial_epoch=1, epochs=3)
    add_trial(run, 4, "b", 0.86, continues="0002", initial_epoch=1, epochs=3)
    return run


def options(**more: Any) -> FinalOptions:
    return FinalOptions.model_validate({"source": "h:best", "run": "h", **more})


def test_winners_are_ranked_by_their_last_rung(hyperband: RunDirectory) -> None:
    assert [trial.id for trial in find_winners(hyperband, options())] == ["0004"]
    assert [trial.id for trial in find_winners(hyperband, options(top=2))] == ["0004", "0003"]


def test_rungs_are_not_counted_as_candidates(hyperband: RunDirectory) -> None:
    with pytest.raises(RunError, match="--top 3: run 'h' has 2 finished candidates"):
        find_winners(hyperband, options(top=3))


def test_an_earlier_rung_may_be_named(hyperband: RunDirectory) -> None:
    (trial,) = find_winners(hyperband, options(source="h:1"))
    assert (trial.id, trial.score) == ("0001", 0.95)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_data_that_changed_since_the_search_is_refused(tmp_path: Path, share: float) -> None:
    space = SearchSpace.from_text(SPACE, "s")
    settings = Settings.create(SPACE, "s", train_share=share)
    record = create_manifest("s", settings, load_data(settings, space, tmp_path))
    for name, fingerprint in (("same", record["dataset"]["fingerprint"]), ("changed", "0" * 64)):
        dataset = {**record["dataset"], "fingerprint": fingerprint}
        run = RunDirectory.create(tmp_path, name, {**record, "dataset": dataset}, SPACE)
        add_trial(run, 1, "a", 0.9, architecture=space.decode_first().architecture.to_data())
        run.close()
    asked = FinalOptions(source="same:best", run="same", references="none")
    assert prepare_run(asked, tmp_path, "f", {}, Quiet()).manifest["dataset"]["train"] == 1079
    asked = FinalOptions(source="changed:best", run="changed", references="none")
    with pytest.raises(RunError, match="run 'changed' was begun on other data"):
        prepare_run(asked, tmp_path, "g", {}, Quiet())


def test_a_long_training_of_few_images_is_planned_with_cutmix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the winner's recipe and so in those of the baselines, and with a note in the results."""
    monkeypatch.setattr(  # digits, taken for images that may be mirrored
        candidates, "load_data", lambda *given: replace(load_data(*given), flip=True)
    )
    space = SearchSpace.from_text(SPACE, "s")
    settings = Settings.create(SPACE, "s")
    record = create_manifest("s", settings, load_data(settings, space, tmp_path))
    run = RunDirectory.create(tmp_path, "h", record, SPACE)
    add_trial(run, 1, "a", 0.9, architecture=space.decode_first().architecture.to_data())
    run.close()
    for epochs, alpha, notes in ((49, 0.0, 0), (50, 1.0, 1)):
        asked = FinalOptions(source="h:best", run="h", references="published", epochs=epochs)
        planned = FinalPlan.read(prepare_run(asked, tmp_path, f"f{epochs}", {}, Quiet()))
        assert [each.recipe.cutmix for each in planned.entrants] == [alpha, alpha]
        assert len([note for note in planned.notes if "CutMix" in note]) == notes
