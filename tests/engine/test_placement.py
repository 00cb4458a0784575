"""Worker slots and GPUs: what the flags mean, and one clear line where they cannot be."""

from dataclasses import replace

import pytest

from cnnsearch.engine.executors import InProcessExecutor, ProcessExecutor
from cnnsearch.engine.placement import check_placement, executor_of, gpus_of, moved, slots
from cnnsearch.engine.settings import Settings
from cnnsearch.errors import CnnsearchError

ASKED = Settings("", "space.yaml")


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with eight GPUs, of which this process sees four."""
    monkeypatch.setattr("cnnsearch.utils.environment.gpu_ids", lambda: ["4", "5", "6", "7"])


@pytest.mark.usefixtures("eight")
def test_gpus_are_counted_among_those_that_are_seen() -> None:
    assert gpus_of("0-3") == ("4", "5", "6", "7")
    assert gpus_of("all") == ("4", "5", "6", "7")
    assert gpus_of("0, 2") == ("4", "6")
    assert gpus_of("3") == ("7",)
    assert gpus_of(None) == ()


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("4", "there is no GPU 4, expected 0-3"),
        ("0-9", "there is no GPU 4, expected 0-3"),
        ("0,0", "names a GPU twice"),
        ("a", "expected 0-3, 0,2 or all, got 'a'"),
        ("3-1", "expected 0-3, 0,2 or all, got '3-1'"),
        ("0-999999", "there is no GPU 4"),
        ("-1", "expected 0-3, 0,2 or all"),
        ("", "expected 0-3, 0,2 or all"),
    ],
)
def test_what_names_no_gpus_is_refused(text: str, words: str) -> None:
    with pytest.raises(CnnsearchError, match="--gpus") as caught:
        gpus_of(text)
    assert words in str(caught.value)


def test_a_machine_without_gpus_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnsearch.utils.environment.gpu_ids", list)
    for text in ("0", "all"):
        with pytest.raises(CnnsearchError, match=f"--gpus {text}: this machine shows no GPU"):
            check_placement(replace(ASKED, gpus=text))


@pytest.mark.usefixtures("eight")
def test_as_many_workers_as_the_gpus_have_room_for() -> None:
    assert slots(ASKED) == 1
    assert slots(replace(ASKED, gpus="0-3")) == 4
    assert slots(replace(ASKED, gpus="0,1", workers_per_gpu=3)) == 6
    assert slots(replace(ASKED, gpus="0-3", workers=2)) == 2
    assert executor_of(replace(ASKED, gpus="0-1", workers_per_gpu=2)).free == 4
    assert isinstance(executor_of(ASKED), ProcessExecutor)
    assert isinstance(executor_of(replace(ASKED, workers=0)), InProcessExecutor)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"workers_per_gpu": 0}, "--workers-per-gpu: expected at least 1, got 0"),
        ({"start_method": "spwan"}, "got 'spwan', did you mean 'spawn'?"),
        ({"gpus": "0", "workers": 0}, "--gpus: pins a GPU to each worker, but --workers 0"),
    ],
)
@pytest.mark.usefixtures("eight")
def test_placements_that_cannot_be_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(CnnsearchError) as caught:
        check_placement(replace(ASKED, **changes))  # type: ignore[arg-type]
    assert words in str(caught.value)


def test_a_run_may_move() -> None:
    began = replace(ASKED, gpus="0-3", workers=4)
    assert moved(began, workers=None, gpus=None) == began
    assert moved(began, workers=2, gpus="none") == replace(began, workers=2, gpus=None)
