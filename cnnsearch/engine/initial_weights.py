"""Image size and initial weights of a search's space.

Pretrained weights are loaded once and moved into the run's folder. Its trials read that file,
also when it is resumed years later.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cnnsearch.engine.settings import Settings
from cnnsearch.errors import DataError, RunError, SpaceError, suggest
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.space.backbone import IMAGENET
from cnnsearch.space.published import application_architecture, list_published, load_published
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.messages import Pretrained
from cnnsearch.utils.safe_yaml import read_yaml
from cnnsearch.utils.subprocesses import run_module

FILE = "pretrained.npz"


def prepare_space(space: SearchSpace, settings: Settings) -> SearchSpace:
    """Returns the space with the image size of ``--image`` and the style of ``--weights``.

    Raises:
        SpaceError: it cannot have that size, there are no such weights, or the settings of what is
            trained contradict each other.
    """
    _check_trainable(space, settings)
    if settings.training.weights is not None:
        space = _apply_style(space, find_network_name(space))
    return space if settings.data.size is None else resize_space(space, settings.data.size)


def _check_trainable(space: SearchSpace, settings: Settings) -> None:
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
    """Returns the space with images of height and width ``image``.

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
    """Returns the name of the published network that a space consists of, whatever its recipe.

    Raises:
        SpaceError: it has choices besides the recipe, or keras.applications has no such network.
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


def _apply_style(space: SearchSpace, network: str) -> SearchSpace:
    """Returns the space with the biases and epsilons of keras.applications' build."""
    style = application_architecture(network).to_data().get("style", {})
    text = json.dumps({**read_yaml(space.text, space.source), "style": style})
    return SearchSpace.from_text(text, space.source)


@contextmanager
def fetch_weights(
    space: SearchSpace, settings: Settings, folder: Path, notify: Callable[[str], None]
) -> Iterator[tuple[Path, dict[str, Any]] | None]:
    """Loads a search's initial weights into a temporary file; None without ``--weights``.

    Args:
        space: the network, as the user named it.
        settings: with the weights.
        folder: of the file, on the file system of the runs.
        notify: is called first, as a download takes time.

    Returns:
        The file, and what ``run.json`` keeps of it.

    Raises:
        DataError: they cannot be downloaded or read, or are another network's.
    """
    weights = settings.training.weights
    if weights is None:
        yield None
        return
    network = find_network_name(space)
    notify(f"Loading the weights of {network}: {weights}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".weights-", dir=folder) as temporary:
        path = Path(temporary) / FILE
        pixels = convert_weights(network, weights, path, f"--weights {weights}")
        record = {"network": network, "weights": weights, **pixels}
        yield path, {**record, "sha256": compute_digest(weights)}


def convert_weights(network: str, weights: str, path: Path, place: str) -> dict[str, Any]:
    """Writes the weights of an application in cnnsearch's format.

    Args:
        network: the name of a published network.
        weights: ``imagenet`` or a file.
        path: to write.
        place: where they are named, for messages.

    Returns:
        The preprocessing that they expect: ``mean`` and ``std``.

    Raises:
        DataError: they cannot be downloaded or read, or are another network's.
    """
    found: dict[str, Any] = run_module(  # a process of its own: a framework would stay in this one
        *("cnnsearch.training.pretrained", network, weights, path),
        fail=lambda why: DataError(f"{place}: {why.removeprefix(f'{weights}: ')}"),
        environment={"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"},
    )
    return found


def check_weights_file(settings: Settings) -> None:
    """Refuses a weights file that does not exist, before anything takes time.

    Raises:
        DataError: there is no such file; suggests others.
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
    """Refuses to resume a run whose weights file has changed; it may be gone.

    Raises:
        RunError: it has changed.
    """
    before, weights = run.manifest.get("pretrained"), settings.training.weights
    if before is None or weights is None or not Path(weights).is_file():
        return
    if before["sha256"] not in (None, compute_digest(weights)):
        raise RunError(
            f"run {run.name!r} was begun with other weights: {weights} has changed; "
            "choose another --name"
        )


def compute_digest(weights: str) -> str | None:
    """Returns the SHA-256 of a weights file; None for ImageNet's."""
    if weights == IMAGENET:
        return None
    with Path(weights).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_pretrained(run: RunDirectory) -> Pretrained | None:
    """Returns the initial weights of a run's trials; None: random.

    Raises:
        RunError: the file is gone.
    """
    record = run.manifest.get("pretrained")
    if record is None:
        return None
    path = run.path / FILE
    if not path.is_file():
        raise RunError(f"run {run.name!r}: {path} is gone, the initial weights of its trials")
    freeze = bool(run.manifest["settings"]["freeze"])
    return Pretrained(path.absolute(), tuple(record["mean"]), tuple(record["std"]), freeze)
