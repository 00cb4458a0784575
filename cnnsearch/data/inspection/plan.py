"""How a search uses a data set: size, channels, flips, memory."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from cnnsearch.data.dataset import MAPPED_SHARE
from cnnsearch.data.inspection.facts import Facts
from cnnsearch.data.inspection.scan import Part
from cnnsearch.data.sources.decode import native_channels
from cnnsearch.data.sources.protocol import Collection, are_characters
from cnnsearch.utils import environment

SIDES = (32, 64, 96, 128, 160, 192, 224)
CPU_SIDE = 64
"""The largest side that is proposed without a GPU."""


@dataclass(frozen=True)
class Plan:
    """How a search uses the images, each choice with its reason.

    Attributes:
        image: height and width that every image is stretched to.
        image_reason: why.
        channels: 1 (grey) or 3 (RGB).
        channels_reason: why.
        flip: whether training mirrors images left to right by default.
        flip_reason: why.
        decoded_bytes: of train and validation, as uint8 at that size.
        memory: bytes that a search may take for images.
        streamed: whether they are read from disk batch by batch, not mapped into memory.
    """

    image: tuple[int, int]
    image_reason: str
    channels: int
    channels_reason: str
    flip: bool
    flip_reason: str
    decoded_bytes: int
    memory: int
    streamed: bool


def make_plan(
    listed: Collection, parts: Sequence[Part], image: tuple[int, int] | None, memory: int
) -> Plan:
    """Decides as a search does, and proposes a size if none is given."""
    learned = [part for part in parts if part.name != "test"]
    facts = [part.facts[row] for part in learned for row in part.readable]
    size, size_reason = (image, "as requested") if image else _propose_size(facts)
    channels, channels_reason = _find_channels(listed, learned, facts)
    decoded = len(facts) * size[0] * size[1] * channels
    return Plan(
        size,
        size_reason,
        channels,
        channels_reason,
        listed.flip,
        _explain_flip(listed),
        decoded,
        memory,
        decoded > MAPPED_SHARE * memory,
    )


def _propose_size(facts: Sequence[Facts]) -> tuple[tuple[int, int], str]:
    largest = SIDES[-1] if environment.list_gpu_ids() else CPU_SIDE
    ((common, number),) = Counter((one.height, one.width) for one in facts).most_common(1)
    if number == len(facts) and max(common) <= largest:
        return common, "the size of all images"
    middle = median(min(one.height, one.width) for one in facts)
    side = max(side for side in SIDES if side <= max(SIDES[0], min(largest, middle)))
    limit = f"at most {CPU_SIDE} suit a processor" if largest == CPU_SIDE else f"at most {largest}"
    reason = f"the median shorter side is {middle:.0f}"
    return (side, side), reason if middle <= largest else f"{reason}, and {limit}"


def _find_channels(
    listed: Collection, learned: Sequence[Part], facts: Sequence[Facts]
) -> tuple[int, str]:
    if listed.channels:
        return listed.channels, "declared by the source"
    grey = sum(one.colourless for one in facts)
    if grey in (0, len(facts)):
        return (1, "every pixel is grey") if grey else (3, "the images are in colour")
    channels = native_channels(part.examples for part in learned)
    others = f"{grey:,} of {len(facts):,} images are grey"
    return channels, others if channels == 3 else f"{others}, all of up to 256 sampled ones"


def _explain_flip(listed: Collection) -> str:
    if listed.flip:
        return "classes do not look like characters; flip: false in a recipe forbids it"
    if are_characters(listed.class_names):
        return "classes look like characters, which must not be mirrored"
    return "the source holds characters, which must not be mirrored"
