"""Size of the network's file on a device."""

from typing import ClassVar

from cnnsearch.architecture.costs.base import MemoryKind


class Flash(MemoryKind):
    """The size of the int8 LiteRT export: weights, biases, scales and operators."""

    name: ClassVar[str] = "flash"
    key: ClassVar[str] = "flash_bytes"
    label: ClassVar[str] = "bytes of flash"
    heading: ClassVar[str] = "flash"
    title: ClassVar[str] = "size of the int8 file, bytes"
    description: ClassVar[str] = "Largest size of the int8 LiteRT file: 1M, 80KiB."
