"""The metadata of LiteRT models, and the files that are packed into them.

The schema is that of tensorflow/tflite-support, ``metadata_schema.fbs`` 1.0 (identifier M001): the
flatbuffer says what input and output are, the files are a zip archive behind the model's own bytes.
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

NAME, IDENTIFIER, PARSER = "TFLITE_METADATA", b"M001", "1.0.0"
LABELS, FACTS = "labels.txt", "cnnsearch.json"
_AXIS_LABELS, _DESCRIPTIONS, _IMAGE = 2, 1, 2
_COLOURS = {1: 2, 3: 1}


def add_metadata(path: Path, facts: Mapping[str, Any], title: str) -> None:
    """Gives a model its metadata, label file and facts.

    Args:
        path: the model; is rewritten.
        facts: of the export; plain data.
        title: the model's name.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    buffer = schema.BufferT()
    buffer.data = list(_metadata(facts, title))
    entry = schema.MetadataT()
    entry.name, entry.buffer = NAME, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder(path.stat().st_size + (1 << 16))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(LABELS, "\n".join(facts["class_names"]) + "\n")
        archive.writestr(FACTS, json.dumps(facts, indent=2) + "\n")


class _Writer:
    """Writes tables by the numbers of their fields, in the schema's order."""

    def __init__(self) -> None:
        import flatbuffers

        self.builder = flatbuffers.Builder(1024)

    def table(self, fields: Mapping[int, Any], bytes_: Mapping[int, int] | None = None) -> int:
        """Writes a table of offsets (``fields``), single bytes (``bytes_``)."""
        self.builder.StartObject(max([*fields, *(bytes_ or {})]) + 1)
        for slot, offset in fields.items():
            self.builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
        for slot, value in (bytes_ or {}).items():
            self.builder.PrependUint8Slot(slot, value, 0)
        return int(self.builder.EndObject())

    def text(self, value: str) -> int:
        return int(self.builder.CreateString(value))

    def vector(self, offsets: Sequence[int]) -> int:
        self.builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self.builder.PrependUOffsetTRelative(offset)
        return int(self.builder.EndVector())

    def file(self, name: str, description: str, kind: int) -> int:
        fields = {0: self.text(name), 1: self.text(description)}
        return self.table(fields, {2: kind})


def _metadata(facts: Mapping[str, Any], title: str) -> bytes:
    w = _Writer()
    labels = w.vector([w.file(LABELS, "The classes, one a line.", _AXIS_LABELS)])
    answer = w.table(
        {0: w.text("probabilities"), 1: w.text("Probability of each class."), 6: labels}
    )
    graph = w.table({2: w.vector([_image(w, facts)]), 3: w.vector([answer])})
    described = w.vector([w.file(FACTS, "What it was trained on and how.", _DESCRIPTIONS)])
    root = w.table(
        {
            0: w.text(title),
            1: w.text(f"Image classifier of {len(facts['class_names'])} classes, by cnnsearch."),
            2: w.text(str(facts["versions"].get("cnnsearch", ""))),
            3: w.vector([graph]),
            6: described,
            7: w.text(PARSER),
        }
    )
    w.builder.Finish(root, file_identifier=IDENTIFIER)
    return bytes(w.builder.Output())


def _image(w: _Writer, facts: Mapping[str, Any]) -> int:
    """The input: pixels as they are, normalization being in the graph."""
    height, width, channels = facts["input"]
    w.builder.StartObject(2)
    w.builder.PrependUint32Slot(0, width, 0)
    w.builder.PrependUint32Slot(1, height, 0)
    size = w.builder.EndObject()
    properties = w.table({1: size}, {0: _COLOURS[channels]})
    content = w.table({1: properties}, {0: _IMAGE})
    described = "Pixels, 0 to 255, as they are: normalization is part of the model."
    return w.table({0: w.text("image"), 1: w.text(described), 3: content})
