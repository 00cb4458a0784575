"""Converts the weights of keras.applications to published networks.

Builds there may differ from the paper: biases in front of batch normalization, no gamma, another
epsilon. :data:`cnnsearch.space.published.STYLES` lists these; the wiring is the published file's.
"""

import hashlib
import json
import re
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Final, NamedTuple

import h5py  # type: ignore[import-untyped]
import keras
import numpy as np

from cnnsearch.errors import CnnsearchError, DataError, suggest
from cnnsearch.space.published import application_architecture, list_published, load_published
from cnnsearch.training.checkpoint import save_weights
from cnnsearch.training.model import build
from cnnsearch.training.weight_copy import PREPROCESSING, copy_weights, list_weights

ARGUMENTS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "mobilenet-v1-0.75": {"alpha": 0.75},
        "mobilenet-v1-0.5": {"alpha": 0.5},
        "mobilenet-v1-0.25": {"alpha": 0.25},
        "mobilenet-v2-1.4": {"alpha": 1.4},
        "mobilenet-v3-small-minimalistic": {"minimalistic": True},
        "mobilenet-v3-large-minimalistic": {"minimalistic": True},
    }
)
"""Arguments of keras.applications that set a network apart from others of its name."""


class Preprocessing(NamedTuple):
    """The preprocessing of an application, as arguments of :func:`~cnnsearch.training.model.build`.

    Attributes:
        mean: per channel, red first, of pixels scaled to [0, 1].
        std: per channel, likewise.
        swapped: whether its first convolution reads blue first.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    swapped: bool


def load_application(
    name: str, weights: str | Path | None = None, *, classifier: bool = True, **options: Any
) -> keras.Model:
    """Returns keras.applications' own build of a published network, with logits as output.

    Args:
        name: of the published network.
        weights: ``imagenet`` downloads them; a file saved from the application (``.weights.h5``, or
            a ``.h5`` as keras.applications offers for download); None: random.
        classifier: whether the file must have the classifier too, of 1000 classes.
        options: further arguments of keras.applications, such as ``input_shape``.

    Raises:
        SpaceError: there is no published network of this name.
        DataError: keras.applications lacks it; or the weights cannot be downloaded or read, or do
            not fit: names the first layer that differs.
    """
    create = getattr(keras.applications, _find_application(name))
    options = {**options, **ARGUMENTS.get(name, {}), "classifier_activation": None}
    if weights is None or str(weights) != "imagenet":
        model = create(weights=None, **options)
        if weights is not None:
            _load_file(model, Path(weights), classifier)
            _adapt_preprocessing(model, Path(weights), sys.modules[create.__module__])
        return model
    try:
        return create(weights="imagenet", **options)
    except Exception as error:  # urllib's, wrapped by Keras into a bare Exception
        raise DataError(f"{name}: the ImageNet weights cannot be downloaded: {error}") from None


def convert_application(
    source: keras.Model,
    name: str,
    *,
    classes: int | None = None,
    image: tuple[int, int] | None = None,
) -> keras.Model:
    """Builds a published network with the weights of its keras.applications build.

    Args:
        source: of :func:`load_application`.
        name: of the published network.
        classes: None: those of ``source``; else the head is a new one, with random weights.
        image: height and width of the network's input; None: its own.

    Returns:
        A model from raw pixels (batch, height, width, 3) in 0..255, red first, to logits.

    Raises:
        ArchitectureError: the weights do not fit; names the first layer that differs.
    """
    architecture = application_architecture(name).adapt(
        classes=classes or source.output_shape[-1], image=image
    )
    pixels = measure_preprocessing(source, name)
    model = build(architecture, mean=pixels.mean, std=pixels.std)
    copy_weights(source, model, head=architecture.classes == source.output_shape[-1])
    if pixels.swapped:
        first = list_weights(model)[0].variable
        first.assign(keras.ops.flip(first, axis=2))
    return model


def find_module(name: str) -> ModuleType:
    """Returns the module of keras.applications with a published network and its preprocessing."""
    return sys.modules[getattr(keras.applications, _find_application(name)).__module__]


def measure_preprocessing(source: keras.Model, name: str) -> Preprocessing:
    """Measures the preprocessing of an application, in ``preprocess_input`` and in its layers."""
    module = find_module(name)
    pixels = np.zeros((4, 1, 1, 3), "float32")
    for channel in range(3):
        pixels[1 + channel, 0, 0, channel] = 255.0
    outputs = module.preprocess_input(pixels.copy())
    for layer in source.layers:
        if isinstance(layer, PREPROCESSING):
            outputs = layer(outputs)
    probes = keras.ops.convert_to_numpy(outputs).reshape(4, 3).astype("float64")
    gains = probes[1:] - probes[0]
    swapped = abs(gains[0, 0]) < abs(gains[0, 2])
    gains, offsets = (gains[:, ::-1], probes[0, ::-1]) if swapped else (gains, probes[0])
    std = 1.0 / np.diag(gains)
    return Preprocessing(tuple((-offsets * std).tolist()), tuple(std.tolist()), bool(swapped))


def save_pretrained(name: str, weights: str, out: str | Path) -> Preprocessing:
    """Saves the weights of an application under the names of cnnsearch's layers.

    The classifier is random if the file has none or one of other classes. Arguments and errors are
    those of :func:`load_application` and :func:`convert_application`.

    Returns:
        The preprocessing that the weights expect; the saved ones always read red first.
    """
    source = load_application(name, weights, classifier=False)
    model = convert_application(source, name)
    save_weights(model, Path(out), {"network": name, "weights": weights})
    return measure_preprocessing(source, name)


def main(name: str, weights: str, out: str) -> int:
    """Saves weights for another process; prints mean and std as JSON, or the error."""
    try:
        pixels = save_pretrained(name, weights, out)
    except CnnsearchError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    print(json.dumps({"mean": pixels.mean, "std": pixels.std}))
    return 0


def _find_application(name: str) -> str:
    known = {n.name: n.keras_applications for n in list_published() if n.keras_applications}
    if name in known:
        return str(known[name])
    load_published(name)
    hint = suggest(name, known) or f" (it has {', '.join(known)})"
    raise DataError(f"keras.applications has no weights for {name!r}{hint}")


def _load_file(model: keras.Model, file: Path, classifier: bool) -> None:
    if not file.is_file():
        raise DataError(f"{file}: there is no such file of weights")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # Keras only warns of layers left random
            model.load_weights(file)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        mismatches = _find_mismatches(model, file)
        last = next(layer.name for layer in reversed(model.layers) if layer.weights)
        if classifier or list(mismatches) != [last]:
            reason = next(iter(mismatches.values()), str(error).strip().splitlines()[0])
            raise DataError(
                f"{file}: no weights of keras.applications' {model.name}: {reason}"
            ) from None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            model.load_weights(file, skip_mismatch=True)


def _adapt_preprocessing(model: keras.Model, file: Path, module: ModuleType) -> None:
    """Makes an EfficientNet preprocess pixels as the build did that a file was saved from.

    Built with ``weights="imagenet"``, it has one more layer behind Normalization, Rescaling by
    1 / sqrt(std). That has no weights: the file loads without it too, but computes another
    function. Rescaling by 1 / sqrt(std) is the same as multiplying Normalization's variance by std.
    """
    std = getattr(module, "IMAGENET_STDDEV_RGB", None)
    if std is None or not _is_imagenet_build(file, module.WEIGHTS_HASHES):
        return
    layer = next(each for each in model.layers if type(each) is keras.layers.Normalization)
    layer.adapt_variance.assign(np.asarray(layer.adapt_variance) * np.asarray(std))
    layer.finalize_state()


def _is_imagenet_build(file: Path, hashes: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether an EfficientNet's file has both Rescaling layers, or is a download of Keras's.

    Those downloads are older than the second layer, with which Keras loads them.
    """
    with h5py.File(file) as content:
        if "layers" in content:
            return "layers/rescaling_1" in content
        names = list(content.attrs.get("layer_names", ()))
    digest = hashlib.md5(file.read_bytes()).hexdigest()
    downloads = {each for pair in hashes.values() for each in pair}
    return sum("rescaling" in str(name) for name in names) > 1 or digest in downloads


def _find_mismatches(model: keras.Model, file: Path) -> dict[str, str]:
    """Describes for each layer how a ``.weights.h5`` file differs; empty for other files.

    Keras names groups in such a file after classes of layers, numbered.
    """
    numbers: dict[str, int] = {}
    found: dict[str, str] = {}
    try:
        with h5py.File(file) as content:
            for layer in model.layers if "layers" in content else ():
                kind = _to_snake_case(type(layer).__name__)
                number = numbers[kind] = numbers.get(kind, -1) + 1
                place = f"layers/{kind}_{number}" if number else f"layers/{kind}"
                for i, variable in enumerate(layer.weights):
                    saved = content.get(f"{place}/vars/{i}")
                    if saved is None or saved.shape != tuple(variable.shape):
                        found.setdefault(layer.name, _describe_mismatch(layer, variable, saved))
    except OSError:
        return {}
    return found


def _describe_mismatch(layer: keras.Layer, variable: Any, saved: Any) -> str:
    needed = "x".join(map(str, variable.shape))
    has = "nothing" if saved is None else "x".join(map(str, saved.shape))
    return f"layer {layer.name!r} ({variable.name}) needs {needed}, the file has {has} for it"


def _to_snake_case(name: str) -> str:
    """Converts the name of a class as Keras does in its files."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
