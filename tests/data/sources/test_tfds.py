import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cnnsearch.data import Dataset, load
from cnnsearch.data.sources import tfds as tfds_source
from cnnsearch.errors import DataError

BUILDER = """
import sys
import numpy as np
import tensorflow_datasets as tfds

class CnnBlobs(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.2.0")
    RELEASE_NOTES = {"1.2.0": "first"}

    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({
            "image": tfds.features.Image(shape=(None, None, 3)),
            "label": tfds.features.ClassLabel(names=["zebra", "ape"]),
            "note": tfds.features.Text(),
        }))

    def _split_generators(self, manager):
        return {"train": self._generate_examples(40), "test": self._generate_examples(10)}

    def _generate_examples(self, count):
        for i in range(count):
            image = np.full((10 + i % 3, 12, 3), 5 * i, np.uint8)
            image[..., 0] = 255
            yield i, {"image": image, "label": i % 2, "note": "x"}

CnnBlobs(data_dir=sys.argv[1]).download_and_prepare()
"""


def open_tfds(name: str, root: Path, **options: object) -> Dataset:
    settings: dict[str, object] = {"image": (8, 8), "channels": None} | options
    return load(f"tfds:{name}", cache=root / "cache", data_dir=root / "data", **settings)  # type: ignore[arg-type]


def refusal(name: str, root: Path) -> str:
    with pytest.raises(DataError) as caught:
        open_tfds(name, root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tfds")
    (root / "builder.py").write_text(BUILDER)
    done = subprocess.run(
        [sys.executable, str(root / "builder.py"), str(root / "data")],
        capture_output=True,
        text=True,
        env={"CUDA_VISIBLE_DEVICES": "-1", "PATH": "", "HOME": str(root)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return root


@pytest.mark.slow
def test_prepared_data_is_read_without_network(prepared: Path) -> None:
    data = open_tfds("cnn_blobs", prepared)
    assert data.class_names == ("zebra", "ape") and data.source == "tfds:cnn_blobs"
    assert (data.channels, data.flip) == (3, True)
    assert (data.train.count, data.validation.count, data.test.count) == (32, 8, 10)
    assert not data.test.materialised
    levels = sorted(
        int(image[0, 0, 1]) for split in (data.train, data.validation) for image in split.images()
    )
    assert levels == [min(5 * i, 255) for i in range(40)]
    for split in (data.train, data.validation, data.test):
        images, labels = split.images(), split.labels()
        assert (images[..., 0] == 255).all()
        np.testing.assert_array_equal(images[:, 0, 0, 1] // 5 % 2, labels)
    assert "tensorflow_datasets" not in sys.modules
    assert open_tfds("cnn_blobs/1.2.0", prepared).fingerprint == data.fingerprint


@pytest.mark.slow
def test_a_name_that_tfds_does_not_know(tmp_path: Path) -> None:
    message = refusal("mnits", tmp_path)
    assert "not prepared in" in message and "did you mean 'mnist'" in message


@pytest.mark.slow
def test_a_prepared_directory(prepared: Path) -> None:
    by_name = open_tfds("cnn_blobs", prepared)
    for place in ("data/cnn_blobs/1.2.0", "data/cnn_blobs"):
        data = load(
            f"tfds:{prepared / place}", image=(8, 8), channels=None, cache=prepared / "cache"
        )
        assert data.fingerprint == by_name.fingerprint


@pytest.mark.slow
def test_our_own_builder_needs_no_network(tmp_path: Path) -> None:
    data = open_tfds("cnnsearch_digits", tmp_path)
    digits = load("digits", image=(8, 8), channels=None, cache=tmp_path / "cache")
    assert (data.class_names, data.channels, data.flip) == (digits.class_names, 1, False)
    assert data.train.count + data.validation.count + data.test.count == 1797

    def pairs(one: Dataset) -> list[tuple[bytes, int]]:
        splits = (one.train, one.validation, one.test)
        return sorted(
            (image.tobytes(), int(label))
            for split in splits
            for image, label in zip(split.images(), split.labels(), strict=True)
        )

    assert pairs(data) == pairs(digits)
    records = list((tmp_path / "data" / "cnnsearch_digits" / "1.0.0").glob("*.tfrecord-*"))
    assert records, "prepared as TFRecord"


@pytest.mark.slow
def test_no_network_is_said_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("no_proxy", "")
    started = time.monotonic()
    message = refusal("mnist", tmp_path)
    assert "not prepared in" in message and "could not be downloaded and prepared" in message
    assert time.monotonic() - started < 90  # eleven tries took 205 s, five more take 14 s


def test_a_directory_without_prepared_data(tmp_path: Path) -> None:
    assert "no prepared TFDS data there" in refusal(str(tmp_path), tmp_path)
    (tmp_path / "1.0.0").mkdir()
    (tmp_path / "1.0.0" / "dataset_info.json").write_text("[]")
    assert "dataset_info.json is not readable" in refusal(str(tmp_path), tmp_path)


def test_a_form_that_is_none(tmp_path: Path) -> None:
    assert "is not of the form tfds:NAME[:config][/version]" in refusal("a b", tmp_path)


def test_a_process_that_cannot_import_tfds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "block").mkdir()
    (tmp_path / "block" / "tensorflow.py").write_text(
        "raise ModuleNotFoundError('blocked', name='tensorflow')"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "block"))
    assert "and tensorflow is not installed (pip install tensorflow" in refusal("mnist", tmp_path)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("mnist", ("mnist", None, None)),
        ("mnist:3.0.1", ("mnist", None, "3.0.1")),
        ("mnist/3.0.1", ("mnist", None, "3.0.1")),
        ("emnist:letters/3.1.0", ("emnist", "letters", "3.1.0")),
        ("emnist/letters:3.1.0", ("emnist", "letters", "3.1.0")),
        ("emnist/letters", ("emnist", "letters", None)),
    ],
)
def test_forms_of_a_name(text: str, parts: tuple[str | None, ...]) -> None:
    source = tfds_source.TfdsSource(text, None)
    assert (source._dataset, source._config, source._version) == parts


def test_the_newest_prepared_version_is_taken(tmp_path: Path) -> None:
    for name in ("set/1.9.0", "set/1.10.0", "many/a/1.0.0", "many/b/1.0.0"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "dataset_info.json").write_text("{}")
    source = tfds_source.TfdsSource("set", tmp_path)
    assert source._find_prepared() == tmp_path / "set" / "1.10.0"
    source = tfds_source.TfdsSource("set/1.9.0", tmp_path)
    assert source._find_prepared() == tmp_path / "set" / "1.9.0"
    assert tfds_source.TfdsSource("many:b", tmp_path)._find_prepared() == tmp_path / "many/b/1.0.0"
    with pytest.raises(DataError, match="one of a, b"):
        tfds_source.TfdsSource("many", tmp_path)._find_prepared()
