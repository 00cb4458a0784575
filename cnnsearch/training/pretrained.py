"""Published networks that start from the weights of keras.applications.

The build of a network there may differ from its paper in ways that change the function: biases in
front of batch normalization, no gamma, another epsilon. Those are a matter of style, and
:data:`cnnsearch.space.published.STYLES` has them; the wiring is that of the published file.
"""

import json
import re
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import h5py  # type: ignore[import-untyped]
import keras
import numpy as np

from cnnsearch.errors import CnnsearchError, DataError, suggest
from cnnsearch.space.published import application_architecture, list_published, load_published
from cnnsearch.training.checkpoint import save_weights
from cnnsearch.training.finetuning import freeze_body
from cnnsearch.training.model import build
from cnnsearch.training.weight_copy import PREPROCESSING, copy_weights, weights_in_order

ALPHAS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "mobilenet-v1-0.75": 0.75,
        "mobilenet-v1-0.5": 0.5,
        "mobilenet-v1-0.25": 0.25,
        "mobilenet-v2-1.4": 1.4,
    }
)
"""Width multipliers, which keras.applications takes as an argument."""

_MODULES: Final = MappingProxyType(
    {
        "VGG16": "vgg16",
        "VGG19": "vgg19",
        "InceptionV3": "inception_v3",
        "InceptionResNetV2": "inception_resnet_v2",
        "ResNet50": "resnet",
        "ResNet101": "resnet",
        "ResNet152": "resnet",
        "ResNet50V2": "resnet_v2",
        "ResNet101V2": "resnet_v2",
        "ResNet152V2": "resnet_v2",
        "DenseNet121": "densenet",
        "DenseNet169": "densenet",
        "DenseNet201": "densenet",
        "MobileNet": "mobilenet",
        "MobileNetV2": "mobilenet_v2",
        "Xception": "xception",
        "ConvNeXtTiny": "convnext",
        **{f"EfficientNetB{i}": "efficientnet" for i in range(8)},
    }
)


class Preprocessing(NamedTuple):
    """What an application does to raw pixels, as :func:`cnnsearch.training.model.build` is told it.

    Attributes:
        mean: per channel, red first, of pixels scaled to [0, 1].
        std: per channel, likewise.
        swapped: whether its first convolution reads blue first.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    swapped: bool


def load_pretrained(
    name: str,
    weights: str | Path = "imagenet",
    *,
    classes: int | None = None,
    image: tuple[int, int] | None = None,
    freeze: bool = False,
    batch_norm_momentum: float = 0.99,
) -> keras.Model:
    """Builds a published network with the weights of keras.applications.

    Args:
        name: of a published network that keras.applications has too.
        weights: ``imagenet`` downloads them; otherwise a file of weights saved from the application
            (``.weights.h5``, or a ``.h5`` as keras.applications offers for download).
        classes: where not the 1000 of ImageNet, the head is a new one, at random.
        image: height and width that the network reads, where not its own.
        freeze: train nothing but the head.
        batch_norm_momentum: of the moving statistics.

    Returns:
        A model from raw pixels (batch, height, width, 3) in 0..255, red first, to logits.

    Raises:
        SpaceError: no published network is called so.
        DataError: keras.applications has no such network; or the weights cannot be had or read.
        ArchitectureError: they do not fit; names the first layer that differs.
    """
    return from_application(
        application(name, weights),
        name,
        classes=classes,
        image=image,
        freeze=freeze,
        batch_norm_momentum=batch_norm_momentum,
    )


def application(
    name: str, weights: str | Path | None = None, *, classifier: bool = True, **options: Any
) -> keras.Model:
    """Returns keras.applications' own build of a published network, with logits at its end.

    Args:
        name: of the published network.
        weights: ``imagenet``, a file, or None for random ones.
        classifier: whether the file has to have the classifier too, of 1000 classes.
        options: further arguments for keras.applications, ``input_shape`` say.

    Raises:
        SpaceError: no published network is called so.
        DataError: keras.applications has no such network; or the weights cannot be had or read, or
            do not fit: names the first layer that differs.
    """
    make = getattr(keras.applications, _application_name(name))
    if name in ALPHAS:
        options["alpha"] = ALPHAS[name]
    options["classifier_activation"] = None
    if weights is None or str(weights) != "imagenet":
        model = make(weights=None, **options)
        return model if weights is None else _loaded(model, Path(weights), classifier)
    try:
        return make(weights="imagenet", **options)
    except Exception as error:  # urllib's, wrapped by Keras into a bare Exception
        raise DataError(f"{name}: the ImageNet weights cannot be downloaded: {error}") from None


def from_application(
    source: keras.Model,
    name: str,
    *,
    classes: int | None = None,
    image: tuple[int, int] | None = None,
    freeze: bool = False,
    batch_norm_momentum: float = 0.99,
) -> keras.Model:
    """Builds a published network with the weights of ``source``, its keras.applications build.

    Arguments and errors are those of :func:`load_pretrained`.
    """
    architecture = application_architecture(name).adapt(
        classes=classes or source.output_shape[-1], image=image
    )
    steps = preprocessing(source, name)
    model = build(
        architecture, mean=steps.mean, std=steps.std, batch_norm_momentum=batch_norm_momentum
    )
    copy_weights(source, model, head=architecture.classes == source.output_shape[-1])
    if steps.swapped:
        first = weights_in_order(model)[0].variable
        first.assign(keras.ops.flip(first, axis=2))
    if freeze:
        freeze_body(model)
    return model


def preprocessing(source: keras.Model, name: str) -> Preprocessing:
    """Measures what an application does to raw pixels, in ``preprocess_input`` and in itself."""
    module = getattr(keras.applications, _MODULES[_application_name(name)])
    pixels = np.zeros((4, 1, 1, 3), "float32")
    for channel in range(3):
        pixels[1 + channel, 0, 0, channel] = 255.0
    ready = module.preprocess_input(pixels.copy())
    for layer in source.layers:
        if isinstance(layer, PREPROCESSING):
            ready = layer(ready)
    probes = keras.ops.convert_to_numpy(ready).reshape(4, 3).astype("float64")
    gains = probes[1:] - probes[0]
    swapped = abs(gains[0, 0]) < abs(gains[0, 2])
    gains, offsets = (gains[:, ::-1], probes[0, ::-1]) if swapped else (gains, probes[0])
    std = 1.0 / np.diag(gains)
    return Preprocessing(tuple((-offsets * std).tolist()), tuple(std.tolist()), bool(swapped))


def save_pretrained(name: str, weights: str, out: str | Path) -> Preprocessing:
    """Saves the weights of keras.applications under the names of our layers.

    Those of the classifier mean nothing: it is random where the file has none, or another one.
    Arguments and errors are those of :func:`load_pretrained`.

    Returns:
        What the weights expect of pixels; blue and red are in our order already.
    """
    source = application(name, weights, classifier=False)
    save_weights(from_application(source, name), Path(out), {"network": name, "weights": weights})
    return preprocessing(source, name)


def main(name: str, weights: str, out: str) -> int:
    """Does it for another process: the last line says what to do to pixels, or what is wrong."""
    try:
        pixels = save_pretrained(name, weights, out)
    except CnnsearchError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    print(json.dumps({"mean": pixels.mean, "std": pixels.std}))
    return 0


def _application_name(name: str) -> str:
    known = {n.name: n.keras_applications for n in list_published() if n.keras_applications}
    if name in known:
        return str(known[name])
    load_published(name)
    hint = suggest(name, known) or f" (it has {', '.join(known)})"
    raise DataError(f"keras.applications has no weights for {name!r}{hint}")


def _loaded(model: keras.Model, file: Path, classifier: bool) -> keras.Model:
    if not file.is_file():
        raise DataError(f"{file}: there is no such file of weights")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # Keras only warns of layers left random
            model.load_weights(file)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        first = str(error).strip().splitlines()[0]
        differing = _differing(model, file)
        last = next(layer.name for layer in reversed(model.layers) if layer.weights)
        if not classifier and list(differing) == [last]:
            return _without(model, file)
        raise DataError(
            f"{file}: no weights of keras.applications' {model.name}: "
            f"{next(iter(differing.values()), first)}"
        ) from None
    return model


def _without(model: keras.Model, file: Path) -> keras.Model:
    """Loads what fits; it is known that this is all but the classifier."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model.load_weights(file, skip_mismatch=True)
    return model


def _differing(model: keras.Model, file: Path) -> dict[str, str]:
    """Says of each layer that a ``.weights.h5`` file does not fit what differs; none if unread.

    Keras names groups in such a file after classes of layers, numbered.
    """
    made: dict[str, int] = {}
    found: dict[str, str] = {}
    try:
        with h5py.File(file) as content:
            for layer in model.layers if "layers" in content else ():
                kind = _snake(type(layer).__name__)
                number = made[kind] = made.get(kind, -1) + 1
                place = f"layers/{kind}_{number}" if number else f"layers/{kind}"
                for i, variable in enumerate(layer.weights):
                    saved = content.get(f"{place}/vars/{i}")
                    if saved is None or saved.shape != tuple(variable.shape):
                        found.setdefault(layer.name, _unlike(layer, variable, saved))
    except OSError:
        return {}
    return found


def _unlike(layer: keras.Layer, variable: Any, saved: Any) -> str:
    needed = "x".join(map(str, variable.shape))
    has = "nothing" if saved is None else "x".join(map(str, saved.shape))
    return f"layer {layer.name!r} ({variable.name}) needs {needed}, the file has {has} for it"


def _snake(name: str) -> str:
    """Spells the name of a class as Keras does in its files."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
