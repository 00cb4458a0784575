"""Trains a small keras.applications network on CIFAR-10's animals, and writes folders of vehicles.

    python benchmarks/first_hour/pretrain.py ../shared/data/cifar10/train.zip OUT

The zip holds JPEG files as ``train/CLASS/NAME.jpg``. OUT gets ``animals.weights.h5``, in the format
of keras.applications, and ``vehicles/``, JPEGs of several sizes in a folder for each class.
"""

import argparse
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ANIMALS = ("bird", "cat", "deer", "dog", "frog", "horse")
VEHICLES = ("airplane", "automobile", "ship", "truck")
SIDE, EPOCHS, PHOTOS = 64, 20, 150


def read_images(archive: Path, name: str) -> Any:
    """Returns the 5,000 images of a class, uint8 (N, 32, 32, 3)."""
    with zipfile.ZipFile(archive) as content:
        names = sorted(each for each in content.namelist() if f"/{name}/" in each)
        files = (BytesIO(content.read(each)) for each in names)
        return np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])


def pretrain(images: Any, classes: Any, path: Path) -> None:
    """Trains MobileNet 0.25 and saves all but its classifier, which is ImageNet's in size."""
    import keras

    keras.utils.set_random_seed(0)
    body = keras.applications.MobileNet(
        (SIDE, SIDE, 3), alpha=0.25, weights=None, include_top=False, pooling="avg"
    )
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.RandomFlip("horizontal")(inputs)
    x = keras.layers.Resizing(SIDE, SIDE)(x)
    x = keras.layers.Rescaling(1 / 127.5, -1)(x)  # mobilenet.preprocess_input
    model = keras.Model(inputs, keras.layers.Dense(len(ANIMALS))(body(x)))
    steps = EPOCHS * len(images) // 128
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    for layer in body.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.95
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(rate), loss, metrics=["accuracy"])
    model.fit(images, classes, batch_size=128, epochs=EPOCHS, verbose=2)
    body.save_weights(path)


def write_photos(images: Any, folder: Path) -> None:
    """Writes the last images of a class, enlarged to uneven sizes, as JPEGs."""
    rng = np.random.default_rng(len(folder.name))
    folder.mkdir(parents=True, exist_ok=True)
    for i, pixels in enumerate(images[-PHOTOS:]):
        width, height = (int(side) for side in rng.integers(70, 130, 2))
        picture = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
        picture.save(folder / f"{folder.name}-{i:03}.jpg", quality=int(rng.integers(70, 95)))


def main() -> None:
    """Writes the photographs, then the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("zip", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    for name in VEHICLES:
        write_photos(read_images(given.zip, name), given.out / "vehicles" / name)
    images = np.concatenate([read_images(given.zip, name) for name in ANIMALS])
    classes = np.repeat(np.arange(len(ANIMALS)), len(images) // len(ANIMALS))
    order = np.random.default_rng(0).permutation(len(images))
    pretrain(images[order], classes[order], given.out / "animals.weights.h5")


if __name__ == "__main__":
    main()
