"""Peak memory of feature maps on a device."""

from typing import ClassVar

from cnnsearch.architecture.costs.base import MemoryKind


class Ram(MemoryKind):
    """The largest sum of live feature maps of the int8 LiteRT export, the image included."""

    name: ClassVar[str] = "ram"
    key: ClassVar[str] = "peak_activation_bytes"
    label: ClassVar[str] = "bytes of RAM"
    heading: ClassVar[str] = "RAM"
    title: ClassVar[str] = "peak memory of feature maps, bytes"
    description: ClassVar[str] = "Largest peak memory of feature maps in int8: 256K, 320KiB."
