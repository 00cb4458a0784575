"""cost, diff and draw: what a user sees, and what is said of bad input."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost_table import cost_rows
from cnnsearch.architecture.diff import align
from cnnsearch.architecture.labels import describe_place
from cnnsearch.cli import app
from cnnsearch.errors import CnnsearchError
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.lookup import find_architecture
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.utils.units import parse_image

TINY = "input: [16, 16, 3]\nclasses: 4\nstages: [{block: basic, depth: 2, width: 16, stride: 2}]\n"


def cnnsearch(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return str(result.output)


def published(name: str) -> Architecture:
    return SearchSpace.load(name).decode_first().architecture


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with one run of two finished trials and one that still trains."""
    net = Architecture.from_data(SearchSpace.from_text(TINY).decode_first().architecture.to_data())
    run = RunDirectory.create(tmp_path / "runs", "mine", {"settings": {}}, TINY)
    for number, (trial, score) in enumerate((("00", 0.5), ("01", 0.75), ("02", None))):
        wide = {**net.to_data(), "classes": 4 + number}
        started = {
            "number": number, "values": {}, "architecture": wide, "recipe": {}, "fingerprint": "f",
            "family": "residual", "params": 1, "params_total": 1, "macs": 1, "epochs": 1,
        }  # fmt: skip
        run.db.append("trial_started", started, trial)
        if score is not None:
            ended = {"status": "completed", "score": score, "reason": None, "metrics": {}}
            run.db.append("trial_ended", {**ended, "seconds": 1.0}, trial)
    run.close()
    return tmp_path / "runs"


@pytest.mark.parametrize("by", ["layer", "block", "stage"])
def test_the_rows_add_up_to_the_totals(by: str) -> None:
    data = json.loads(cnnsearch("cost", "googlenet", "--by", by, "--json"))
    assert (data["params"], data["macs"], data["flops"]) == (6998552, 1582671872, 3165343744)
    for key in ("params", "params_total", "macs"):
        assert sum(row[key] for row in data["rows"]) == data[key]
    assert len(data["rows"]) == {"layer": 84, "block": 19, "stage": 13}[by]


def test_a_layer_names_its_bias_normalization_and_activation(tmp_path: Path) -> None:
    text = """
    input: [8, 8, 3]
    classes: 2
    stem: [{type: conv, filters: 4, norm: false}, {type: conv, filters: 4, activation: false}]
    stages: [{block: inverted_residual, width: 4, norm: none, activation: swish}]
    """
    (tmp_path / "net.yaml").write_text(text)
    data = json.loads(cnnsearch("cost", str(tmp_path / "net.yaml"), "--by", "layer", "--json"))
    stem, stage = ["relu", "batch norm"], ["bias, swish", "bias, swish", "bias", ""]
    assert [row["then"] for row in data["rows"]] == [*stem, *stage, "", "bias"]
    assert "conv 3x3, batch norm" in cnnsearch("cost", str(tmp_path / "net.yaml"), "--by", "layer")


def test_the_table_names_places_kinds_and_shapes() -> None:
    output = cnnsearch("cost", "resnet-50", "--by", "stage")
    assert "resnet-50: 224x224x3, 1000 classes" in output
    assert "4 x bottleneck 128 /2 stride on first" in output
    assert "28x28x512" in output and "25,557,032" in output
    assert "7,715,946,496  (7.72G: 2 x MACs)" in output


def test_another_image_size() -> None:
    data = json.loads(cnnsearch("cost", "resnet-50", "--image", "192x256", "--json"))
    assert data["input"] == [192, 256, 3]
    assert data["params"] == 25557032 and data["macs"] < 3857973248 * 1.0


def test_two_networks_are_aligned_by_what_their_stages_repeat() -> None:
    pairs = align(published("resnet-50"), published("resnet-101"), "stage")
    assert [pair.mark for pair in pairs] == ["=", "=", "=", "=", "~", "=", "="]
    pairs = align(published("resnet-50"), published("resnet-101"), "block")
    assert [pair.mark for pair in pairs].count(">") == 17
    assert all(
        pair.left is None or pair.left.place == pair.right.place for pair in pairs if pair.right
    )


def test_a_network_is_the_same_as_itself() -> None:
    for name in ("googlenet", "efficientnet-b0", "densenet-40-12"):
        assert {pair.mark for pair in align(published(name), published(name), "block")} == {"="}


def test_diff_prints_both_and_the_ratio() -> None:
    output = cnnsearch("diff", "efficientnet-b0", "efficientnet-b1")
    assert "3 x mbconv 24 /2" in output and "2 x mbconv 24 /2" in output
    assert "686,802,832   1.780" in output
    data = json.loads(cnnsearch("diff", "efficientnet-b0", "efficientnet-b1", "--json"))
    assert data["right"]["macs"] == 686802832
    assert {row["mark"] for row in data["rows"]} == {"=", "~"}


def test_every_place_has_its_words() -> None:
    for name in ("googlenet-auxiliary", "densenet-121", "inception-v4", "lenet-5", "xception"):
        net = published(name)
        for by in ("block", "stage"):
            assert all(row.kind for row in cost_rows(net, by))
    assert describe_place(published("densenet-121"), "stages.3.end") == "norm, activation"


def test_a_trial_and_the_best_of_a_run(runs: Path) -> None:
    assert find_architecture("mine:00", runs).classes == 4
    assert find_architecture("mine:2", runs).classes == 6
    assert (
        find_architecture("mine", runs).classes == find_architecture("mine:best", runs).classes == 5
    )
    assert "mine-01" in cnnsearch("cost", "mine", "--runs", runs)


def test_a_file_without_choices_and_one_with(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(TINY)
    assert find_architecture(str(file), tmp_path).name == "net"
    file.write_text(TINY.replace("depth: 2", "depth: {int: [1, 2]}"))
    with pytest.raises(
        CnnsearchError, match=r"net.yaml is a space with 1 choices .*stages.0.depth"
    ):
        find_architecture(str(file), tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("goglenet", "there is no network or run named 'goglenet', did you mean 'googlenet'"),
        ("mime", "there is no network or run named 'mime', did you mean 'mine'"),
        (
            "fbnetc_100",
            "there is no network or run named 'fbnetc_100' (cnnsearch published lists the "
            "networks, runs the runs; a file needs its ending, such as .yaml)",
        ),
        ("mine:77", "run 'mine' has no trial '77' (it has 3)"),
        ("other:1", "there is no network or run named 'other:1'"),
        ("residual", "residual is a space with"),
        ("nowhere/net.yaml", "nowhere/net.yaml: there is no such space file"),
    ],
)
def test_a_name_that_is_no_network(name: str, message: str, runs: Path) -> None:
    with pytest.raises(CnnsearchError) as caught:
        find_architecture(name, runs)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_resolution_too_small_for_the_strides_names_the_place() -> None:
    with pytest.raises(CnnsearchError) as caught:
        cnnsearch("cost", "vgg-16", "--image", "16")
    message = "vgg-16 at 16x16: stages.9: stride 2 on a 1x1 map shrinks it below 1x1"
    assert str(caught.value) == message


@pytest.mark.parametrize("image", ["", "0", "-4", "4x4x4", "big", "224x", "5000", "1e3"])
def test_a_bad_image_size_is_refused(image: str) -> None:
    with pytest.raises(CnnsearchError, match="--image: expected a side in pixels"):
        parse_image(image)


def test_an_image_size_is_height_first() -> None:
    assert parse_image("224") == (224, 224)
    assert parse_image(" 192 x 256 ") == (192, 256)


def test_draw_writes_the_picture(tmp_path: Path) -> None:
    out = tmp_path / "lenet.svg"
    assert cnnsearch("draw", "lenet-5", "--out", out) == f"Drew lenet-5 to {out}.\n"
    assert out.read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("lenet-5", "with fixed prototypes"),
        ("resnet-18", "with BatchNorm's moving statistics"),
        ("vgg-11", "all of them trainable"),
    ],
)
def test_cost_names_the_parameters_that_are_not_trained(name: str, total: str) -> None:
    assert f"({total})" in cnnsearch("cost", name)
