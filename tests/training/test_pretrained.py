"""Networks of keras.applications: ours compute the same function with the same weights."""

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnsearch.errors import ArchitectureError, DataError, SpaceError
from cnnsearch.space.published import list_published
from cnnsearch.training.finetuning import set_trainable
from cnnsearch.training.pretrained import (
    application_architecture,
    convert_application,
    find_module,
    load_application,
    measure_preprocessing,
)

# Keras's own saving converts its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

APPLICATIONS = {n.name: n.keras_applications for n in list_published() if n.keras_applications}
LIGHT = ["mobilenet-v1-0.25", "mobilenet-v2", "efficientnet-b0", "mobilenet-v3-small"]
TOLERANCE = 1e-4
SMALL = "mobilenet-v1-0.25"


def values(tensor: Any) -> np.ndarray:
    return tensor.numpy() if hasattr(tensor, "numpy") else np.asarray(tensor)


def side(name: str) -> int:
    """The smallest multiple of 32 that keras.applications allows."""
    return 96 if name.startswith(("inception", "xception")) else 64


def smooth_images(name: str, count: int = 4) -> np.ndarray:
    """Random images of 8x8 patches: of plain noise, a random network sees only the mean."""
    patches = side(name) // 8
    draws = np.random.default_rng(7).integers(0, 256, (count, patches, patches, 3))
    return np.kron(draws, np.ones((1, 8, 8, 1))).astype("uint8")


def preprocessed(name: str, images: np.ndarray) -> np.ndarray:
    ready: np.ndarray = find_module(name).preprocess_input(images.astype("float32"))
    return ready


def randomise(model: Any, ready: np.ndarray) -> None:
    """Gives every weight a value that tells, and statistics that keep the maps in range.

    Betas are above zero: rectifiers that are half open amplify rounding errors from layer to layer
    (1.5 times each in a random network), and the test would measure those.
    """
    import keras

    rng = np.random.default_rng(3)
    layers = model._flatten_layers()
    for layer in layers:
        for weight in layer._trainable_variables:
            weight.assign(drawn(rng, layer, weight))
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
        if type(layer) is keras.layers.Normalization and layer.weights:
            layer.adapt_mean.assign([0.3, 0.4, 0.5])
            layer.adapt_variance.assign([0.2, 0.1, 0.3])
            layer.finalize_state()
    model(ready, training=True)
    for layer in layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            mean, variance = (values(x) for x in (layer.moving_mean, layer.moving_variance))
            layer.moving_mean.assign(mean + rng.normal(0, 0.1, mean.shape))
            layer.moving_variance.assign(variance * rng.uniform(0.8, 1.2, mean.shape) + 0.05)
    spread = values(model(ready, training=False)).std()
    kernel = model.layers[-1].kernel if hasattr(model.layers[-1], "kernel") else None
    if kernel is not None:
        kernel.assign(values(kernel) / spread)


def drawn(rng: np.random.Generator, layer: Any, weight: Any) -> np.ndarray:
    if "kernel" in weight.name:
        depthwise = weight.name == "depthwise_kernel" or "Depthwise" in type(layer).__name__
        fan = int(np.prod(weight.shape[:2] if depthwise else weight.shape[:-1]))
        gain = 2.0 if len(weight.shape) == 4 else 1.0
        return rng.normal(0, (gain / fan) ** 0.5, weight.shape)
    if weight.name == "beta":
        return rng.uniform(0.5, 1.5, weight.shape)
    if weight.name == "bias":
        return rng.normal(0, 0.1, weight.shape)
    return rng.uniform(0.7, 1.1, weight.shape)


def difference(name: str) -> tuple[float, float]:
    """How far outputs lie apart: ours from the application's, and one image's from another's."""
    import keras

    keras.backend.clear_session()
    images = smooth_images(name)
    source = load_application(name, input_shape=(side(name), side(name), 3))
    ready = preprocessed(name, images)
    randomise(source, ready)
    ours = convert_application(source, name, image=(side(name), side(name)))
    theirs = values(source(ready, training=False))
    found = values(ours(images, training=False))
    return float(np.abs(theirs - found).max()), float(np.abs(theirs[0] - theirs[1]).max())


def check(name: str) -> None:
    apart, between_images = difference(name)
    print(f"{name}: outputs are {apart:.1e} apart, those of two images {between_images:.2f}")
    assert between_images > 0.1
    assert apart < TOLERANCE


@pytest.mark.parametrize("name", LIGHT)
def test_computes_the_same_function(name: str) -> None:
    check(name)


@pytest.mark.slow
@pytest.mark.networks
@pytest.mark.parametrize("name", [name for name in APPLICATIONS if name not in LIGHT])
def test_all_compute_the_same_function(name: str) -> None:
    check(name)


def test_every_application_of_the_issue_is_there() -> None:
    named = """ResNet50 ResNet101 ResNet152 ResNet50V2 ResNet101V2 ResNet152V2 DenseNet121
        DenseNet169 DenseNet201 MobileNet MobileNetV2 InceptionV3 InceptionResNetV2 Xception VGG16
        VGG19 EfficientNetB0 EfficientNetB1 EfficientNetB2 EfficientNetB3 EfficientNetB4
        EfficientNetB5 EfficientNetB6 EfficientNetB7 ConvNeXtTiny ConvNeXtSmall ConvNeXtBase
        ConvNeXtLarge ConvNeXtXLarge NASNetMobile NASNetLarge MobileNetV3Small MobileNetV3Large
        EfficientNetV2B0 EfficientNetV2B1 EfficientNetV2B2 EfficientNetV2B3 EfficientNetV2S
        EfficientNetV2M EfficientNetV2L"""
    assert set(named.split()) == set(APPLICATIONS.values())


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A small application with random weights, and the file they are saved in."""
    source = load_application("mobilenet-v1-0.25", input_shape=(64, 64, 3))
    randomise(source, preprocessed("mobilenet-v1-0.25", smooth_images("mobilenet-v1-0.25")))
    file = tmp_path_factory.mktemp("weights") / "mobilenet.weights.h5"
    source.save_weights(file)
    return source, file


def test_weights_load_from_a_file(saved: tuple[Any, Path]) -> None:
    source, file = saved
    images = smooth_images("mobilenet-v1-0.25")
    ours = convert_application(
        load_application("mobilenet-v1-0.25", file), "mobilenet-v1-0.25", image=(64, 64)
    )
    theirs = values(source(preprocessed("mobilenet-v1-0.25", images), training=False))
    found = values(ours(images, training=False))
    np.testing.assert_allclose(found, theirs, rtol=0, atol=TOLERANCE)


def test_another_number_of_classes_gets_a_new_head(saved: tuple[Any, Path]) -> None:
    ours = convert_application(
        load_application("mobilenet-v1-0.25", saved[1]),
        "mobilenet-v1-0.25",
        classes=5,
        image=(64, 64),
    )
    assert ours.output_shape == (None, 5)
    stem = next(layer for layer in saved[0].layers if layer.name == "conv1")
    found = next(layer for layer in ours.layers if layer.name == "stem.0.conv")
    np.testing.assert_array_equal(values(found.kernel), values(stem.kernel))


def test_frozen_networks_train_their_head_only(saved: tuple[Any, Path]) -> None:
    ours = convert_application(
        load_application("mobilenet-v1-0.25", saved[1]),
        "mobilenet-v1-0.25",
        classes=5,
        image=(64, 64),
    )
    set_trainable(ours, "head")
    assert [tuple(w.shape) for w in ours.trainable_weights] == [(256, 5), (5,)]
    images = smooth_images("mobilenet-v1-0.25")
    before = values(ours(images, training=False))
    ours(images, training=True)  # batch normalization's statistics stay too
    np.testing.assert_array_equal(values(ours(images, training=False)), before)


def test_weights_of_another_network_are_refused(saved: tuple[Any, Path]) -> None:
    with pytest.raises(DataError, match=r"mobilenet\.weights\.h5: no weights of .*mobilenetv2"):
        load_application("mobilenet-v2", saved[1])
    with pytest.raises(ArchitectureError, match=r"3x3x3x8.*'stem\.0\.conv'.*3x3x3x32"):
        convert_application(saved[0], "mobilenet-v1")


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        load_application("mobilenet-v1-0.25", tmp_path / "none.weights.h5")


def test_a_broken_file_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "broken.weights.h5"
    file.write_bytes(b"not HDF5")
    with pytest.raises(DataError, match=r"broken\.weights\.h5"):
        load_application("mobilenet-v1-0.25", file)


def test_a_failed_download_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    def offline(**_: object) -> None:
        raise Exception("URL fetch failure on https://example.org: no route to host")

    monkeypatch.setattr(keras.applications, "MobileNet", offline)
    with pytest.raises(DataError, match="cannot be downloaded: URL fetch failure"):
        load_application("mobilenet-v1-0.25", "imagenet")


def test_names_are_checked() -> None:
    with pytest.raises(SpaceError, match="'resnet-50'"):
        load_application("resnet-5O")
    with pytest.raises(DataError, match=r"no weights for 'resnet-18'"):
        load_application("resnet-18")


def test_styles_change_only_what_is_meant() -> None:
    style = application_architecture("inception-v3").style
    assert not style.norm_scale
    assert style.norm_epsilon == 1e-3
    assert application_architecture("resnet-50").style.bias is True


def test_preprocessing_is_that_of_the_application() -> None:
    source = load_application("vgg-16", input_shape=(32, 32, 3), classes=2)
    mean, std, swapped = measure_preprocessing(source, "vgg-16")
    np.testing.assert_allclose(np.array(mean) * 255, [123.68, 116.779, 103.939], rtol=1e-5)
    np.testing.assert_allclose(np.array(std) * 255, 1.0, rtol=1e-5)
    assert swapped


def efficientnet_images() -> np.ndarray:
    """Images of the only size that ImageNet's weights allow."""
    return np.kron(
        smooth_images("efficientnet-b0", 2)[:, ::8, ::8], np.ones((1, 28, 28, 1), "uint8")
    )


def build_efficientnet(imagenet: bool, monkeypatch: pytest.MonkeyPatch) -> Any:
    """EfficientNetB0 as keras.applications builds it with and without ImageNet's weights."""
    import keras

    module = sys.modules[keras.applications.EfficientNetB0.__module__]
    if not imagenet:
        return keras.applications.EfficientNetB0(weights=None, classifier_activation=None)
    with monkeypatch.context() as offline:
        offline.setattr(module.file_utils, "get_file", lambda *_, **__: "a download")
        offline.setattr(keras.Model, "load_weights", lambda *_, **__: None)
        return keras.applications.EfficientNetB0(weights="imagenet", classifier_activation=None)


def compare_loaded(source: Any, file: Path) -> float:
    """The largest difference of logits between an application and its weights loaded by us."""
    images = efficientnet_images()
    ours = convert_application(load_application("efficientnet-b0", file), "efficientnet-b0")
    theirs = values(source(images.astype("float32"), training=False))
    assert np.abs(theirs[0] - theirs[1]).max() > 0.1  # the images differ
    return float(np.abs(values(ours(images, training=False)) - theirs).max())


@pytest.mark.parametrize("imagenet", [pytest.param(False, marks=pytest.mark.slow), True])
def test_efficientnet_files_of_either_build_compute_the_same_function(
    imagenet: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = build_efficientnet(imagenet, monkeypatch)
    kinds = [type(layer).__name__ for layer in source.layers]
    assert kinds.count("Rescaling") == 1 + imagenet
    randomise(source, efficientnet_images().astype("float32"))
    source.save_weights(tmp_path / "b0.weights.h5")
    assert compare_loaded(source, tmp_path / "b0.weights.h5") < TOLERANCE


@pytest.mark.slow
def test_a_downloaded_efficientnet_file_is_of_the_imagenet_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import h5py
    import keras
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    source = build_efficientnet(True, monkeypatch)
    randomise(source, efficientnet_images().astype("float32"))
    older = build_efficientnet(False, monkeypatch)  # the downloads are older than the second layer
    older.set_weights(source.get_weights())
    with h5py.File(tmp_path / "efficientnetb0.h5", "w") as file:
        save_weights_to_hdf5_group(file, older)
    digest = hashlib.md5((tmp_path / "efficientnetb0.h5").read_bytes()).hexdigest()
    module = sys.modules[keras.applications.EfficientNetB0.__module__]
    assert len(digest) == len(module.WEIGHTS_HASHES["b0"][0])
    monkeypatch.setitem(module.WEIGHTS_HASHES, "b0", (digest, ""))
    assert compare_loaded(source, tmp_path / "efficientnetb0.h5") < TOLERANCE
