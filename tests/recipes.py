"""Applies a recipe of CONTRIBUTING.md to a copy of the package, from the text that people read.

In a recipe, a fenced block ``python title="PATH"`` is the whole of a new file, and a fenced block
``diff title="PATH"`` adds its ``+`` lines to a file after the unchanged lines before them.
"""

import os
import re
import shutil
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(
    r'^(?P<indent> *)```(?P<kind>python|diff) title="(?P<path>[^"]+)"\n'
    r"(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


def apply_recipe(heading: str, folder: Path) -> dict[str, str]:
    """Copies the package to ``folder``, adds what the recipe says, and returns an environment.

    Args:
        heading: of the section in CONTRIBUTING.md, such as ``Adding a strategy``.
        folder: an empty one; programs that run with the returned environment import from it.
    """
    shutil.copytree(ROOT / "cnnsearch", folder / "cnnsearch")
    shutil.copytree(ROOT / "search_spaces", folder / "search_spaces")
    blocks = list(BLOCK.finditer(_section(heading)))
    assert [b["kind"] for b in blocks].count("python") == 1, "a recipe is one new file"
    assert len(blocks) == 2, "and lines in one file beside it"
    for block in blocks:
        path, text = folder / block["path"], textwrap.dedent(block["text"])
        if block["kind"] == "python":
            assert not path.exists(), f"{path} exists already"
            path.write_text(text)
        else:
            path.write_text(_patched(path.read_text(), text))
    return {**os.environ, "PYTHONPATH": str(folder)}


def _section(heading: str) -> str:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    start = text.index(f"## {heading}\n")
    end = text.find("\n## ", start + 1)
    return text[start:] if end < 0 else text[start:end]


def _patched(text: str, diff: str) -> str:
    before: list[str] = []
    for line in diff.splitlines():
        if line.startswith("+"):
            place = "\n".join(before) + "\n"
            assert text.count(place) == 1, f"not found once: {place}"
            text = text.replace(place, f"{place}{line[1:]}\n")
            before.append(line[1:])
        else:
            if before and line.strip() == "...":
                before = []
                continue
            before.append(line[1:])
    return text
