"""What a search takes over from earlier runs: every finished candidate, or one clear line."""

from pathlib import Path

import pytest

from cnnsearch.engine.earlier_runs import read_earlier_runs, record_earlier_runs, restore_earlier
from cnnsearch.engine.options import SearchOptions
from cnnsearch.errors import CnnsearchError
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.space.search_space import SearchSpace

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
