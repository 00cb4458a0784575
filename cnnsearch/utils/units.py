"""Parses and formats amounts, times and image sizes: 300K, 1.5G, 2h, 12 s, 224x192."""

import math
import re

from cnnsearch.errors import BudgetError, CnnsearchError

_AMOUNT = re.compile(r"\s*(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*([kKmMgGbB]?)\s*")
_BINARY = re.compile(r"\s*(\d+(?:\.\d*)?)\s*([kKmMgG])i[bB]?\s*")
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9}
_TIME = re.compile(
    r"\s*(?:(\d+(?:\.\d+)?)\s*h)?\s*(?:(\d+(?:\.\d+)?)\s*m(?:in)?)?\s*(?:(\d+(?:\.\d+)?)\s*s)?\s*"
)
_SIDES = re.compile(r"(\d+)(?:\s*[xX]\s*(\d+))?")
LARGEST_SIDE = 4096


def parse_amount(text: str | int | float, what: str) -> int:
    """Parses ``300K``, ``2M``, ``1.5G``, ``2e6`` or a plain number.

    Args:
        text: the amount.
        what: the flag or key that it was passed to, for the message.

    Raises:
        BudgetError: not such an amount, or not positive.
    """
    match = _AMOUNT.fullmatch(str(text))
    amount = float(match[1]) * _UNITS[match[2].lower()] if match else math.nan
    if not 1 <= amount < 1e18:
        raise BudgetError(
            f"{what}: expected a positive number such as 300K, 2M or 1.5G, got {text!r}"
        )
    return round(amount)


def parse_size(text: str | int | float, what: str) -> int:
    """Parses a number of bytes: as :func:`parse_amount` (K is 1,000), or ``320KiB`` or ``1MiB``.

    Raises:
        BudgetError: not such a size, or not positive.
    """
    match = _BINARY.fullmatch(str(text))
    if match is None:
        return parse_amount(re.sub(r"(?<=[\d.kKmMgG])[bB]$", "", str(text).strip()), what)
    power: int = 1 + "kmg".index(match[2].lower())
    return int(float(match[1]) * 1024**power)


def parse_time(text: str | int | float, what: str) -> float:
    """Parses ``2h``, ``1h30m``, ``45m`` or ``90s``; returns seconds. A number is in seconds.

    Raises:
        CnnsearchError: not such a time, without a unit, or not positive.
    """
    if isinstance(text, str) and text.strip().isdecimal():
        units = " or ".join(f"{text.strip()}{unit}" for unit in "smh")
        raise CnnsearchError(f"{what}: expected a time with a unit, got {text!r}: {units}?")
    match = _TIME.fullmatch(text if isinstance(text, str) else f"{text:f}s")
    parts = [float(part or 0) for part in match.groups()] if match else [0.0]
    seconds = sum(p * unit for p, unit in zip(parts, (3600, 60, 1), strict=False))
    if seconds <= 0:
        raise CnnsearchError(f"{what}: expected a time such as 2h, 45m or 90s, got {text!r}")
    return seconds


def format_amount(amount: int | None) -> str:
    """Formats an amount as ``82.1K`` or ``1.50M``; None as a dash."""
    if amount is None:
        return "-"
    for unit, name in ((10**9, "G"), (10**6, "M"), (10**3, "K")):
        if amount >= unit:
            scaled = amount / unit
            digits = 2 if scaled < 10 else 1 if scaled < 100 else 0
            return f"{scaled:.{digits}f}{name}"
    return str(amount)


def format_count(number: int) -> str:
    """Formats a count as ``12,345``, or as ``1.23e+45`` from a billion on."""
    if number < 10**9:
        return f"{number:,}"
    digits = math.log10(number)  # the number itself may be too large for a float
    mantissa = f"{10 ** (digits % 1):.2f}"
    exponent = int(digits) + (mantissa == "10.00")
    return f"{'1.00' if mantissa == '10.00' else mantissa}e+{exponent:02d}"


def pluralize(number: int, thing: str) -> str:
    """Formats ``1 candidate``, ``1,200 candidates``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def format_time(seconds: float) -> str:
    """Formats seconds as ``0.4 s``, ``12 s``, ``3:05 min`` or ``2:14 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02} min"
    return f"{minutes // 60}:{minutes % 60:02} h"


def format_milliseconds(milliseconds: float) -> str:
    """Formats a latency with three digits: ``0.0231 ms``, ``2.31 ms``, ``231 ms``."""
    digits = max(0, min(4, 2 - math.floor(math.log10(milliseconds)))) if milliseconds > 0 else 0
    return f"{milliseconds:.{digits}f} ms"


def parse_image(text: str, flag: str = "--image") -> tuple[int, int]:
    """Parses ``224`` or ``224x192`` (height first).

    Raises:
        CnnsearchError: the text is neither.
    """
    match = _SIDES.fullmatch(text.strip())
    sides = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not all(1 <= side <= LARGEST_SIDE for side in sides):
        raise CnnsearchError(
            f"{flag}: expected a side in pixels such as 224, or height x width such as 224x192, "
            f"of at most {LARGEST_SIDE}, got {text!r}"
        )
    return sides
