"""A key of a stage that changes no candidate is refused, in one line."""

from pathlib import Path

import pytest

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.errors import SpaceError
from cnnsearch.space.effects import remove_unused
from cnnsearch.space.files import list_published_files, list_spaces
from cnnsearch.space.search_space import SearchSpace

HEAD = "input: [8, 8, 1]\nclasses: 3\nstages:\n  - "
WIDTHS = "[[8, 4, 8, 4, 8, 8]]"

IGNORED = [
    ("{block: {type: dense, growth: 4}, width: 7}", "stages.0.width: has no effect on a 'dense'"),
    ("{block: {type: dense, growth: 4}, width: {int: [4, 9]}}", "stages.0.width: has no effect"),
    ("{block: {type: parallel, paths: [[]]}, width: 7}", "stages.0.width: has no effect"),
    ("{block: {type: xception, widths: [4], layers: 2}}", "stages.0.block.layers: has no effect"),
    (
        "{block: {type: bottleneck, squeeze_ratio: 0.25, attention: {type: eca}}, width: 8}",
        "stages.0.block.squeeze_ratio: has no effect on a 'bottleneck' block whose attention takes",
    ),
    (
        "{block: {type: inception, branches: [8, 4, 8, 4, 8, 8], reduction: 0.5}}",
        "stages.0.block.reduction: has no effect on a 'inception' block as given here, got 0.5",
    ),
    ("{block: plain, width: 8, depth: 2, stride_on: last}", "stride_on: has no effect where"),
    (
        "{block: plain, width: 8, stride: 2, stride_on: last}",
        "stages.0.stride_on: has no effect in a stage of one block, got 'last'; remove it",
    ),
    ("{block: plain, width: 8, downsample: max_pool}", "downsample: has no effect where nothing"),
    (
        "{block: dense, width: 8, stride: 2, downsample: max_pool}",
        "stages.0.downsample: has no effect on 'dense' blocks, got 'max_pool'; remove it",
    ),
]


def load(stage: str, folder: Path) -> SearchSpace:
    file = folder / "space.yaml"
    file.write_text(HEAD + stage)
    return SearchSpace.load(file)


@pytest.mark.parametrize(("stage", "message"), IGNORED)
def test_a_key_without_effect_is_refused(stage: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=message.replace("[", r"\[")) as caught:
        load(stage, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "stage",
    [
        "{block: {type: dense, growth: {choice: [4, null]}}, width: 8}",
        "{block: {choice: [{type: dense, growth: 4}, {type: plain}]}, width: 8}",
        "{block: {choice: [dense, plain]}, width: 8, stride: {choice: [1, 2]}, "
        "downsample: max_pool}",
        "{block: plain, width: 8, depth: 0}",
        "{block: plain, width: 8, depth: {int: [1, 2]}, stride: 2, stride_on: last}",
        "{block: {type: inception_residual}, width: 8}",
    ],
)
def test_a_key_with_an_effect_on_some_candidate_is_allowed(stage: str, tmp_path: Path) -> None:
    assert load(stage, tmp_path).decode_first()


@pytest.mark.parametrize("name", [*list_spaces(), *list_published_files()])
def test_shipped_files_hold_no_key_without_effect(name: str) -> None:
    assert SearchSpace.load(name).name


@pytest.mark.parametrize(("stage", "message"), IGNORED)
def test_spaces_stored_by_version_0_1_are_still_read(stage: str, message: str) -> None:
    assert SearchSpace.from_text(HEAD + stage).decode_first()


def test_a_candidate_is_written_without_keys_that_have_no_effect(tmp_path: Path) -> None:
    stage = {"block": {"type": "dense", "growth": 4}, "width": 7, "downsample": "max_pool"}
    candidate = Architecture.from_data({"input": [8, 8, 1], "classes": 3, "stages": [stage]})
    written = SearchSpace.from_architecture(remove_unused(candidate))
    file = tmp_path / "candidate.yaml"
    file.write_text(written.text)
    assert SearchSpace.load(file).decode_first().architecture.fingerprint == candidate.fingerprint
