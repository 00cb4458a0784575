"""What a search takes over from earlier runs: every finished candidate, or one clear line."""

from pathlib import Path

import pytest

from cnnsearch.engine.earlier_runs import read_earlier_runs, record_earlier_runs, restore_earlier
from cnnsearch.engine.options import SearchOptions
from cnnsearch.errors import CnnsearchError
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.ranking import rank_trials
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.search_space import SearchSpace
from tests.cli.program import run

SMALL = """
input: [8, 8, 1]
classes: 10
stem: [{type: conv, filters: {choice: [6, 7, 8, 9]}, stride: 2}]
head: {dropout: {choice: [0.0, 0.05, 0.1]}}
recipe: {epochs: 2, batch_size: 128, learning_rate: {choice: [0.009, 0.01, 0.011]}}
"""
SPACE = "input: [8, 8, 1]\nclasses: 10\nstem: [{type: conv, filters: {choice: [4, 8]}}]\n"


def make_run(root: Path, name: str, finished: int, key: str = "stem.0.filters") -> None:
    run = RunDirectory.create(root, name, {}, SPACE)
    for number in range(finished + 1):
        start = {
            "number": number, "values": {key: 8}, "architecture": {}, "epochs": 1, "recipe": {},
            "fingerprint": f"{number}", "family": "x", "macs": 100 + number,
        }  # fmt: skip
        run.db.append("trial_started", start, f"{number}")
        status = "completed" if number < finished else "failed"
        score = {"score": number / 10} if number < finished else {}
        end = {"status": status, "metrics": {}, "seconds": 1.0, **score}
        run.db.append("trial_ended", end, f"{number}")
    run.close()


def test_results_are_kept_in_the_new_run(tmp_path: Path) -> None:
    make_run(tmp_path, "old", 6)
    run = RunDirectory.create(tmp_path, "new", {}, SPACE)
    for _ in range(2):  # once more when it is resumed, which changes nothing
        record_earlier_runs(run, ["old"], tmp_path, SearchSpace.from_text(SPACE))
    (results,) = restore_earlier(run)
    run.close()
    assert [result.score for result in results] == [0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
    assert results[0].values == {"stem.0.filters": 8} and results[0].macs == 105


@pytest.mark.parametrize(
    ("finished", "key", "rule"),
    [
        (4, "stem.0.filters", "needs at least 5 finished candidates, has 4"),
        (5, "elsewhere", "has no hyperparameter of this search space"),
    ],
)
def test_a_run_that_teaches_nothing_is_refused(
    tmp_path: Path, finished: int, key: str, rule: str
) -> None:
    make_run(tmp_path, "old", finished, key)
    with pytest.raises(CnnsearchError, match=f"--learn-from old: {rule}"):
        read_earlier_runs(["old"], tmp_path, SearchSpace.from_text(SPACE))


def test_only_some_strategies_learn() -> None:
    with pytest.raises(CnnsearchError, match="--learn-from: is an option of --strategy surrogate"):
        SearchOptions(strategy="random", learn_from=("old",))
    assert SearchOptions(learn_from=("old",)).learn_from == ("old",)


@pytest.mark.slow
def test_a_search_starts_from_what_an_earlier_one_learned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With real trainings: the best earlier candidate comes first, and changes what follows."""
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    given = ("search", str(path), "--workers=0", "--plain", f"--runs={tmp_path}", "--baseline=none")
    assert run(*given, "--name=old", "--trials=5") == 0
    assert run(*given, "--name=cold", "--trials=3", "--seed=7") == 0
    capsys.readouterr()
    assert run(*given, "--name=warm", "--trials=3", "--seed=7", "--learn-from=old") == 0
    assert "Learns from 5 candidates of run old." in capsys.readouterr().out
    best, *_ = rank_trials(read_trials(tmp_path, "old"))
    warm, cold = read_trials(tmp_path, "warm"), read_trials(tmp_path, "cold")
    assert warm[0].values == best.values and warm[0].score is not None
    assert [t.values for t in warm[1:]] != [t.values for t in cold[1:]]
    assert run("results", "warm", f"--runs={tmp_path}") == 0


@pytest.mark.slow
def test_a_search_ends_when_it_has_enough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With real trainings of candidates that hardly differ."""
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    given = ("search", str(path), "--workers=0", "--plain", f"--runs={tmp_path}", "--name=r")
    assert run(*given, "--trials=60", "--stop-when-enough") == 0
    printed = capsys.readouterr().out
    assert "a further candidate is unlikely to be better by more than noise" in printed
    trained = [t for t in read_trials(tmp_path, "r") if t.status == "completed"]
    assert 19 < len(trained) < 60  # and the plain baseline
    assert run("results", "r", f"--runs={tmp_path}") == 0


def read_trials(root: Path, name: str) -> list[TrialRecord]:
    opened = RunDirectory.open(root, name)
    try:
        return opened.db.get_trials()
    finally:
        opened.close()
