"""RAM and flash against int8 LiteRT files that are converted here and now.

``benchmarks/devices/count_exports.py`` does the same with more networks.
"""

import random
from functools import cache
from pathlib import Path

import pytest

from benchmarks.devices.exported_file import ExportedFile, FeatureMap, export, list_networks
from benchmarks.devices.reordering import find_best_peak
from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count, lower_network
from cnnsearch.exporters.formats.litert import LiteRT
from cnnsearch.space.files import list_spaces
from tests.architecture.test_execution_order import compute_peak, draw_operators, list_orders

# TensorFlow and the converter warn of things that are not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")

MANY = 64
FACTS = {
    "run": "cifar", "trial": "0012", "mlflow_run_id": "0" * 32, "versions": {"cnnsearch": "0.1.0"},
    "output": "class probabilities (batch, classes), in the order of class_names",
}  # fmt: skip
FEW = ("tiny-0", "tiny-1", "fractal-0", "inception-0", "separable-0")


@cache
def draw_networks() -> dict[str, Architecture]:
    """Random networks of every space that ships, the same in every run."""
    return {name: found for name, _, found in list_networks(list(list_spaces()), MANY)}


def compare(name: str, path: Path) -> None:
    network = draw_networks()[name]
    content, cost = export(network), count(network)
    file = ExportedFile.read(content)
    assert cost.peak_activation_bytes == file.peak
    assert lower_network(network).flash_bytes == pytest.approx(len(content), rel=0.02)
    path.write_bytes(content)
    names = [f"class{number:05}" for number in range(network.classes)]
    LiteRT().embed(path, {**FACTS, "class_names": names, "input": network.input})
    assert cost.flash_bytes == pytest.approx(path.stat().st_size, rel=0.02)
    # No planner packs maps without gaps, and the interpreter keeps the image all the time.
    assert file.peak <= file.plan() <= 1.35 * file.peak
    assert file.arena <= 1.35 * (file.peak + file.maps[0].size)


@pytest.mark.programs
@pytest.mark.parametrize("name", FEW)
def test_counts_are_those_of_the_file(name: str, tmp_path: Path) -> None:
    compare(name, tmp_path / "model-int8.tflite")


@pytest.mark.slow
@pytest.mark.parametrize("place", range(MANY))
def test_counts_are_those_of_the_files_of_every_space(place: int, tmp_path: Path) -> None:
    compare(list(draw_networks())[place], tmp_path / "model-int8.tflite")


def test_the_peak_and_a_plan_by_hand() -> None:
    """The third map is written when the first one has been read; there is no place for it."""
    maps = (FeatureMap(10, 0, 1), FeatureMap(30, 1, 2), FeatureMap(20, 2, 3), FeatureMap(15, 3, 3))
    file = ExportedFile(4, maps)
    assert file.peak == 50  # operator 2: 30 + 20
    assert file.plan(1) == 50  # 30 at 0, 20 at 30; 15 at 0, where 30 was
    assert file.plan(16) == 32 + 20
    gap = (FeatureMap(30, 0, 0), FeatureMap(20, 0, 2), FeatureMap(40, 2, 2), FeatureMap(5, 0, 2))
    assert ExportedFile(3, gap).peak == 65
    assert ExportedFile(3, gap).plan(1) == 65


def test_the_best_order_is_that_of_all_orders() -> None:
    rng = random.Random(1)
    for _ in range(60):
        operators = draw_operators(rng)
        best = min(compute_peak(operators, order) for order in list_orders(operators))
        assert find_best_peak(operators) == best
