"""Runs the cells of a notebook in this process, and keeps what Jupyter would show of them.

python -m tests.notebooks docs/first-search.ipynb
"""

import ast
import contextlib
import io
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def read_cells(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the code cells."""
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            yield cell


def run_cell(source: str, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """Runs one cell and returns its outputs in nbformat 4."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    text, outputs = io.StringIO(), list[dict[str, Any]]()
    with contextlib.redirect_stdout(text):
        exec(compile(tree, "cell", "exec"), scope)
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), scope) if last else None
    if text.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": text.getvalue()})
    if value is not None:
        data = {"text/plain": repr(value)[:1000]}
        if hasattr(value, "_repr_html_"):
            data["text/html"] = value._repr_html_()
        outputs.append({"output_type": "execute_result", "execution_count": None, "metadata": {},
                        "data": data})  # fmt: skip
    return outputs


def refresh(path: Path) -> None:
    """Runs a notebook and writes its outputs into it."""
    book, scope = json.loads(path.read_text("utf-8")), dict[str, Any]()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for cell in book["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"] = run_cell("".join(cell["source"]), scope)
    path.write_text(json.dumps(book, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    refresh(Path(sys.argv[1]).resolve())
