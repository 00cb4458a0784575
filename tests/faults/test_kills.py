"""The short version of the kill harness: one search that is disturbed in every way."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from cnnsearch.engine.search import search as run_search
from tests.faults import stores
from tests.faults.processes import family, leave_time, reaped, trials_of
from tests.faults.searches import NAME, Plan, Search, wait_until
from tests.faults.stop_signals import in_terminal, once

pytestmark = pytest.mark.programs

PLAN = Plan("random", trials=2, epochs=12)  # long enough to be killed before its end


def count(search: Search, kind: str) -> int:
    rows = search.ask("select count(*) from event where kind = ?", kind)
    return int(rows[0][0]) if rows else 0


def more(search: Search, kind: str, number: int = 1) -> Callable[[], bool]:
    before = count(search, kind)
    return lambda: count(search, kind) >= before + number


def freeze_between_checkpoints(search: Search, driver: int) -> list[psutil.Process]:
    """Stops the trials when every finished epoch is saved, and returns their processes.

    A kill then loses the epoch in training and no other. Epochs are shorter here than writing a
    checkpoint; a kill while one is written is tests/training/test_checkpoint_writer.py's.
    """
    while True:
        trials = trials_of(driver)
        for process in trials:
            process.suspend()
        for process in trials:
            while process.status() != psutil.STATUS_STOPPED:
                time.sleep(0.001)
        told: dict[str, set[tuple[str, int]]] = {"begin": set(), "end": set(), "saved": set()}
        for _, trial, epoch, word in search.epochs():
            told[word].add((trial, epoch))
        if trials and told["end"] == told["saved"]:
            return trials
        for process in trials:
            process.resume()
        time.sleep(0.01)


def kill_a_trial_and_the_driver(search: Search) -> None:
    with reaped(search.start()) as session:
        assert wait_until(more(search, "epoch"), session)
        for process in freeze_between_checkpoints(search, session.pid):
            process.send_signal(signal.SIGKILL)
        assert wait_until(more(search, "trial_retried"), session)
        assert wait_until(more(search, "epoch"), session)
        processes = family(session.pid)
        assert len(processes) >= 3  # the fork server, its tracker and a trial
        frozen = freeze_between_checkpoints(search, session.pid)
        os.kill(session.pid, signal.SIGKILL)
        for process in frozen:
            process.resume()
        session.wait()
        leave_time(processes)


def press_ctrl_c(search: Search) -> None:
    terminal = in_terminal(search)
    with reaped(terminal.process) as session:
        assert wait_until(more(search, "epoch"), session)
        processes: list[psutil.Process] = family(session.pid)
        once(terminal)
        assert session.wait(30) == 130
        leave_time(processes)
    terminal.close()
    assert "Stopping: finished work is kept." in search.printed()


def run_undisturbed(search: Search) -> None:
    """Runs the search in this process, which has the frameworks loaded: the same, sooner."""
    plan = search.plan
    search.prepare()
    run_search(
        search.folder / "space.yaml",
        strategy=plan.strategy,
        trials=plan.trials,
        epochs=plan.epochs,
        seed=plan.seed,
        name=NAME,
        train_share=0.5,
        workers=0,
        runs=search.folder / "runs",
    )


def without_workers(state: dict[str, Any]) -> dict[str, Any]:
    parent = state["mlflow"]["parent"]
    del parent["params"]["settings.workers"]
    manifest = json.loads(parent["artifacts"]["run.json"])
    del manifest["settings"]["workers"], manifest["settings"]["source"], manifest["environment"]
    parent["artifacts"]["run.json"] = manifest
    del parent["params"]["settings.source"]
    return state


def compare(search: Search, undisturbed: Search, disturbances: int) -> None:
    expected, found = (without_workers(stores.state(each)) for each in (undisturbed, search))
    assert len(expected["leaderboard"]) == PLAN.trials == len(expected["mlflow"]["runs"]) - 1
    assert stores.differences(expected, found) == []
    assert stores.damage(search) == []
    again = stores.repeated_epochs(search)
    assert search.calls() and len(again) <= disturbances
    assert not [epoch for epoch in again if epoch.endswith("although saved")]
    assert "Traceback" not in search.printed()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Search:
    search = Search(PLAN, tmp_path_factory.mktemp("undisturbed"))
    run_undisturbed(search)
    return search


def test_a_search_whose_trial_and_driver_are_killed_ends_as_if_nothing_had_happened(
    tmp_path: Path, undisturbed: Search
) -> None:
    search = Search(PLAN, tmp_path)
    kill_a_trial_and_the_driver(search)
    search.finish()
    compare(search, undisturbed, 2)


@pytest.mark.slow
def test_a_search_interrupted_in_its_terminal_resumes_to_the_same_result(
    tmp_path: Path, undisturbed: Search
) -> None:
    search = Search(PLAN, tmp_path)
    press_ctrl_c(search)
    search.finish()
    compare(search, undisturbed, 1)


def test_differences_damage_and_repeats_are_found(tmp_path: Path) -> None:
    one = {"a": [1, {"b": 2.0}], "c": "x"}
    assert stores.differences(one, {"a": [1, {"b": 2.0}], "c": "x"}) == []
    assert stores.differences(one, {"a": [1, {"b": 2.1}]}) == ["/a/1/b: '2.0', '2.1'",
                                                              "/c: 'x', 'absent'"]  # fmt: skip
    assert stores.differences([1, 2], [1, 2, 2]) == [": 2 against 3: ['2']"]
    search = Search(PLAN, tmp_path)
    (search.run / "trials/0001").mkdir(parents=True)
    (search.run / "trials/0001/best.npz").write_bytes(b"PK half")
    (search.run / "trials/0001/state.npz.12.tmp").touch()
    left, unreadable = stores.damage(search)
    assert left == "left over: runs/r/trials/0001/state.npz.12.tmp"
    assert unreadable.startswith("runs/r/trials/0001/best.npz: ")
    told = ["session 1", "epoch 0001 1 begin", "session 2", "epoch 0001 1 begin"]
    search.log.write_text("\n".join([*told, "epoch 0001 1 saved", "epoch 0001 1 begin"]))
    assert stores.repeated_epochs(search) == ["2 0001 1", "2 0001 1 although saved"]
