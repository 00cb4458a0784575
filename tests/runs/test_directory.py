"""A run's folder: made whole or not at all, inside its root, written by one process at a time."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap

import pytest

from cnnsearch.errors import RunError
from cnnsearch.runs.directory import INTERRUPTED, RunDirectory, list_runs
from cnnsearch.utils.atomic_files import atomic_folder
from tests.runs.test_database import END, START

SPACE = "name: tiny\nstages: []\n"


@pytest.fixture
def run(tmp_path):
    made = RunDirectory.create(tmp_path / "runs", "first", {"seed": 3}, SPACE)
    yield made
    made.close()


def test_what_was_asked_comes_back(run, tmp_path):
    again = RunDirectory.open(tmp_path / "runs", "first")
    assert (again.name, again.manifest, again.space_text) == ("first", {"seed": 3}, SPACE)
    assert again.path == tmp_path / "runs" / "first"
    assert again.db.get_trials() == []
    again.close()


def test_the_folder_is_complete_and_nothing_lies_beside_it(run):
    assert [p.name for p in run.path.parent.iterdir()] == ["first"]
    assert {p.name for p in run.path.iterdir()} >= {"run.json", "space.yaml", "run.db"}
    assert json.loads((run.path / "run.json").read_text()) == {"seed": 3}
    assert run.path.stat().st_mode & 0o777 == 0o777 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


KILLED = """
    import os, sys
    from pathlib import Path
    from cnnsearch.runs import directory

    directory._fill = lambda folder, *_: (Path(folder, "half").touch(), os.kill(os.getpid(), 9))
    directory.RunDirectory.create(Path(sys.argv[1]), "first", {}, "")
"""


def test_what_a_killed_process_had_half_made_is_removed_and_a_living_ones_stays(tmp_path):
    script = textwrap.dedent(KILLED)
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)])
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert [p.name for p in left.iterdir()] == ["half"]
    theirs = tmp_path / ".first-notes"
    theirs.mkdir()
    with atomic_folder(tmp_path / "first") as living:
        assert not left.exists()
        (living / "kept").touch()
        RunDirectory.create(tmp_path, "first", {}, SPACE).close()
        assert (living / "kept").exists()
        (tmp_path / "first").rename(tmp_path / "second")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".first-notes", "first", "second"]


BAD_NAMES = ["..", ".", "", "../x", "/tmp/x", "a/b", "a b", "a\n", "é", ".hidden", "-x", "a\0b"]


@pytest.mark.parametrize("name", [*BAD_NAMES, "x" * 200, "mlartifacts", "mlflow.db"])
def test_a_name_that_is_none_is_refused(tmp_path, name):
    root = tmp_path / "runs"
    with pytest.raises(RunError, match="run name"):
        RunDirectory.create(root, name, {}, SPACE)
    with pytest.raises(RunError, match="run name"):
        RunDirectory.open(root, name)
    assert list(tmp_path.iterdir()) == []


def test_a_link_out_of_the_root_is_refused(run, tmp_path):
    outside = RunDirectory.create(tmp_path / "elsewhere", "theirs", {}, SPACE)
    outside.close()
    (tmp_path / "runs" / "link").symlink_to(outside.path)
    with pytest.raises(RunError, match="leads outside"):
        RunDirectory.open(tmp_path / "runs", "link")


def test_a_root_that_is_itself_a_link_works(run, tmp_path):
    (tmp_path / "here").symlink_to(tmp_path / "runs")
    again = RunDirectory.open(tmp_path / "here", "first")
    assert again.manifest == {"seed": 3}
    again.close()


def test_a_name_that_is_taken_is_refused_and_the_run_is_left_alone(run, tmp_path):
    run.db.append("note", {})
    with pytest.raises(RunError, match="'first' already exists"):
        RunDirectory.create(tmp_path / "runs", "first", {}, SPACE)
    assert len(run.db.get_events()) == 1


def test_an_unknown_run_is_answered_with_the_nearest_names(run, tmp_path):
    with pytest.raises(RunError, match=r"no run 'firts' .* did you mean 'first'"):
        RunDirectory.open(tmp_path / "runs", "firts")


def test_an_unwritable_root_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"file/runs: cannot be written: Not a directory"):
        RunDirectory.create(tmp_path / "file" / "runs", "x", {}, SPACE)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_root_is_one_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(RunError, match="cannot be written: Permission denied"):
        RunDirectory.create(tmp_path, "x", {}, SPACE)


def test_a_failure_in_the_middle_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        RunDirectory.create(tmp_path, "x", {"bad": {1}}, SPACE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff"])
def test_a_damaged_manifest_is_one_line(run, tmp_path, text):
    (run.path / "run.json").write_text(text, encoding="latin-1")
    with pytest.raises(RunError, match="run 'first'"):
        RunDirectory.open(tmp_path / "runs", "first")


def test_trial_folders_stay_inside(run):
    assert run.trial_dir("007").is_dir()
    assert run.trial_dir("007").parent == run.path / "trials"
    for bad in ("..", "/etc", "a/b", ""):
        with pytest.raises(RunError, match="trial id"):
            run.trial_dir(bad)


def test_the_lock_is_one_writers(run, tmp_path):
    with run.lock():
        assert run.owner.pid == os.getpid()
        assert run.state == "running"
        again = RunDirectory.open(tmp_path / "runs", "first")
        message = rf"^run 'first' is being written by process {os.getpid()} since"
        with pytest.raises(RunError, match=message), again.lock():
            pass
        again.close()
        assert run.owner is not None, "the refused writer has freed the lock"
    assert run.owner is None
    with run.lock():
        pass


HOLDER = """
import sys, time
from pathlib import Path
from cnnsearch.runs.directory import RunDirectory
with RunDirectory.open(Path(sys.argv[1]), "first").lock():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_killed_writers_lock_is_taken_over(run, tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "runs")], stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(RunError, match=f"by process {holder.pid} "), run.lock():
        pass
    holder.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet reaped: a zombie
    with run.lock():
        assert run.owner.pid == os.getpid()
    holder.communicate()


def _forge(run, **changes):
    with run.lock():
        text = (run.path / "lock").read_text()
    (run.path / "lock").write_text(json.dumps({**json.loads(text), **changes}))


def test_a_pid_given_out_again_does_not_hold_the_lock(run):
    _forge(run, started="another boot 1")
    with run.lock():
        assert run.state == "running"


def test_another_hosts_lock_is_respected_and_can_be_removed(run):
    _forge(run, host="elsewhere", pid=12)
    with (
        pytest.raises(RunError, match=r"process 12 on host elsewhere .* delete .*lock"),
        run.lock(),
    ):
        pass
    (run.path / "lock").unlink()
    with run.lock():
        assert run.owner.host == socket.gethostname()


@pytest.mark.parametrize("text", ["{", '{"pid": 1}', "null", "garbage"])
def test_a_half_written_lock_holds_nobody_back(run, text):
    (run.path / "lock").write_text(text)
    assert run.owner is None
    with run.lock():
        pass


def test_states(run):
    assert run.state == "interrupted"
    run.db.append("run_started", {"resumed": False, "environment": {}})
    run.db.append("run_ended", {"reason": INTERRUPTED})
    assert run.state == "interrupted"
    run.db.append("run_started", {"resumed": True, "environment": {}})
    run.db.append("run_ended", {"reason": "trials"})
    run.db.append("note", {})
    assert run.state == "finished"
    run.db.append("run_started", {"resumed": True, "environment": {}})
    assert run.state == "interrupted"


def test_the_list_of_runs(run, tmp_path):
    run.db.append("run_started", {"resumed": False, "environment": {}}, time=50.0)
    for number, score in ((1, 0.5), (2, 0.9), (3, None)):
        run.db.append("trial_started", {**START, "number": number}, f"t{number}")
        status = "completed" if score else "failed"
        run.db.append("trial_ended", {**END, "status": status, "score": score}, f"t{number}")
    run.db.append("run_ended", {"reason": "trials"})
    broken = RunDirectory.create(tmp_path / "runs", "broken", {}, SPACE)
    broken.close()
    (broken.path / "run.db").write_bytes(b"gone")
    (tmp_path / "runs" / "mlartifacts").mkdir()
    (tmp_path / "runs" / "README.md").write_text("not a run")
    damaged, first = list_runs(tmp_path / "runs")
    assert (damaged.name, damaged.state) == ("broken", "damaged")
    assert (first.name, first.state, first.trials, first.completed, first.best, first.created) == (
        "first",
        "finished",
        3,
        2,
        0.9,
        50.0,
    )


def test_no_root_has_no_runs(tmp_path):
    assert list_runs(tmp_path / "nowhere") == []
