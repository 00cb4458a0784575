"""A module that runs in a process of its own: its lines, its answer, its failure in one line."""

import os
import time
from pathlib import Path

import pytest

from cnnsearch.errors import DataError
from cnnsearch.utils.subprocesses import run_module, stream_module


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that runs the program on its command line."""
    (tmp_path / "of_a_test.py").write_text("import sys\nexec(sys.argv[1])\n")
    paths = (str(tmp_path), os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    return "of_a_test"


def fail(why: str) -> DataError:
    return DataError(f"--weights x: {why}")


def test_the_last_line_is_the_answer(module: str) -> None:
    program = "import os; print('noise'); print('{\"a\": ' + os.environ['NUMBER'] + '}')"
    answer = run_module(module, program, fail=fail, environment={"NUMBER": "5"})
    assert answer == {"a": 5}
    assert run_module(module, "pass", fail=fail) is None


def test_lines_arrive_when_they_are_printed_and_the_job_is_standard_input(module: str) -> None:
    program = "import time; print(sys.stdin.read(), flush=True); time.sleep(60); print('late')"
    since = time.monotonic()
    lines = stream_module(module, program, fail=fail, stdin=b"job")
    assert next(lines) == "job"
    lines.close()  # ends the process
    assert time.monotonic() - since < 30


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("raise ValueError('no such file')", "ValueError: no such file"),
        ("print('first\\nlast', file=sys.stderr); sys.exit(2)", "last"),
        ("sys.exit(3)", "exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", r"its process was ended by SIGKILL \(out of memor"),
        ("import os; os.kill(os.getpid(), 15)", "its process was ended by SIGTERM$"),
    ],
)
def test_a_failure_is_one_line(module: str, program: str, why: str) -> None:
    with pytest.raises(DataError, match=f"^--weights x: {why}"):
        run_module(module, program, fail=fail)


def test_much_on_standard_error_does_not_block(module: str) -> None:
    program = "print('x' * 1_000_000, file=sys.stderr); print('true')"
    assert run_module(module, program, fail=fail) is True
