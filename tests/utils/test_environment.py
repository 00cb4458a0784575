"""Facts of the machine, and imports that Ctrl-C ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from cnnsearch.utils.environment import get_available_memory

SWALLOWS = """
import os, signal
try:
    os.kill(os.getpid(), signal.SIGINT)
    import package_that_is_not_there
except:
    pass
"""
PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell runs this with &
sys.path.insert(0, sys.argv[1])
from cnnsearch.utils.environment import import_frameworks
try:
    import_frameworks()
    print("swallowed")
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize(("times", "code", "printed"), [(1, 0, "interrupted"), (2, 130, "")])
def test_ctrl_c_while_frameworks_are_imported_is_not_lost(
    tmp_path: Path, times: int, code: int, printed: str
) -> None:
    (tmp_path / "keras.py").write_text(SWALLOWS * times)
    (tmp_path / "keras_tuner.py").touch()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (code, printed)


def test_some_memory_is_available() -> None:
    assert 2**20 < get_available_memory() < 2**50
