"""The model card says what a user of the files has to know, and nothing that is not so."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cnnsearch.exporters.formats import FORMATS
from cnnsearch.exporters.model_card import write_model_card
from cnnsearch.exporters.results import ExportResult, VerifiedFormat
from cnnsearch.exporters.source import collect_facts
from cnnsearch.runs.directory import RunDirectory
from tests.exporters.made import made_run

FIRE = {"type": "fire"}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    with closing(made_run(tmp_path / "runs", (0.9,))) as made:
        yield made


def card(
    run: RunDirectory, images: int = 359, split: str = "test", any_size: bool = True, **changes: Any
) -> str:
    """The card of an export in every format."""
    (trial,) = run.db.get_trials()
    facts = collect_facts(run, trial, (8, 8), None, any_size)
    facts["architecture"] = {**facts["architecture"], **changes}
    tested = {
        "test_accuracy": 0.9, "test_accuracy_interval": [0.8, 0.95], "test_macro_f1": 0.9,
        "test_balanced_accuracy": 0.9, "test_images": images,
    }  # fmt: skip
    facts = {**facts, "metrics": tested, "judged_on": split}
    formats = tuple(
        VerifiedFormat(each.name, "float32", each.file(), 1000, 1e-7, 1.0, 0.9, 1.0, 1)
        for each in FORMATS
    )
    result = ExportResult(
        "out", "all", trial.id, images, split, 1e-7, 0.9, images, (0.8, 0.95), 4000, 1.0, formats
    )
    return write_model_card(run, facts, result)


def test_stages_of_depth_0_are_not_listed(run: RunDirectory) -> None:
    stages = [{"block": FIRE, "depth": depth, "width": 16} for depth in (0, 2)]
    text = card(run, stages=stages)
    assert "0 x fire" not in text and "1. 2 x fire, width 16" in text


def test_a_network_with_training_branches_has_both_costs(run: RunDirectory) -> None:
    text = card(run, stages=[{"block": {"type": "repvgg"}, "width": 8}])
    assert "The files hold the network with its training branches folded" in text
    assert "(the same function): 430 parameters" in text
    assert "folded" not in card(run)


def test_few_images_to_verify_on_are_pointed_out(run: RunDirectory) -> None:
    assert "Only 199 images to verify on (fewer than 200)" in card(run, images=199)
    assert "to verify on" not in card(run, images=200)


def test_the_split_is_named(run: RunDirectory) -> None:
    text = card(run, split="validation")
    assert "validation accuracy 90.00%" in text and "test accuracy" not in text


def test_it_says_what_has_to_be_done_to_an_image(run: RunDirectory) -> None:
    text = card(run)
    section = text.split("## Preparing an image")[1].split("##")[0]
    for words in ("EXIF orientation", "Convert to grey, 8 bits", "Resize to 8x8", "do not scale"):
        assert words in section
    assert text.count("ImageOps.exif_transpose") == text.count("```python") == len(FORMATS)
    assert "accepts no other" in card(run, any_size=False)


def test_a_saved_model_is_called_a_program(run: RunDirectory) -> None:
    assert "A SavedModel is a program: TensorFlow executes whatever its graph contains" in card(run)
