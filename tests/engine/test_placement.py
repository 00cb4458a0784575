"""Worker slots and GPUs: what the flags mean, and one clear line where they cannot be."""

import pytest

from cnnsearch.engine.executors import InProcessExecutor, ProcessExecutor
from cnnsearch.engine.options import Placement
from cnnsearch.engine.placement import count_slots, find_gpus, make_executor
from cnnsearch.engine.settings import Settings
from cnnsearch.errors import CnnsearchError

GIVEN = Settings.create("", "space.yaml")


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with eight GPUs, of which this process sees four."""
    monkeypatch.setattr("cnnsearch.utils.environment.list_gpu_ids", lambda: ["4", "5", "6", "7"])


@pytest.mark.usefixtures("eight")
def test_gpus_are_counted_among_those_that_are_seen() -> None:
    assert find_gpus("0-3") == ("4", "5", "6", "7")
    assert find_gpus("all") == ("4", "5", "6", "7")
    assert find_gpus("0, 2") == ("4", "6")
    assert find_gpus("3") == ("7",)
    assert find_gpus(None) == ()


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
        find_gpus(text)
    assert words in str(caught.value)


def test_a_machine_without_gpus_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnsearch.utils.environment.list_gpu_ids", list)
    for text in ("0", "all"):
        with pytest.raises(CnnsearchError, match=f"--gpus {text}: this machine shows no GPU"):
            count_slots(Placement(gpus=text))


@pytest.mark.usefixtures("eight")
def test_as_many_workers_as_the_gpus_have_room_for() -> None:
    assert count_slots(Placement()) == 1
    assert count_slots(Placement(gpus="0-3")) == 4
    assert count_slots(Placement(gpus="0,1", workers_per_gpu=3)) == 6
    assert count_slots(Placement(gpus="0-3", workers=2)) == 2
    assert make_executor(Placement(gpus="0-1", workers_per_gpu=2)).free == 4
    assert isinstance(make_executor(Placement()), ProcessExecutor)
    assert isinstance(make_executor(Placement(workers=0)), InProcessExecutor)


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
        Placement.model_validate(changes)
    assert words in str(caught.value)


def test_a_run_may_move() -> None:
    began = GIVEN.replace(gpus="0-3", workers=4)
    assert began.move(workers=None, gpus=None) == began
    assert began.move(workers=2, gpus="none") == began.replace(workers=2, gpus=None)
