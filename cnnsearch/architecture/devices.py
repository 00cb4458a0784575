"""Published memory of devices, as limits on a network: one line each in ``DEVICES``."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cnnsearch.architecture.costs import FLASH, RAM
from cnnsearch.errors import BudgetError, suggest
from cnnsearch.utils.safe_yaml import read_yaml

KIB: Final = 1024
MIB: Final = 1024 * KIB


@dataclass(frozen=True)
class Device:
    """What a device offers a network; all of it, so that the program's own share is to be deducted.

    Attributes:
        name: for ``--device``.
        ram: bytes for feature maps; None: no limit that a network reaches.
        flash: bytes for the file; None likewise.
        source: where both are published.
    """

    name: str
    ram: int | None
    flash: int | None
    source: str

    @property
    def bounds(self) -> dict[str, int]:
        """The settings that it stands for, by their keys."""
        found = {RAM.budget: self.ram, FLASH.budget: self.flash}
        return {key: bound for key, bound in found.items() if bound is not None}


DEVICES: Final = (
    Device("stm32f412", 256 * KIB, 1 * MIB, "MCUNet, arXiv:2007.10319, section 4.1"),
    Device("stm32f746", 320 * KIB, 1 * MIB, "STM32F746NG datasheet DS10916; arXiv:2007.10319"),
    Device("stm32h743", 512 * KIB, 2 * MIB, "STM32H743 datasheet DS12110: its AXI SRAM"),
    Device("stm32h747", 512 * KIB, 2 * MIB, "STM32H747 datasheet DS12930: its AXI SRAM"),
    Device("esp32-s3", 512 * KIB, 8 * MIB, "ESP32-S3 datasheet; module ESP32-S3-WROOM-1-N8"),
    Device("rp2040", 264 * KIB, 2 * MIB, "RP2040 datasheet; flash of the Raspberry Pi Pico"),
    Device(
        "coral-edge-tpu", None, 8 * MIB, "coral.ai: parameters that its SRAM caches, about 8 MB"
    ),
    Device("raspberry-pi-4", 1024 * MIB, None, "Raspberry Pi 4 product brief: the smallest model"),
)


def find_device(text: str) -> Device:
    """Returns a device by its name, or that of a YAML file with ``ram`` and ``flash``.

    Raises:
        BudgetError: there is neither, or the file has other keys or no sizes.
    """
    known = {device.name: device for device in DEVICES}
    if text.lower() in known:
        return known[text.lower()]
    path = Path(text)
    if path.suffix not in (".yaml", ".yml"):
        names = ", ".join(known)
        hint = suggest(text, known)
        raise BudgetError(f"--device: expected {names} or a .yaml file, got {text!r}{hint}")
    return _read_device(path)


def _read_device(path: Path) -> Device:
    try:
        data = read_yaml(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise BudgetError(f"--device {path}: cannot be read: {error}") from None
    if not isinstance(data, Mapping) or not data or set(data) - {"ram", "flash"}:
        raise BudgetError(f"{path}: expected ram and flash, such as ram: 320KiB, got {data!r}")
    sizes = {key: int(kind.parse(data[key], f"{path}: {key}"))
             for key, kind in (("ram", RAM), ("flash", FLASH)) if key in data}  # fmt: skip
    return Device(path.stem, sizes.get("ram"), sizes.get("flash"), str(path))
