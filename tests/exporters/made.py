"""A run of trials with random weights, without training."""

from pathlib import Path
from typing import Any

import numpy as np

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.data import load
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.training import checkpoint

NETWORK: dict[str, Any] = {
    "input": [8, 8, 1],
    "classes": 10,
    "stem": [{"type": "conv", "filters": 4}],
}
SPACE = "input: [8, 8, 1]\nclasses: 10\nstem: [{type: conv, filters: 4}]\n"


def made_run(
    root: Path, scores: tuple[float, ...], source: str = "digits", **settings: Any
) -> RunDirectory:
    """Makes a run of trials with these scores, each with weights of its own."""
    data = load(source, image=(8, 8), channels=None, cache=root / ".cache")
    shape, classes = [8, 8, data.channels], len(data.class_names)
    network = {**NETWORK, "input": shape, "classes": classes}
    splits = ("train", "validation", "test")
    manifest = {
        "settings": {"source": "s", "data": source, **settings},
        "strategy": "random",
        "seed": 0,
        "dataset": {
            **{key: getattr(data, key) for key in ("source", "class_names", "image", "channels")},
            **{key: getattr(data, key) for key in ("fingerprint", "mean", "std", "split_version")},
            **{name: getattr(data, name).count for name in splits},
        },
    }
    space = SPACE.replace("[8, 8, 1]", str(shape)).replace("10", str(classes))
    run = RunDirectory.create(root, "made", manifest, space)
    for number, score in enumerate(scores, start=1):
        started = {
            "number": number, "values": {}, "architecture": network, "recipe": {},
            "fingerprint": "f", "family": "plain", "params": 100, "params_total": 108, "macs": 2304,
            "epochs": 1,
        }  # fmt: skip
        name = f"{number:04}"
        run.db.append("trial_started", started, name)
        ended = {"status": "completed", "score": score, "metrics": {"val_accuracy": score}}
        run.db.append("trial_ended", ended, name)
        write_weights(run.trial_dir(name) / checkpoint.BEST, number, data.channels, classes)
    return run


def write_weights(path: Path, seed: int, channels: int = 1, classes: int = 10) -> None:
    """Writes a checkpoint of ``NETWORK`` for images with ``channels``."""
    rng = np.random.default_rng(seed)
    shapes = {
        "stem.0.conv/kernel": (3, 3, channels, 4),
        **{f"stem.0.batch_norm/{k}": (4,) for k in ("gamma", "beta", "moving_mean")},
        "stem.0.batch_norm/moving_variance": (4,),
        "head.dense/kernel": (4, classes),
        "head.dense/bias": (classes,),
    }
    arrays = [rng.uniform(0.1, 1.0, shape).astype("float32") for shape in shapes.values()]
    checkpoint.write(path, {"paths": list(shapes)}, arrays)


def architecture(**changes: Any) -> Architecture:
    return Architecture.from_data({**NETWORK, **changes})
