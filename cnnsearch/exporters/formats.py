"""The formats that models are exported to, what each can, and what it needs installed."""

from dataclasses import dataclass
from importlib import util
from types import MappingProxyType
from typing import Final

from cnnsearch.errors import ExportError, nearest

FORMATS = ("savedmodel", "keras", "litert", "onnx")
QUANTIZATIONS = ("float32", "float16", "dynamic", "int8")
QUANTIZABLE = ("litert", "onnx")
ALL = "all"
NAMES: Final = MappingProxyType(
    {"savedmodel": "SavedModel", "keras": "Keras", "litert": "LiteRT", "onnx": "ONNX"}
)
_NEEDS: Final = MappingProxyType(
    {
        "savedmodel": (("tensorflow", "tensorflow"),),
        "keras": (),
        "litert": (("tensorflow", "tensorflow"), ("ai_edge_litert", "cnnsearch[litert]")),
        "onnx": (("onnx", "cnnsearch[onnx]"), ("onnxruntime", "cnnsearch[onnx]")),
    }
)
"""Modules that writing and verifying needs, and what to install for them."""
_FILES: Final = MappingProxyType({"keras": ".keras", "litert": ".tflite", "onnx": ".onnx"})
_RUNTIMES: Final = MappingProxyType(
    {"savedmodel": "tensorflow", "keras": "keras", "litert": "ai_edge_litert"}
)


@dataclass(frozen=True)
class Target:
    """One file (or folder) to be made.

    Attributes:
        format: of ``FORMATS``.
        quantize: of ``QUANTIZATIONS``: how weights are stored; ``int8`` computes in 8 bits too.
    """

    format: str
    quantize: str = "float32"

    @property
    def file(self) -> str:
        """Where it lies in an export's folder; ``1`` is what TensorFlow Serving calls a version."""
        if self.format == "savedmodel":
            return "1"
        suffix = "" if self.quantize == "float32" else f"-{self.quantize}"
        return f"model{suffix}{_FILES[self.format]}"

    @property
    def label(self) -> str:
        """Words for a table."""
        return NAMES[self.format] + ("" if self.quantize == "float32" else f" {self.quantize}")


def targets(formats: str, quantize: str | None) -> tuple[Target, ...]:
    """Returns what the flags ask for; both take several words, with commas between them.

    Raises:
        ExportError: a word is unknown, or nothing that is asked for can be quantized.
    """
    wanted = _words(formats, (*FORMATS, ALL), "--format")
    kinds = _words(quantize or "float32", QUANTIZATIONS, "--quantize")
    every = ALL in wanted
    chosen = [f for f in FORMATS if every or f in wanted]
    fixed = [NAMES[f] for f in chosen if f not in QUANTIZABLE]
    if fixed and not every and "float32" not in kinds:
        raise ExportError(
            f"--quantize {quantize}: {' and '.join(fixed)} cannot be quantized; LiteRT and ONNX can"
        )
    return tuple(
        Target(f, kind)
        for f in chosen
        for kind in QUANTIZATIONS
        if (kind in kinds if f in QUANTIZABLE else kind == "float32")
    )


def check_installed(wanted: tuple[Target, ...]) -> None:
    """Refuses formats whose libraries are not installed; says what to install."""
    for target in wanted:
        for module, install in _NEEDS[target.format]:
            if util.find_spec(module) is None:
                raise ExportError(
                    f"--format {target.format}: needs {module.replace('_', '-')}, "
                    f"which is not installed: pip install '{install}'"
                )


def check_runtime(format_: str) -> None:
    """Refuses a format whose runtime is not installed; says what to install."""
    module = _RUNTIMES.get(format_, "onnxruntime")
    if util.find_spec(module) is None:
        install = f"cnnsearch[{format_}]" if format_ in QUANTIZABLE else module
        raise ExportError(
            f"{NAMES[format_]} needs {module.replace('_', '-')}, which is not installed: "
            f"pip install '{install}'"
        )


def _words(text: str, known: tuple[str, ...], flag: str) -> list[str]:
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in known:
            hint = nearest(word, known) or f": it is one of {', '.join(known)}"
            raise ExportError(f"{flag} {text}: there is no {word!r}{hint}")
    return words
