"""Published networks that start from the weights of keras.applications.

The build of a network there may differ from its paper in ways that change the function: biases in
front of batch normalization, no gamma, another epsilon. Those are a matter of style, and
:data:`STYLES` has them; the wiring is that of the published file.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import keras
import numpy as np

from cnnsearch.architecture import Architecture
from cnnsearch.blocks.ops import Style
from cnnsearch.errors import ArchitectureError, DataError, nearest
from cnnsearch.model import build
from cnnsearch.published import load, published
from cnnsearch.weights import PREPROCESSING, copy_weights, weights_in_order

_RESNET: Final = {"bias": True, "norm_epsilon": 1.001e-5}
_DENSENET: Final = {"norm_epsilon": 1.001e-5}
_NO_GAMMA: Final = {"norm_scale": False}

STYLES: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "ResNet50": _RESNET,
        "ResNet101": _RESNET,
        "ResNet152": _RESNET,
        "DenseNet121": _DENSENET,
        "DenseNet169": _DENSENET,
        "DenseNet201": _DENSENET,
        "InceptionV3": _NO_GAMMA,
        "InceptionResNetV2": _NO_GAMMA,
    }
)
"""What keras.applications' build of a network changes of the published style."""

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
    """What an application does to raw pixels, as :func:`cnnsearch.model.build` is told it.

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


def application(name: str, weights: str | Path | None = None, **options: Any) -> keras.Model:
    """Returns keras.applications' own build of a published network, with logits at its end.

    Args:
        name: of the published network.
        weights: ``imagenet``, a file, or None for random ones.
        options: further arguments for keras.applications, ``input_shape`` say.
    """
    make = getattr(keras.applications, _application_name(name))
    if name in ALPHAS:
        options["alpha"] = ALPHAS[name]
    options["classifier_activation"] = None
    if weights is None or str(weights) != "imagenet":
        model = make(weights=None, **options)
        return model if weights is None else _loaded(model, Path(weights))
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
    architecture = application_architecture(name).adapted(
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


def application_architecture(name: str) -> Architecture:
    """Returns a published network in the style of keras.applications' build of it."""
    changes = STYLES.get(_application_name(name), {})
    architecture = load(name)
    style = Style(**{**architecture.style.model_dump(), **changes})
    return architecture.model_copy(update={"style": style})


def freeze_body(model: keras.Model) -> None:
    """Makes every layer but the head's untrainable; batch normalization then keeps its statistics.

    Raises:
        ArchitectureError: the model has no layers in a head.
    """
    if not any(layer.name.startswith("head") and layer.weights for layer in model.layers):
        raise ArchitectureError(f"model {model.name!r} has no head that could be trained alone")
    for layer in model.layers:
        layer.trainable = layer.name.startswith("head")


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


def _application_name(name: str) -> str:
    known = {n.name: n.keras_applications for n in published() if n.keras_applications}
    if name in known:
        return str(known[name])
    load(name)
    hint = nearest(name, known) or f" (it has {', '.join(known)})"
    raise DataError(f"keras.applications has no weights for {name!r}{hint}")


def _loaded(model: keras.Model, file: Path) -> keras.Model:
    if not file.is_file():
        raise DataError(f"{file}: there is no such file of weights")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # Keras only warns of layers left random
            model.load_weights(file)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        first = str(error).strip().splitlines()[0]
        raise DataError(
            f"{file}: no weights of keras.applications' {model.name}: {first}"
        ) from None
    return model
