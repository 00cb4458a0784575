"""latency: what is measured, what is written for a device, what is said of bad input."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.cli import app
from cnnsearch.errors import CnnsearchError
from cnnsearch.space.sampling import sample_architectures
from cnnsearch.space.search_space import SearchSpace

pytestmark = pytest.mark.programs

SPACE = """
input: [8, 8, 1]
classes: 3
stem: [{type: conv, filters: {choice: [4, 8]}}]
"""


def cnnsearch(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["latency", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def test_a_folder_for_a_device_is_measured_with_nothing_of_cnnsearch(tmp_path: Path) -> None:
    file, folder = tmp_path / "two.yaml", tmp_path / "device"
    file.write_text(SPACE)
    targets = ("--format", "litert,onnx", "--quantize", "float32,int8")
    cnnsearch(file, *targets, "--export", folder)
    script = folder / "measure_latency.py"
    command = [sys.executable, "-P", script, folder, "--seconds", "0.2"]
    done = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True)
    rows = json.loads(done.stdout)
    assert len(rows) == 8, done.stderr  # 2 networks, 4 files each
    assert {row["network"] for row in rows} == {"two-001", "two-002"}
    assert {(row["format"], row["quantize"]) for row in rows} == {
        (format_, quantize) for format_ in ("litert", "onnx") for quantize in ("float32", "int8")
    }
    for row in rows:
        assert 0 < row["low_ms"] <= row["latency_ms"] <= row["high_ms"] < 1000
        assert Architecture.from_data(row["architecture"]).classes == 3
    with pytest.raises(CnnsearchError, match="already exists"):
        cnnsearch(file, "--export", folder)


def test_a_larger_network_takes_longer() -> None:
    rows = json.loads(cnnsearch("resnet-8-mlperf-tiny", "lenet-5", "--seconds", 1, "--json"))
    larger, smaller = rows
    assert (larger["network"], smaller["network"]) == ("resnet-8-mlperf-tiny", "lenet-5")
    assert larger["latency_ms"] > smaller["latency_ms"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lenet-5", "--format", "keras"), "--format keras: latency is measured of litert or onnx"),
        (("lenet-5", "--format", "lite"), "there is no 'lite', did you mean 'litert'"),
        (("lenet-5", "--quantize", "int4"), "--quantize int4: there is no 'int4'"),
        (("lenet-6",), "there is no network or run named 'lenet-6', did you mean 'lenet-5'"),
    ],
)
def test_bad_input(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(CnnsearchError, match=message):
        cnnsearch(*arguments)


def test_random_networks_are_different_and_the_same_for_a_seed() -> None:
    space = SearchSpace.load("residual")
    first, again = (list(sample_architectures(space, 5, seed=3)) for _ in range(2))
    assert [each.fingerprint for each in first] == [each.fingerprint for each in again]
    assert len({each.fingerprint for each in first}) == 5
    assert len(list(sample_architectures(SearchSpace.from_text(SPACE), 5))) == 2
