"""Trained weights of a space's backbones: checked, loaded once into the run's folder, and found.

Trials read the files in the run's folder, also when it is resumed years later.
"""

import json
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cnnsearch.engine.initial_weights import compute_digest, convert_weights
from cnnsearch.engine.settings import Settings
from cnnsearch.errors import DataError, RunError, SpaceError, suggest
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.space.backbone import IMAGENET, Backbone
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.frozen import find_obstacle
from cnnsearch.training.messages import Pretrained
from cnnsearch.utils.atomic_files import replace_file

FOLDER = "backbones"
"""Folder of a run with their weights, one file each."""
FEATURES = "features"
"""Folder of the cache with features of frozen backbones."""
SAMPLES = 64
"""Random candidates whose recipes are looked at."""

Fetched = Sequence[tuple[Path, Mapping[str, Any]]]


def check_backbones(space: SearchSpace, settings: Settings) -> None:
    """Refuses weights that do not exist, before anything takes time.

    Raises:
        DataError: there is no such file; suggests others.
        SpaceError: ``--weights`` is given too.
    """
    found = space.list_backbones()
    if found and settings.training.weights is not None:
        raise SpaceError(f"--weights: {space.source} names the weights of its own backbones")
    for each in found:
        _find_file(each, space)


def refuse_backbones(space: SearchSpace, what: str) -> None:
    """Raises a SpaceError, one line that starts with ``what``, if a space has backbones."""
    if space.list_backbones():
        raise SpaceError(f"{what}: {space.source} has backbones, whose weights it does not load")


@contextmanager
def fetch_backbones(
    space: SearchSpace, folder: Path, notify: Callable[[str], None]
) -> Iterator[Fetched]:
    """Loads the weights of all backbones into temporary files.

    Args:
        space: that names them.
        folder: of the files, on the file system of the runs.
        notify: is called before each, as a download takes time.

    Yields:
        For each backbone its file, and what ``run.json`` keeps of it.

    Raises:
        DataError: they cannot be downloaded or read, or are another network's.
    """
    found = space.list_backbones()
    if not found:
        yield ()
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".weights-", dir=folder) as temporary:
        fetched = []
        for number, each in enumerate(found, start=1):
            weights, path = _find_file(each, space), Path(temporary) / f"{number}.npz"
            notify(f"Loading the weights of {each.network}: {weights}")
            place = f"{space.source}: backbone.{each.network}"
            pixels = convert_weights(each.network, weights, path, place)
            record = {**each.to_data(), **pixels, "file": path.name}
            fetched.append((path, {**record, "sha256": compute_digest(weights)}))
        yield fetched


def keep_backbones(run: RunDirectory, fetched: Fetched) -> None:
    """Moves the files of weights into a new run's folder."""
    if fetched:
        (run.path / FOLDER).mkdir()
    for path, record in fetched:
        replace_file(path, run.path / FOLDER / str(record["file"]))


def find_backbones(run: RunDirectory) -> dict[Backbone, Pretrained]:
    """Returns the weights of a run's backbones.

    Raises:
        RunError: a file is gone.
    """
    found = {}
    for record in run.manifest.get("backbones", ()):
        path = run.path / FOLDER / record["file"]
        if not path.is_file():
            raise RunError(f"run {run.name!r}: {path} is gone, the weights of its backbones")
        digest = record["sha256"] or f"{record['network']}-{record['weights']}"
        found[Backbone(record["network"], record["weights"])] = Pretrained(
            path.absolute(),
            tuple(record["mean"]),
            tuple(record["std"]),
            freeze=False,
            digest=digest,
            cache=find_feature_cache(run),
        )
    return found


def find_feature_cache(run: RunDirectory) -> Path:
    """Returns the folder of cached features, which all runs beside this one share."""
    return (run.path.parent / ".cache" / FEATURES).absolute()


def check_same_backbones(run: RunDirectory, space: SearchSpace) -> None:
    """Refuses to resume a run whose files of weights have changed; they may be gone.

    Raises:
        RunError: one has changed.
    """
    before = {(r["network"], r["weights"]): r for r in run.manifest.get("backbones", ())}
    for each in space.list_backbones():
        record = before.get((each.network, each.weights))
        try:
            weights = _find_file(each, space)
        except DataError:
            continue
        if record and record["sha256"] not in (None, compute_digest(weights)):
            raise RunError(
                f"run {run.name!r} was begun with other weights: {weights} has changed; "
                "choose another --name"
            )


def explain_features(space: SearchSpace, changes: Sequence[str]) -> Iterator[str]:
    """Yields a line for each reason why features of frozen backbones are not cached."""
    if not space.list_backbones():
        return
    rng, reasons = random.Random(0), dict[str, None]()
    for _ in range(SAMPLES if space.parameters else 1):
        found = space.decode(space.sample(rng))
        recipe = found.recipe.change(changes)
        if found.backbone is not None and recipe.trainable not in ("all", "norms"):
            reasons[find_obstacle(recipe, recipe.trainable)] = None
    for reason in reasons:
        if reason:
            yield (
                f"Frozen backbones with recipe.{reason} are run in every epoch: random changes "
                "of images keep their features from being cached."
            )


def _find_file(backbone: Backbone, space: SearchSpace) -> str:
    """Returns the path of a backbone's weights: from the current folder, or the space file's."""
    if backbone.weights == IMAGENET:
        return IMAGENET
    given = Path(backbone.weights).expanduser()
    for path in (given, Path(space.source).parent / given):
        if path.is_file():
            return str(path)
    beside = [p.name for p in given.parent.glob("*.h5")] if given.parent.is_dir() else []
    hint = suggest(given.name, [IMAGENET, *beside])
    raise DataError(
        f"{space.source}: backbone.{backbone.network}.weights: there is no file {given}{hint} "
        "(expected imagenet, or a .weights.h5 or .h5 file of a keras.applications network)"
    )


def read_backbone_pixels(
    run: RunDirectory, backbone: Mapping[str, Any]
) -> tuple[list[float], list[float]]:
    """Returns the mean and std per channel that a backbone's weights expect.

    Raises:
        RunError: the run has no such backbone.
    """
    for record in run.manifest.get("backbones", ()):
        if all(record[key] == backbone.get(key) for key in ("network", "weights")):
            return list(record["mean"]), list(record["std"])
    raise RunError(f"run {run.name!r}: run.json: backbones: has no {json.dumps(dict(backbone))}")
