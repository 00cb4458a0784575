"""What a search starts from: images of another size, trained weights of a published network.

The weights are loaded once, by a process of its own that leaves no framework behind, and lie beside
the run: its trials read that file, and so does a run that goes on years later.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnsearch.engine.settings import Settings
from cnnsearch.errors import DataError, RunError, SpaceError, suggest
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.space.published import application_architecture, list_published, load_published
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.messages import Pretrained
from cnnsearch.utils.atomic_files import replace_file
from cnnsearch.utils.safe_yaml import read_yaml
from cnnsearch.utils.subprocesses import run_module

IMAGENET = "imagenet"
FILE = "pretrained.npz"


def prepare_space(space: SearchSpace, settings: Settings) -> SearchSpace:
    """Returns the space as ``--image`` and ``--weights`` change it.

    Raises:
        SpaceError: it chooses sizes itself, cannot be wired at the size that is asked for, or is no
            network that weights could be had for; or what is to be trained contradicts itself.
    """
    _check_trained(space, settings)
    if settings.training.weights is not None:
        space = _in_style(space, find_network_name(space))
    return space if settings.data.size is None else resize_space(space, settings.data.size)


def _check_trained(space: SearchSpace, settings: Settings) -> None:
    if any(parameter.name == "recipe.trainable" for parameter in space.parameters):
        return
    recipe = space.decode_first().recipe.change(settings.training.changes)
    frozen = settings.training.freeze
    if frozen and recipe.trainable == "norms":
        raise SpaceError("--freeze: trains the head alone, but recipe.trainable is 'norms'")
    if recipe.unfreeze_after is not None and not frozen and recipe.trainable == "all":
        raise SpaceError(
            f"recipe.unfreeze_after: {recipe.unfreeze_after:g}, but all weights move from the "
            "start; expected --freeze, or --set trainable=head or norms"
        )


def resize_space(space: SearchSpace, image: tuple[int, int]) -> SearchSpace:
    """Returns the space with every candidate reading images of height and width ``image``.

    Raises:
        SpaceError: the space chooses sizes itself, or no candidate can be wired at this one.
    """
    if "scaling" in read_yaml(space.text, space.source):
        raise SpaceError(f"--image: the size that {space.source} reads follows from its scaling")
    if len(set(space.list_inputs())) > 1:
        raise SpaceError(f"--image: {space.source} searches the size that its candidates read")
    changed = space.adapt(image=image)
    try:
        changed.check_wiring()
    except SpaceError as error:
        size = "x".join(map(str, image))
        raise SpaceError(f"--image {size}: {error}") from None
    return changed


def find_network_name(space: SearchSpace) -> str:
    """Returns the name of the published network that a space is, its recipe apart.

    Raises:
        SpaceError: it leaves more than the recipe open, or keras.applications has no such network.
    """
    choices = [p.name for p in space.parameters if p.name.split(".")[0] != "recipe"]
    if choices:
        raise SpaceError(
            f"--weights: {space.name!r} leaves {choices[0]} open, but trained weights fit one "
            "published network, of which only the recipe can be searched"
        )
    found = space.decode_first().architecture
    names = [n.name for n in list_published() if n.keras_applications]
    for name in names:
        known = load_published(name)
        same = found.adapt(classes=known.classes, image=known.input[:2], channels=known.input[2])
        if same.fingerprint in (known.fingerprint, application_architecture(name).fingerprint):
            return name
    raise SpaceError(
        f"--weights: keras.applications has no weights for {space.name!r}"
        f"{suggest(space.name, names)} (it has {', '.join(names)})"
    )


def _in_style(space: SearchSpace, network: str) -> SearchSpace:
    """Returns the space with the biases and epsilons of keras.applications' build."""
    style = application_architecture(network).to_data().get("style", {})
    text = json.dumps({**read_yaml(space.text, space.source), "style": style})
    return SearchSpace.from_text(text, space.source)


@dataclass(frozen=True)
class Fetched:
    """Trained weights in a file, and what ``run.json`` keeps of them."""

    path: Path
    record: dict[str, Any]


@contextmanager
def fetch_weights(
    space: SearchSpace, settings: Settings, folder: Path, note: Callable[[str], None]
) -> Iterator[Fetched | None]:
    """Loads the weights that a search starts from into a file that is gone afterwards.

    Args:
        space: the network, as the user gave it.
        settings: name the weights, or do not; then there is nothing.
        folder: for the file, on the runs' file system.
        note: is told that it begins: a download takes its time.

    Raises:
        DataError: they cannot be downloaded or read, or are another network's.
    """
    if settings.training.weights is None:
        yield None
        return
    network = find_network_name(space)
    note(f"Loading the weights of {network}: {settings.training.weights}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".weights-", dir=folder) as temporary:
        path = Path(temporary) / FILE
        pixels = _loaded(network, settings.training.weights, path)
        record = {"network": network, "weights": settings.training.weights, **pixels}
        yield Fetched(path, {**record, "sha256": digest(settings.training.weights)})


def _loaded(network: str, weights: str, out: Path) -> dict[str, Any]:
    """Has a process of its own save the weights; returns the pixels' mean and std they expect."""
    pixels: dict[str, Any] = run_module(
        *("cnnsearch.training.pretrained", network, weights, out),
        fail=lambda why: DataError(f"--weights {weights}: {why.removeprefix(f'{weights}: ')}"),
        environment={"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"},
    )
    return pixels


def keep_weights(weights: Fetched | None, run: RunDirectory) -> None:
    """Moves fetched weights into a run's folder."""
    if weights is not None:
        replace_file(weights.path, run.path / FILE)


def check_weights_file(settings: Settings) -> None:
    """Refuses a file of weights that is not there, before anything takes time.

    Raises:
        DataError: there is no such file; says which are near.
    """
    if settings.training.weights in (None, IMAGENET):
        return
    path = Path(str(settings.training.weights))
    if not path.is_file():
        beside = [p.name for p in path.parent.glob("*.h5")] if path.parent.is_dir() else []
        hint = suggest(path.name, [IMAGENET, *beside])
        raise DataError(
            f"--weights {path}: there is no such file{hint} (expected imagenet, or a .weights.h5 "
            "or .h5 file of a keras.applications network)"
        )


def check_same_weights(run: RunDirectory, settings: Settings) -> None:
    """Refuses to resume a run whose file of weights holds others by now; it may be gone.

    Raises:
        RunError: it does.
    """
    before, weights = run.manifest.get("pretrained"), settings.training.weights
    if before is None or weights is None or not Path(weights).is_file():
        return
    if before["sha256"] not in (None, digest(weights)):
        raise RunError(
            f"run {run.name!r} was begun with other weights: {weights} has changed; "
            "choose another --name"
        )


def digest(weights: str) -> str | None:
    """Returns the SHA-256 of a file of weights; None for those of ImageNet."""
    if weights == IMAGENET:
        return None
    with Path(weights).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_pretrained(run: RunDirectory) -> Pretrained | None:
    """Returns what a run's trials start from; None: random weights.

    Raises:
        RunError: the file is gone.
    """
    record = run.manifest.get("pretrained")
    if record is None:
        return None
    path = run.path / FILE
    if not path.is_file():
        raise RunError(f"run {run.name!r}: {path} is gone, and with it what its trials start from")
    freeze = bool(run.manifest["settings"]["freeze"])
    return Pretrained(path.absolute(), tuple(record["mean"]), tuple(record["std"]), freeze)
