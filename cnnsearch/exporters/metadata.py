"""Puts the facts of an export into its files, where each format has room for them; reads them."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnsearch.errors import ExportError
from cnnsearch.exporters.formats import Target
from cnnsearch.exporters.litert_metadata import FACTS, add_metadata

EXTRA = "assets.extra"
"""A SavedModel's folder for what its program does not read."""
KEY = "cnnsearch"
"""Of an ONNX file's metadata."""


def onnx_properties(facts: Mapping[str, Any]) -> dict[str, str]:
    """Returns the metadata of an ONNX file: the facts whole, and the main ones by themselves."""
    plain = {"run": facts["run"], "trial": facts["trial"], "mlflow_run_id": facts["mlflow_run_id"]}
    data = {
        "class_names": facts["class_names"],
        "architecture": facts["architecture"],
        "metrics": facts["metrics"],
        "versions": facts["versions"],
    }
    return {
        **{key: value for key, value in plain.items() if value},
        **{key: json.dumps(value) for key, value in data.items()},
        KEY: json.dumps(facts),
    }


def pack(target: Target, path: Path, facts: Mapping[str, Any]) -> None:
    """Gives a file its facts; an ONNX file has them from the start.

    Args:
        target: what it is.
        path: the file, or the SavedModel's folder.
        facts: plain data.
    """
    text = json.dumps(facts, indent=2) + "\n"
    if target.format == "savedmodel":
        (path / EXTRA).mkdir(exist_ok=True)
        (path / EXTRA / FACTS).write_text(text, "utf-8")
        names = "\n".join(facts["class_names"]) + "\n"
        (path / EXTRA / "class_names.txt").write_text(names, "utf-8")
    elif target.format == "keras":
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(FACTS, text)
    elif target.format == "litert":
        add_metadata(path, facts, f"{facts['run']} {facts['trial']}")


def unpack(path: Path) -> dict[str, Any]:
    """Returns the facts that a file carries.

    Raises:
        ExportError: it is no export of cnnsearch's; says which file.
    """
    try:
        facts = json.loads(_text(path))
        if not isinstance(facts, dict) or "class_names" not in facts:
            raise ValueError("it has no class names")
    except Exception as error:  # whatever a file that is no model makes its reader raise
        why = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise ExportError(f"{path}: not an export of cnnsearch: {why}") from None
    return facts


def _text(path: Path) -> str:
    if path.is_dir():
        return (path / EXTRA / FACTS).read_text("utf-8")
    if path.suffix == ".onnx":
        import onnxruntime

        onnxruntime.set_default_logger_severity(4)
        found = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return str(found.get_modelmeta().custom_metadata_map[KEY])
    with zipfile.ZipFile(path) as archive:
        return archive.read(FACTS).decode("utf-8")
