"""Devices: the table, a file of one's own, and what they bound."""

from pathlib import Path

import pytest

from cnnsearch.architecture.devices import DEVICES, find_device
from cnnsearch.engine.options import SearchOptions
from cnnsearch.errors import BudgetError, CnnsearchError


def test_a_device_bounds_ram_and_flash() -> None:
    budget = SearchOptions(device="STM32F746").budget
    assert (budget.max_ram, budget.max_flash) == (320 * 1024, 1024**2)


def test_a_bound_that_is_given_replaces_the_devices() -> None:
    budget = SearchOptions(device="stm32f746", max_ram="256K").budget
    assert (budget.max_ram, budget.max_flash) == (256_000, 1024**2)


def test_recorded_bounds_need_no_device_file() -> None:
    budget = SearchOptions(device="gone.yaml", max_ram=5, max_flash=6).budget
    assert (budget.max_ram, budget.max_flash) == (5, 6)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "board.yaml"
    path.write_text("ram: 64KiB\nflash: 80KiB\n")
    assert find_device(str(path)).bounds == {"max_ram": 65_536, "max_flash": 81_920}


@pytest.mark.parametrize("text", ["rom: 1K", "[1]", "ram: many", "{}"])
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "board.yaml"
    path.write_text(text)
    with pytest.raises(CnnsearchError) as caught:
        find_device(str(path))
    assert "board.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_an_unknown_device_suggests_the_nearest() -> None:
    with pytest.raises(BudgetError, match="did you mean 'stm32f746'"):
        find_device("stm32f74")
    with pytest.raises(BudgetError, match="cannot be read"):
        find_device("nowhere.yaml")


def test_every_device_has_a_source_and_a_limit() -> None:
    assert all(device.source and device.bounds for device in DEVICES)
