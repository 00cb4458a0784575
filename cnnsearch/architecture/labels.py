"""Short descriptions of layers, blocks and stages, for tables and drawings."""

from typing import Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.stages import Head, Stage
from cnnsearch.blocks import Block, Layer

_SIZES = ("filters", "units", "growth")


def describe_stage(stage: Stage) -> str:
    """``4 x bottleneck 128 /2``."""
    block = describe_block(stage, 0 if stage.stride_on == "first" else stage.depth - 1)
    return f"{stage.depth} x {block}" if stage.depth != 1 else block


def describe_block(stage: Stage, index: int) -> str:
    """``bottleneck 128 /2``: block number ``index`` of a stage."""
    strided = 0 if stage.stride_on == "first" else stage.depth - 1
    if stage.stride == 1 or index != strided:
        return describe(stage.block, stage.width)
    words = describe(stage.block, stage.width, stage.stride)
    how = "" if stage.downsample == "stride" else f" by {stage.downsample.replace('_', ' ')}"
    return f"{words}{how}"


def describe(node: Layer | Block, width: int | None = None, stride: int = 1) -> str:
    """``conv 7x7 64 /2``: the type, kernel, width and stride, then what is not its default."""
    data = node.model_dump(mode="json", exclude_defaults=True)
    kind = data.pop("type")
    stride = max(stride, getattr(node, "stride", 1))
    words = [kind, _describe_kernel(node)] + [str(data.get(key, "")) for key in _SIZES]
    words += [str(width or ""), f"/{stride}" if stride > 1 else ""]
    shown = ("kernel", "size", "stride", *_SIZES)
    words += [_describe_option(key, value) for key, value in data.items() if key not in shown]
    return " ".join(word for word in words if word)


def _describe_kernel(node: Layer | Block) -> str:
    """The window's height and width, where it is the node's point: of a convolution or pooling."""
    field = "size" if hasattr(node, "size") else "kernel"
    kernel = getattr(node, field, None)
    is_shown = isinstance(node, Layer) or field in node.model_fields_set
    if kernel is None or not is_shown:
        return ""
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    return f"{height}x{width}"


def _describe_option(key: str, value: Any) -> str:
    name = key.replace("_", " ")
    if isinstance(value, bool):
        return name if value else f"no {name}"
    if isinstance(value, list) and value and isinstance(value[0], list | dict):
        return f"{len(value)} {name}"
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return f"{name} {value}"


def describe_head(head: Head, classes: int) -> str:
    """``global_pool, dropout 0.2, dense 1000``."""
    words = [describe(layer) for layer in head.layers]
    words += [f"dropout {head.dropout:g}"] if head.dropout else []
    return ", ".join([*words, f"{head.classifier} {classes}"])


def describe_place(architecture: Architecture, place: str) -> str:
    """Describes what is wired in a scope: ``stages.2.0``, ``stages.2``, ``stem.1``, ``head``."""
    part, *numbers = place.split(".")
    if part == "head":
        return describe_head(architecture.head, architecture.classes)
    if part == "auxiliary":
        extra = architecture.auxiliary[int(numbers[0])]
        return describe_head(extra.head, architecture.classes)
    if part == "stem":
        layers = architecture.stem[int(numbers[0]) :][:1] if numbers else architecture.stem
        return ", ".join(describe(layer) for layer in layers)
    item = architecture.stages[int(numbers[0])]
    if not isinstance(item, Stage):
        return describe(item)
    if len(numbers) == 1:
        return describe_stage(item)
    return "norm, activation" if numbers[1] == "end" else describe_block(item, int(numbers[1]))
