"""A report on data in the terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cnnsearch.data.inspection.copies import Leak, Place
from cnnsearch.data.inspection.findings import redundant
from cnnsearch.data.inspection.report import DataReport, Spread
from cnnsearch.utils.units import pluralize

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

CLASSES = 20
"""Classes that are shown; of more, the largest and the smallest."""

EXAMPLES = 5
"""Copies of each kind that are shown."""

NAMED = 50
"""Unreadable images that are named."""

_BARS = " ▁▂▃▄▅▆▇█"
_BAR = 16
_STYLES = {"error": ("✗", "bold red"), "warning": ("!", "bold yellow"), "note": ("·", "dim")}


def print_report(report: DataReport, console: "Console") -> None:
    """Prints classes, sizes, colours, copies, what to know and what a search does with it."""
    from rich.padding import Padding
    from rich.text import Text

    console.print(_headline(report), highlight=False, markup=False, style="bold")
    for block in (_classes(report), _measures(report), _facts(report)):
        console.print()
        console.print(block)
    for title, lines in _details(report):
        console.print(f"\n{title}", style="bold", highlight=False, markup=False)
        for line in lines:
            console.print(Padding(Text(line), (0, 0, 0, 2), expand=False))
    console.print("\nWhat a search does with it", style="bold")
    console.print(_plan(report))
    if report.findings:
        console.print("\nWhat to know", style="bold")
        console.print(_findings(report))
    if report.sheet:
        console.print(f"\nContact sheet: {report.sheet}", highlight=False, markup=False)


def _headline(report: DataReport) -> str:
    classes = f"{len(report.class_names):,} classes"
    total = report.images + len(report.unreadable)
    return f"{report.source}: {pluralize(total, 'image')} of {classes}, {size_text(report.bytes)}"


def size_text(number: float) -> str:
    """Returns ``512 B``, ``1.4 kB``, ``31 MB``."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= unit:
            scaled = number / unit
            return f"{scaled:.1f} {name}" if scaled < 10 else f"{scaled:,.0f} {name}"
    return f"{number:.0f} B"


def _grid() -> "Table":
    from rich.table import Table

    return Table.grid(padding=(0, 2))


def _classes(report: DataReport) -> "Table":
    from rich.table import Table

    carved = [split.name for split in report.splits if split.carved and split.images]
    caption = f"* held out of train with seed {report.seed}, the source has none"
    table = Table(
        box=None,
        pad_edge=False,
        caption=caption if carved else None,
        caption_justify="left",
        show_footer=True,
    )
    table.add_column("class", footer="all", max_width=28, no_wrap=True, footer_style="bold")
    for split in report.splits:
        name = f"{split.name}{'*' if split.name in carved else ''}"
        table.add_column(name, f"{split.images:,}", justify="right", footer_style="bold")
    table.add_column("of train", no_wrap=True)
    for label in _shown(report):
        table.add_row(*(["…"] if label is None else _row(report, label)))
    return table


def _shown(report: DataReport) -> list[int | None]:
    counts = report.splits[0].classes
    if len(counts) <= CLASSES:
        return list(range(len(counts)))
    ranked = sorted(range(len(counts)), key=lambda label: -counts[label])
    return [*ranked[: CLASSES // 2], None, *ranked[-CLASSES // 2 :]]


def _row(report: DataReport, label: int) -> list[str]:
    from rich.markup import escape

    counts = [split.classes[label] for split in report.splits]
    train = report.splits[0]
    bar = "█" * round(_BAR * counts[0] / max(1, *train.classes))
    share = counts[0] / max(1, train.images)
    numbers = [f"{count:,}" for count in counts]
    return [escape(report.class_names[label]), *numbers, f"{share:6.1%} {bar}"]


def _measures(report: DataReport) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for name in ("smallest", "median", "largest"):
        table.add_column(name, justify="right")
    table.add_column("distribution")
    for name, spread, text in (
        ("height", report.height, "{:,.0f}"),
        ("width", report.width, "{:,.0f}"),
        ("width/height", report.aspect, "{:.2f}"),
    ):
        table.add_row(name, *(text.format(value) for value in _three(spread)), sparkline(spread))
    sizes = report.file_bytes
    table.add_row("bytes", *(size_text(value) for value in _three(sizes)), sparkline(sizes))
    return table


def _three(spread: Spread) -> tuple[float, float, float]:
    return spread.smallest, spread.median, spread.largest


def sparkline(spread: Spread) -> str:
    """Returns a histogram in one line, or nothing where all values are the same."""
    if spread.smallest == spread.largest:
        return "all the same"
    top = max(spread.histogram)
    heights = [-(-count * (len(_BARS) - 1) // top) for count in spread.histogram]
    return "".join(_BARS[height] for height in heights)


def _facts(report: DataReport) -> "Table":
    from rich.markup import escape

    grid = _grid()
    rows = {
        "sizes": _tally(report.sizes, 4) if len(report.sizes) > 1 else next(iter(report.sizes)),
        "formats": _tally(report.formats) + _animated(report),
        "colours": _tally(report.colours) + _grey(report),
        "balance": _balance(report),
        "same file": _groups(report.copies.same_bytes),
        "same pixels": _groups(report.copies.same_pixels),
    }
    for name, text in rows.items():
        grid.add_row(f"[dim]{name}[/]", escape(text))
    return grid


def _tally(counts: Mapping[str, int], most: int = 8) -> str:
    parts = [f"{name} {count:,}" for name, count in list(counts.items())[:most]]
    return ", ".join(parts) + (", …" if len(counts) > most else "")


def _animated(report: DataReport) -> str:
    return f" ({report.animated:,} animated)" if report.animated else ""


def _grey(report: DataReport) -> str:
    return f" ({report.colourless:,} with grey pixels only)" if report.colourless else ""


def _balance(report: DataReport) -> str:
    if report.imbalance is None:
        return "a class of train is empty"
    return f"largest class of train {report.imbalance:.1f} times the smallest"


def _groups(groups: Sequence[Sequence[Place]]) -> str:
    if not groups:
        return "no two images"
    more = pluralize(redundant(groups), "image")
    repeats = "repeats" if redundant(groups) == 1 else "repeat"
    return f"{more} {repeats} another ({pluralize(len(groups), 'group')})"


def _details(report: DataReport) -> Iterator[tuple[str, list[str]]]:
    copies = report.copies
    if report.unreadable:
        lines = [f"{one.key}: {one.reason} ({one.split})" for one in report.unreadable]
        yield f"Unreadable: {len(lines):,}", _some(lines, NAMED)
    if copies.conflicts:
        groups = [" = ".join(f"{p.key} [{p.label}]" for p in group) for group in copies.conflicts]
        yield f"Same pixels, different labels: {len(groups):,}", _some(groups)
    if copies.leaks:
        lines = [_leak(leak, "=") for leak in copies.leaks]
        yield f"Same pixels in two splits: {len(lines):,}", _some(lines)
    if copies.likely_leaks:
        lines = [f"{_leak(leak, '~')} {leak.similarity:.4f}" for leak in copies.likely_leaks]
        yield f"Likely copies in two splits, by 16x16 pixels: {len(lines):,}", _some(lines)


def _leak(leak: Leak, sign: str) -> str:
    image, twin = leak.image, leak.twin
    return f"{image.key} ({image.split}) {sign} {twin.key} ({twin.split})"


def _some(lines: Sequence[str], most: int = EXAMPLES) -> list[str]:
    more = len(lines) - most
    return [*lines[:most], *([f"… and {more:,} more (--json names all)"] if more > 0 else [])]


def _plan(report: DataReport) -> "Table":
    plan, grid = report.plan, _grid()
    height, width = plan.image
    decoded, memory = size_text(plan.decoded_bytes), size_text(plan.memory)
    how = "streams them from disk" if plan.streamed else "maps them into memory"
    rows = {
        "image size": f"{height}x{width}: {plan.image_reason}",
        "channels": f"{plan.channels}: {plan.channels_reason}",
        "flip": f"{'yes' if plan.flip else 'no'}: {plan.flip_reason}",
        "memory": f"{decoded} decoded (train and validation), {memory} at hand: {how}",
    }
    for name, text in rows.items():
        grid.add_row(f"  [dim]{name}[/]", text)
    return grid


def _findings(report: DataReport) -> "Table":
    from rich.markup import escape

    grid = _grid()
    for finding in report.findings:
        sign, style = _STYLES[finding.level]
        grid.add_row(f"  [{style}]{sign}[/]", escape(finding.text))
    return grid
