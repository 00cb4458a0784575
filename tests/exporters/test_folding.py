"""Training branches folded into one convolution: the same outputs from fewer layers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.architecture.cost_table import cost_data, cost_lines
from cnnsearch.errors import ExportError
from cnnsearch.exporters.formats.base import ExportJob
from cnnsearch.exporters.onnx_model import build_onnx_model
from cnnsearch.exporters.worker import fold_job
from cnnsearch.space.published import load_published
from cnnsearch.training import checkpoint
from cnnsearch.training.folding import fold_weights

# Keras's own conversion of its variables, of which NumPy 2 warns.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NETWORK: dict[str, Any] = {
    "input": [11, 12, 3],
    "classes": 5,
    "stem": [{"type": "conv", "filters": 8}],
    "stages": [
        {"block": "repvgg", "width": 12, "stride": 2},
        {
            "block": {
                "type": "repvgg",
                "branches": 2,
                "kernel": 5,
                "groups": 4,
                "attention": {"type": "eca"},
            },
            "width": 12,
        },
        {"block": {"type": "mobileone", "branches": 3}, "depth": 2, "width": 16, "stride": 2},
        {"block": "basic", "width": 16},
    ],
}
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 11, 12, 3)).astype("uint8")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[ExportJob, np.ndarray]:
    """A network whose weights and statistics differ from channel to channel, and its logits."""
    from cnnsearch.training.model import build

    model = build(Architecture.from_data(NETWORK))
    rng = np.random.default_rng(1)
    for weight in model.weights:
        low, high = (-0.4, 0.4) if "kernel" in weight.path else (0.5, 1.5)
        weight.assign(rng.uniform(low, high, weight.shape))
    file = tmp_path_factory.mktemp("trained") / checkpoint.BEST
    checkpoint.save_weights(model, file)
    job = ExportJob(
        Architecture.from_data(NETWORK).to_json(), [0.0] * 3, [1.0] * 3, [11, 12], None, None,
        str(file),
    )  # fmt: skip
    return job, np.asarray(model(IMAGES, training=False))


def test_the_folded_model_has_the_same_outputs(
    trained: tuple[ExportJob, np.ndarray], tmp_path: Path
) -> None:
    from cnnsearch.training.model import build

    job, expected = trained
    folded = fold_job(job, tmp_path)
    architecture = Architecture.from_json(folded.architecture)
    model = build(architecture)
    checkpoint.load_weights(model, Path(folded.weights))
    found = np.asarray(model(IMAGES, training=False))
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
    assert np.abs(expected[0] - expected[1]).max() > 0.01
    assert model.count_params() == count(architecture).params_total
    assert not [w for w in model.weights if w.path.startswith("stages.2.1.batch_norm")]


def test_onnx_takes_the_folded_weights(
    trained: tuple[ExportJob, np.ndarray], tmp_path: Path
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    job, logits = trained
    model = build_onnx_model(fold_job(replace(job, size=[11, 12]), tmp_path))
    assert sum(node.op_type == "Conv" for node in model.graph.node) == 1 + 2 + 2 * 2 + 2 + 1
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, {"image": IMAGES})
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    assert np.abs(found - powers / powers.sum(axis=1, keepdims=True)).max() < 1e-5


def test_a_network_without_branches_stays_as_it_is(tmp_path: Path) -> None:
    job = ExportJob(load_published("resnet-18").to_json(), [], [], [224, 224], None, None, "none")
    assert fold_job(job, tmp_path) is job


def test_layer_normalization_is_not_folded() -> None:
    network = Architecture.from_data({**NETWORK, "style": {"norm": "layer"}})
    assert network.fold() is network


def test_weights_of_another_network_are_refused() -> None:
    network = Architecture.from_data(NETWORK)
    with pytest.raises(ExportError, match=r"no stages\.0\.0\.conv/kernel.*another network"):
        fold_weights(network, network.fold(), {})


def test_cost_shows_both_counts() -> None:
    network = load_published("repvgg-a0")
    assert "8,309,384 params" in cost_lines(network)
    assert cost_data(network, "stage")["deployed"]["params"] == 8_309_384
    assert "deployed" not in cost_lines(load_published("resnet-18"))
