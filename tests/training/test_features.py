"""Features of a frozen body: cached, they train the head to the same numbers as the images do."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.training import checkpoint, features
from cnnsearch.training.frozen import find_obstacle
from cnnsearch.training.messages import Pretrained, TrialTask
from tests.conftest import architecture

FROZEN = {"trainable": "head", "shift": 0.0, "flip": True, "batch_size": 64}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    """Random weights, on which no normalization is trained."""
    import keras

    from cnnsearch.training.model import build

    folder = tmp_path_factory.mktemp("weights")
    keras.utils.set_random_seed(1)
    checkpoint.save_weights(build(architecture()), folder / "w.npz")
    return Pretrained(folder / "w.npz", (0.3,), (0.4,), False, digest="d")


def train(task: TrialTask) -> tuple[Any, list[dict[str, float]]]:
    from cnnsearch.training.trainer import Training

    training = Training(task)
    kept = ("loss", "accuracy", "val_loss", "val_accuracy")
    return training, [
        {key: epoch.metrics[key] for key in kept}
        for epoch in training.run()
        if not isinstance(epoch, str)
    ]


@pytest.mark.parametrize(
    ("recipe", "entries"),
    [
        ({**FROZEN, "flip": False, "trainable": 1}, None),
        ({**FROZEN, "unfreeze_after": 0.5}, {"train", "mirrored", "validation"}),
    ],
)
def test_cached_features_train_like_images(
    make_task: Any, start: Pretrained, tmp_path: Path, recipe: dict[str, Any], entries: Any
) -> None:
    two = architecture(
        stages=[{"block": "basic", "width": 32, "stride": 2}, {"block": "plain", "width": 8}]
    )
    shape = {} if entries else {"architecture": two}
    if shape:
        from cnnsearch.training.model import build

        start = replace(start, weights=tmp_path / "two.npz")
        checkpoint.save_weights(build(two), start.weights)
    cache = tmp_path / "cache"
    plain, images = train(make_task("a", recipe=recipe, pretrained=start, **shape))
    cached = replace(start, cache=cache)
    quick, found = train(make_task("b", recipe=recipe, pretrained=cached, **shape))
    assert not list(tmp_path.glob("cache/*")) or cache.is_dir()
    (folder,) = (each for each in cache.iterdir() if each.is_dir())
    names = {file.stem for file in folder.iterdir()}
    assert names == (entries or {"train", "validation"})
    for theirs, ours in zip(images, found, strict=True):
        assert ours == pytest.approx(theirs, abs=2e-4)
    for a, b in zip(plain.model.variables, quick.model.variables, strict=True):
        np.testing.assert_allclose(np.asarray(a.value), np.asarray(b.value), atol=2e-4)


def test_features_are_computed_once(
    make_task: Any, start: Pretrained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = replace(start, cache=tmp_path / "cache")
    train(make_task("a", recipe=FROZEN, pretrained=cached, epochs=1))
    monkeypatch.setattr(features, "_write", None)  # computing again would fail
    train(make_task("b", recipe={**FROZEN, "momentum": 0.8}, pretrained=cached, epochs=1))
    other = replace(cached, digest="of other weights")
    with pytest.raises(TypeError):
        train(make_task("c", recipe=FROZEN, pretrained=other, epochs=1))


@pytest.mark.slow
def test_a_killed_training_resumes_on_its_features(
    make_task: Any, start: Pretrained, tmp_path: Path
) -> None:
    from cnnsearch.training.trainer import Training

    recipe = {**FROZEN, "unfreeze_after": 0.5}
    cached = replace(start, cache=tmp_path / "cache")
    _, whole = train(make_task("a", epochs=4, recipe=recipe, pretrained=cached))
    task = make_task("b", epochs=4, recipe=recipe, pretrained=cached)
    for epoch in Training(task).run():
        if not isinstance(epoch, str) and epoch.number == 1:
            break
    _, again = train(task)
    assert again == [pytest.approx(each, abs=1e-5) for each in whole]


def test_the_cache_is_bounded(
    make_task: Any, start: Pretrained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = replace(start, cache=tmp_path / "cache")

    def list_entries() -> list[str]:
        return sorted(e.name for e in (tmp_path / "cache").iterdir() if e.is_dir())

    train(make_task("a", recipe=FROZEN, pretrained=cached, epochs=1))
    (first,) = list_entries()
    size = sum(f.stat().st_size for f in (tmp_path / "cache" / first).iterdir())
    monkeypatch.setattr(features, "MOST_BYTES", size + 1000)
    train(make_task("b", recipe=FROZEN, pretrained=replace(cached, digest="e"), epochs=1))
    (second,) = list_entries()
    assert second != first, "the older entry made room"
    monkeypatch.setattr(features, "MOST_BYTES", 1000)
    train(make_task("c", recipe=FROZEN, pretrained=replace(cached, digest="f"), epochs=1))
    assert list_entries() == [second], "what is too large is not cached"


@pytest.mark.parametrize(
    ("changes", "trainable", "reason"),
    [
        ({"shift": 0.0}, "head", ""),
        ({"shift": 0.0}, 2, ""),
        ({}, "head", "shift: an eighth"),
        ({"shift": 0.25}, "head", "shift: 0.25"),
        ({"shift": 0.0}, "all", "trainable: all"),
        ({"shift": 0.0}, "norms", "trainable: norms"),
        ({"shift": 0.0, "mixup": 0.2}, "head", "mixup"),
        ({"shift": 0.0, "randaugment": {}}, "head", "randaugment"),
        ({"shift": 0.0, "resizing": {}}, "head", "resizing"),
        ({"shift": 0.0, "drop_path": 0.1}, "head", "drop_path"),
    ],
)
def test_what_changes_images_at_random_keeps_features_from_being_cached(
    changes: dict[str, Any], trainable: str | int, reason: str
) -> None:
    assert find_obstacle(TrainingRecipe.from_data(changes), trainable) == reason
