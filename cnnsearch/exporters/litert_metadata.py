"""The metadata of LiteRT models, and the label file that is packed into them.

The schema is that of tensorflow/tflite-support, ``metadata_schema.fbs`` 1.0 (identifier M001): the
flatbuffer describes input and output, the files are a zip archive behind the model's own bytes.
Written here because the library, tflite-support 0.4.4, pins a protobuf (3.20) that TensorFlow
cannot run with.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnsearch.exporters.formats.base import FACTS_FILE

NAME, IDENTIFIER, PARSER = "TFLITE_METADATA", b"M001", "1.0.0"
LABELS = "labels.txt"
_AXIS_LABELS, _DESCRIPTIONS, _IMAGE = 2, 1, 2
_COLOUR_SPACES = {1: 2, 3: 1}


def add_metadata(path: Path, facts: Mapping[str, Any]) -> None:
    """Rewrites a model with metadata and label file."""
    from ai_edge_litert import schema_py_generated as schema

    from cnnsearch.exporters.litert_file import read_model, write_model

    model = read_model(path.read_bytes())
    buffer = schema.BufferT()
    buffer.data = list(_build_metadata(facts))
    entry = schema.MetadataT()
    entry.name, entry.buffer = NAME, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    path.write_bytes(write_model(model))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(LABELS, "\n".join(facts["class_names"]) + "\n")


class _Writer:
    """Writes tables by the numbers of their fields, in the schema's order."""

    def __init__(self) -> None:
        import flatbuffers

        self.builder = flatbuffers.Builder(1024)

    def add_table(self, fields: Mapping[int, int], bytes_: Mapping[int, int] | None = None) -> int:
        """Writes a table of offsets (``fields``) and single bytes (``bytes_``)."""
        self.builder.StartObject(max([*fields, *(bytes_ or {})]) + 1)
        for slot, offset in fields.items():
            self.builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
        for slot, value in (bytes_ or {}).items():
            self.builder.PrependUint8Slot(slot, value, 0)
        return int(self.builder.EndObject())

    def add_text(self, value: str) -> int:
        return int(self.builder.CreateString(value))

    def add_vector(self, offset: int) -> int:
        """Writes a vector of one table."""
        self.builder.StartVector(4, 1, 4)
        self.builder.PrependUOffsetTRelative(offset)
        return int(self.builder.EndVector())

    def add_file(self, name: str, description: str, kind: int) -> int:
        fields = {0: self.add_text(name), 1: self.add_text(description)}
        return self.add_vector(self.add_table(fields, {2: kind}))


def _build_metadata(facts: Mapping[str, Any]) -> bytes:
    w = _Writer()
    labels = w.add_file(LABELS, "The classes, one per line.", _AXIS_LABELS)
    names = {0: w.add_text("probabilities"), 1: w.add_text("Probability of each class.")}
    output = w.add_table({**names, 6: labels})
    graph = w.add_table({2: w.add_vector(_add_image(w, facts)), 3: w.add_vector(output)})
    root = w.add_table(
        {
            0: w.add_text(f"{facts['run']} {facts['trial']}"),
            1: w.add_text(
                f"Image classifier of {len(facts['class_names'])} classes, by cnnsearch."
            ),
            2: w.add_text(str(facts["versions"].get("cnnsearch", ""))),
            3: w.add_vector(graph),
            6: w.add_file(FACTS_FILE, "How it was trained, and on what.", _DESCRIPTIONS),
            7: w.add_text(PARSER),
        }
    )
    w.builder.Finish(root, file_identifier=IDENTIFIER)
    return bytes(w.builder.Output())


def _add_image(w: _Writer, facts: Mapping[str, Any]) -> int:
    """Describes the input: raw pixels, as normalization is in the graph."""
    height, width, channels = facts["input"]
    w.builder.StartObject(2)
    w.builder.PrependUint32Slot(0, width, 0)
    w.builder.PrependUint32Slot(1, height, 0)
    size = w.builder.EndObject()
    properties = w.add_table({1: size}, {0: _COLOUR_SPACES[channels]})
    content = w.add_table({1: properties}, {0: _IMAGE})
    text = "Pixels from 0 to 255: normalization is part of the model."
    return w.add_table({0: w.add_text("image"), 1: w.add_text(text), 3: content})
