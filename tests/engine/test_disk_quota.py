"""Room on the disk: what goes first when checkpoints take too much, and what never goes."""

from pathlib import Path
from typing import Any

import pytest

from cnnsearch.engine.disk_quota import RESERVE, DiskQuota
from cnnsearch.errors import DiskFullError, RunError
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.training import checkpoint
from cnnsearch.training.checkpoint import BEST, STATE

START = {
    "number": 1, "values": {}, "architecture": {}, "recipe": {}, "fingerprint": "", "family": "",
    "epochs": 1,
}  # fmt: skip
KB = 1000


def run_with(root: Path, scores: dict[str, float | None], running: tuple[str, ...] = ()) -> Any:
    """A run whose trials have 4 KB of state and 1 KB of weights each."""
    run = RunDirectory.create(root, "r", {}, "")
    for number, trial in enumerate([*scores, *running], start=1):
        run.db.append("trial_started", {**START, "number": number}, trial)
        (run.trial_dir(trial) / STATE).write_bytes(bytes(4 * KB))
        (run.trial_dir(trial) / BEST).write_bytes(bytes(KB))
        if trial in scores:
            score = scores[trial]
            status = "failed" if score is None else "completed"
            run.db.append("trial_ended", {"status": status, "score": score}, trial)
    return run


def left(run: RunDirectory) -> set[str]:
    return {str(path.relative_to(run.path / "trials")) for path in run.path.glob("trials/*/*.npz")}


def test_states_that_nothing_resumes_from_are_removed(tmp_path: Path) -> None:
    run = run_with(tmp_path, {"a": 0.5, "b": None}, running=("c",))
    DiskQuota(run, 10**9, promotes=False).tidy()
    assert left(run) == {"a/best.npz", "b/best.npz", "c/best.npz", "c/state.npz"}


def test_thousands_of_trials_are_looked_through_less_often(tmp_path: Path) -> None:
    run = run_with(tmp_path, {f"t{number}": 0.5 for number in range(60)})
    quota, looked = DiskQuota(run, promotes=False), list[int]()
    for call in range(9):
        state = run.trial_dir("t0") / STATE
        state.write_bytes(bytes(KB))
        quota.tidy()
        if not state.exists():
            looked.append(call)
    assert looked == [0, 3, 6]  # whenever a twentieth of 60 trials more has ended


def test_what_a_killed_process_left_half_written_is_swept(tmp_path: Path) -> None:
    run = run_with(tmp_path, {"a": 0.5}, running=("c",))
    half = [run.trial_dir(trial) / "state.npz.77.tmp" for trial in ("a", "c")]
    for path in half:
        path.write_bytes(b"PK")
    DiskQuota(run).tidy()
    assert [path.exists() for path in half] == [False, True]  # the one that runs may be writing
    checkpoint.sweep(run.trial_dir("c"))
    assert not half[1].exists()


def test_without_a_limit_nothing_that_may_be_promoted_goes(tmp_path: Path) -> None:
    run = run_with(tmp_path, {"a": 0.5, "b": 0.7})
    DiskQuota(run).tidy()
    assert len(left(run)) == 4


def test_the_worst_go_first_states_before_weights(tmp_path: Path) -> None:
    run = run_with(tmp_path, {"a": 0.5, "b": 0.9, "c": 0.7, "d": None}, running=("e",))
    DiskQuota(run, 18 * KB).tidy()  # of 25: two states too many
    assert left(run) == {
        *("a/best.npz", "b/best.npz", "b/state.npz", "c/best.npz", "c/state.npz", "d/best.npz"),
        *("e/best.npz", "e/state.npz"),
    }
    DiskQuota(run, 8 * KB).tidy()  # the other states, and the weights of the one that failed
    assert left(run) == {
        *("a/best.npz", "b/best.npz", "c/best.npz", "e/best.npz", "e/state.npz"),
    }


def test_the_best_weights_and_what_runs_are_never_touched(tmp_path: Path) -> None:
    run = run_with(tmp_path, {"a": 0.5, "b": 0.9}, running=("e",))
    DiskQuota(run, 1).tidy()
    assert left(run) == {"b/best.npz", "e/best.npz", "e/state.npz"}


def test_a_disk_without_room_for_the_journal_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = DiskQuota(run_with(tmp_path, {}))
    assert keeper.explain_full() == ""
    usage = type("Usage", (), {"free": RESERVE - 1})
    monkeypatch.setattr("cnnsearch.engine.disk_quota.shutil.disk_usage", lambda path: usage)
    assert "is full: paused, nothing is lost" in keeper.explain_full()


def test_a_checkpoint_says_whether_there_was_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.npz"
    checkpoint.write(path, {"epoch": 1}, [])

    def refuse(code: int) -> Any:
        def write(*args: Any, **named: Any) -> None:
            raise OSError(code, "refused")

        return write

    import errno

    for code, kind in ((errno.ENOSPC, DiskFullError), (errno.EDQUOT, DiskFullError)):
        monkeypatch.setattr("numpy.savez", refuse(code))
        with pytest.raises(kind, match="cannot be written"):
            checkpoint.write(path, {"epoch": 2}, [])
    monkeypatch.setattr("numpy.savez", refuse(errno.EROFS))
    with pytest.raises(RunError) as caught:
        checkpoint.write(path, {"epoch": 2}, [])
    assert not isinstance(caught.value, DiskFullError)
    assert checkpoint.read_epoch(path) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["state.npz"]
