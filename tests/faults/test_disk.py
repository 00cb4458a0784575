"""A disk that is full, and one that becomes read-only, in the middle of a search."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.faults import stores
from tests.faults.processes import reaped
from tests.faults.searches import Plan, Search, wait_until

pytestmark = pytest.mark.slow
PLAN = Plan("random", trials=3, epochs=4)


@contextmanager
def small_disk(folder: Path, megabytes: int = 48) -> Iterator[Path]:
    """Mounts a file system of its own, or skips where that is not allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount a small disk here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def epochs(search: Search, number: int) -> bool:
    return search.journalled() >= number


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(2**16))


def same(search: Search, undisturbed: Search) -> None:
    found = stores.differences(stores.state(undisturbed), stores.state(search))
    assert found == [], search.printed()
    assert stores.damage(search) == []
    assert "Traceback" not in search.printed()


def test_a_full_disk_pauses_the_search_until_there_is_room(tmp_path: Path) -> None:
    undisturbed = Search(PLAN, tmp_path / "undisturbed")
    undisturbed.finish()
    with small_disk(tmp_path / "small") as folder:
        search = Search(PLAN, folder / "disturbed")
        with reaped(search.start()) as session:
            assert wait_until(lambda: epochs(search, 2), session)
            fill(folder / "ballast")
            assert wait_until(lambda: "paused" in search.printed(), session, 60)
            time.sleep(3)
            assert session.poll() is None
            (folder / "ballast").unlink()
            assert session.wait(300) == 0, search.printed()
        told = [line for line in search.printed().splitlines() if "paused" in line]
        assert len(told) == 1 and "nothing is lost" in told[0]
        same(search, undisturbed)


@contextmanager
def frozen(folder: Path) -> Iterator[None]:
    """Lets nobody, root included, make or rename a file in a folder or below it."""
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    names = [str(path) for path in folders]
    done = subprocess.run(["chattr", "+i", *names], capture_output=True, text=True, check=False)
    try:
        if done.returncode:
            pytest.skip(f"cannot make a folder read-only for root here: {done.stderr.strip()}")
        yield
    finally:
        subprocess.run(["chattr", "-i", *names], capture_output=True, check=False)


def test_a_run_that_becomes_read_only_ends_in_one_line_and_resumes_later(tmp_path: Path) -> None:
    if shutil.which("chattr") is None:
        pytest.skip("chattr is not installed")
    undisturbed, search = Search(PLAN, tmp_path / "undisturbed"), Search(PLAN, tmp_path / "frozen")
    undisturbed.finish()
    with reaped(search.start()) as session:
        assert wait_until(lambda: epochs(search, 2), session)
        with frozen(search.run):
            assert session.wait(120) == 2, search.printed()
    last = search.printed().splitlines()[-1]
    assert last.startswith("cnnsearch: ") and "cannot be written" in last
    search.finish()
    same(search, undisturbed)
