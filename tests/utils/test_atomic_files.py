"""Files and folders that are there complete or not at all, and stay after a power cut."""

import errno
import os
import re
from pathlib import Path

import pytest

import cnnsearch
from cnnsearch.utils import atomic_files
from cnnsearch.utils.atomic_files import (
    atomic_file,
    atomic_folder,
    remove_folder,
    temporary_folder,
    write_bytes,
    write_text,
)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is synced and renamed, in order; temporary names without their random part."""
    made: list[str] = []

    def name(path: object) -> str:
        return re.sub(r"-[0-9a-f]{8}", "", Path(str(path)).name)

    fsync, rename, replace = os.fsync, Path.rename, Path.replace

    def sync(descriptor: int) -> None:
        made.append(f"fsync {name(os.readlink(f'/proc/self/fd/{descriptor}'))}")
        fsync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        made.append(f"rename {name(self)}")
        return rename(self, target)

    def replaced(self: Path, target: Path) -> Path:
        made.append(f"rename {name(self)}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "rename", renamed)
    monkeypatch.setattr(Path, "replace", replaced)
    return made


def test_a_file_is_synced_then_renamed_then_its_folder_is_synced(
    tmp_path: Path, calls: list[str]
) -> None:
    assert write_text(tmp_path / "a.txt", "é").read_text("utf-8") == "é"
    assert calls == ["fsync .a.txt.tmp", "rename .a.txt.tmp", f"fsync {tmp_path.name}"]


def test_a_folder_and_all_inside_are_synced_before_the_rename(
    tmp_path: Path, calls: list[str]
) -> None:
    with atomic_folder(tmp_path / "run") as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "x").write_bytes(b"1")
    assert calls[-2:] == ["rename .run.new", f"fsync {tmp_path.name}"]
    assert sorted(calls[:-2]) == ["fsync .run.new", "fsync inner", "fsync x"]
    assert (tmp_path / "run" / "inner" / "x").read_bytes() == b"1"


def test_folders_that_are_made_on_the_way_are_synced_too(tmp_path: Path, calls: list[str]) -> None:
    write_bytes(tmp_path / "new" / "newer" / "a", b"")
    assert {f"fsync {tmp_path.name}", "fsync new"} <= set(calls)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"old")
    with pytest.raises(OSError, match="full"), atomic_file(tmp_path / "a") as file:
        file.write(b"new")
        raise OSError(errno.ENOSPC, "full")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_failure_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full"), atomic_folder(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "full")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_only_on_request(tmp_path: Path) -> None:
    for number, replace in enumerate((False, True)):
        with atomic_folder(tmp_path / "a", replace=replace) as folder:
            (folder / str(number)).touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["1"]
    with pytest.raises(OSError, match="not empty"), atomic_folder(tmp_path / "a"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "file", b"")
        with atomic_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750


def test_leftovers_of_killed_processes_are_removed_and_those_of_living_ones_stay(
    tmp_path: Path,
) -> None:
    dead = tmp_path / ".a-01234567.new"
    dead.mkdir()
    with temporary_folder(tmp_path, "a") as living:
        assert not dead.exists()
        with temporary_folder(tmp_path, "a"):
            assert living.exists()
    assert list(tmp_path.iterdir()) == []


def test_old_leftovers_of_a_file_are_removed(tmp_path: Path) -> None:
    old, fresh = tmp_path / ".a-01234567.tmp", tmp_path / ".a-89abcdef.tmp"
    for each in (old, fresh):
        each.touch()
    os.utime(old, (0, 0))
    write_bytes(tmp_path / "a", b"1")
    assert not old.exists() and fresh.exists()


def test_a_removal_that_is_killed_halfway_is_completed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr(atomic_files.shutil, "rmtree", lambda *args, **kwargs: None)  # killed here
        remove_folder(tmp_path / "a")
    assert not (tmp_path / "a").exists() and len(list(tmp_path.iterdir())) == 1
    with atomic_folder(tmp_path / "a"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_its_file_system_cannot_sync_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    assert write_bytes(tmp_path / "a", b"1").read_bytes() == b"1"


def test_nobody_else_renames_or_syncs_files() -> None:
    package = Path(cnnsearch.__file__).parent
    by_hand = re.compile(r"os\.(replace|rename|fsync)\(|\.rename\(|mkstemp|shutil\.move")
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if by_hand.search(path.read_text("utf-8"))
    }
    assert found == {"utils/atomic_files.py", "runs/lock.py"}  # the lock is written in place
