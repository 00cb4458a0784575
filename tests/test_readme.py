"""README.md says what is there: generated parts are current, pictures and commands exist."""

import re
import subprocess
import sys
from pathlib import Path

from cnnsearch.cli import app

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text("utf-8")


def test_generated_parts_are_current() -> None:
    command = [sys.executable, str(ROOT / "docs" / "refresh.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_every_picture_and_file_linked_is_there() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", TEXT)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_command_named_is_one() -> None:
    known = {c.name or (c.callback.__name__ if c.callback else "") for c in app.registered_commands}
    named = set(re.findall(r"^    cnnsearch (\w+)", TEXT, flags=re.M))
    assert named and named <= known, named - known


def test_nothing_is_left_to_be_filled_in() -> None:
    empty = re.findall(r"<!-- (\w+) -->\s*<!-- /\1 -->", TEXT)
    assert empty == []
