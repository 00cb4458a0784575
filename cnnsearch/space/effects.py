"""Keys of a space file that no candidate's wiring depends on."""

from collections.abc import Iterable, Iterator

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.stages import Stage
from cnnsearch.blocks import Layer
from cnnsearch.errors import SpaceError
from cnnsearch.utils.validation_errors import shorten


def check_effects(source: str, architectures: Iterable[Architecture]) -> None:
    """Refuses a key of a stage that has no effect in any of the candidates.

    Args:
        source: the file, for the message.
        architectures: candidates that have every option of the space at least once.

    Raises:
        SpaceError: names the key, its value and the reason.
    """
    unused: dict[str, str] = {}
    used: set[str] = set()
    for architecture in architectures:
        for i, stage in enumerate(architecture.stages):
            for key, reason in _list_effects(stage):
                place = f"stages.{i}.{key}"
                unused.setdefault(place, reason)
                used |= set() if reason else {place}
    for place, reason in unused.items():
        if place not in used:
            raise SpaceError(f"{source}: {place.strip()}: has no effect {reason}; remove it")


def _list_effects(stage: Stage | Layer) -> Iterator[tuple[str, str]]:
    """Yields the keys given for a stage that may have no effect, and why they have none, or ""."""
    if not isinstance(stage, Stage):
        return
    block, ignored = stage.block, stage.block.find_unused()
    given = [("width", "width")] if stage.width is not None else []
    given += [(f"block.{name}", name) for name in block.model_fields_set - {"type"}]
    for key, name in given:
        value = shorten(stage.width if name == "width" else getattr(block, name))
        reason = f"on a {block.type!r} block {block.explain_unused(name)}, got {value}"
        yield key, reason if name in ignored else ""
    # Two entries each below, as what a key needs may be different options.
    if stage.stride_on != "first":
        value = f"got {stage.stride_on!r}"
        yield "stride_on", "" if stage.stride > 1 else f"where nothing strides, {value}"
        yield "stride_on ", "" if stage.depth != 1 else f"in a stage of one block, {value}"
    if stage.downsample != "stride":
        value = f"got {stage.downsample!r}"
        yield "downsample", f"on {block.type!r} blocks, {value}" if block.pools_itself else ""
        yield "downsample ", "" if stage.stride > 1 else f"where nothing strides, {value}"


def remove_unused(architecture: Architecture) -> Architecture:
    """Returns the same network without the keys that have no effect, so that a file can hold it."""
    data = architecture.to_data()
    for stage, item in zip(data.get("stages", []), architecture.stages, strict=False):
        for key, reason in _list_effects(item):
            inside = stage["block"] if key.startswith("block.") else stage
            if reason:
                inside.pop(key.strip().removeprefix("block."), None)
    return Architecture.from_data(data)
