"""Prints a report on data in the terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cnnsearch.data.inspection.copies import Leak, Place
from cnnsearch.data.inspection.findings import count_redundant
from cnnsearch.data.inspection.report import DataReport, Spread
from cnnsearch.utils.units import pluralize

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

CLASSES = 20
"""Most classes that are shown: the largest and the smallest."""
EXAMPLES = 5
"""Most copies of each kind that are shown."""
NAMED = 50
"""Most unreadable images, and files that are left out, that are named."""

_BARS = " ▁▂▃▄▅▆▇█"
_BAR = 16
_STYLES = {"error": ("✗", "bold red"), "warning": ("!", "bold yellow"), "note": ("·", "dim")}


def print_report(report: DataReport, console: "Console") -> None:
    """Prints classes, sizes, colours, copies, how a search uses the data, and findings."""
    from rich.padding import Padding
    from rich.text import Text

    total = pluralize(report.images + len(report.unreadable), "image")
    classes, size = f"{len(report.class_names):,} classes", format_bytes(report.bytes)
    headline = f"{report.source}: {total} of {classes}, {size}"
    console.print(headline, highlight=False, markup=False, style="bold")
    for block in (_tabulate_classes(report), _tabulate_measures(report), _tabulate_facts(report)):
        console.print()
        console.print(block)
    for title, lines in _list_details(report):
        console.print(f"\n{title}", style="bold", highlight=False, markup=False)
        for line in lines:
            console.print(Padding(Text(line), (0, 0, 0, 2), expand=False))
    console.print("\nWhat a search does with it", style="bold")
    console.print(_tabulate_plan(report))
    if report.findings:
        console.print("\nWhat to know", style="bold")
        signs = (_STYLES[finding.level] for finding in report.findings)
        texts = (finding.text for finding in report.findings)
        console.print(_make_grid((f"[{style}]{sign}[/]" for sign, style in signs), texts))
    if report.sheet:
        console.print(f"\nContact sheet: {report.sheet}", highlight=False, markup=False)


def format_bytes(number: float) -> str:
    """Returns ``512 B``, ``1.4 kB``, ``31 MB``."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= unit:
            scaled = number / unit
            return f"{scaled:.1f} {name}" if scaled < 10 else f"{scaled:,.0f} {name}"
    return f"{number:.0f} B"


def _make_grid(names: Iterator[str], texts: Iterator[str], indent: str = "  ") -> "Table":
    """Returns a table of two columns; names may have markup."""
    from rich.markup import escape
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    for name, text in zip(names, texts, strict=True):
        grid.add_row(f"{indent}{name}", escape(text))
    return grid


def _tabulate_classes(report: DataReport) -> "Table":
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
    for row in _list_class_rows(report):
        table.add_row(*row)
    return table


def _list_class_rows(report: DataReport) -> list[list[str]]:
    from rich.markup import escape

    train, rows = report.splits[0], []
    for label, name in enumerate(report.class_names):
        counts = [split.classes[label] for split in report.splits]
        bar = "█" * round(_BAR * counts[0] / max(1, *train.classes))
        share = f"{counts[0] / max(1, train.images):6.1%} {bar}"
        rows.append([escape(name), *(f"{count:,}" for count in counts), share])
    if len(rows) <= CLASSES:
        return rows
    ranked = sorted(range(len(rows)), key=lambda label: -train.classes[label])
    largest, smallest = ranked[: CLASSES // 2], ranked[-CLASSES // 2 :]
    return [*(rows[label] for label in largest), ["…"], *(rows[label] for label in smallest)]


def _tabulate_measures(report: DataReport) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for name in ("smallest", "median", "largest"):
        table.add_column(name, justify="right")
    table.add_column("distribution")
    for name, spread, write in (
        ("height", report.height, "{:,.0f}".format),
        ("width", report.width, "{:,.0f}".format),
        ("width/height", report.aspect, "{:.2f}".format),
        ("bytes", report.file_bytes, format_bytes),
    ):
        values = (spread.smallest, spread.median, spread.largest)
        table.add_row(name, *map(write, values), draw_sparkline(spread))
    return table


def draw_sparkline(spread: Spread) -> str:
    """Returns a histogram in one line."""
    if spread.smallest == spread.largest:
        return "all the same"
    top = max(spread.histogram)
    heights = [-(-count * (len(_BARS) - 1) // top) for count in spread.histogram]
    return "".join(_BARS[height] for height in heights)


def _tabulate_facts(report: DataReport) -> "Table":
    animated = f" ({report.animated:,} animated)" if report.animated else ""
    grey = f" ({report.colourless:,} with grey pixels only)" if report.colourless else ""
    balance = "a class of train is empty"
    if report.imbalance is not None:
        balance = f"largest class of train {report.imbalance:.1f} times the smallest"
    sizes = _format_counts(report.sizes, 4)
    rows = {
        "sizes": sizes if len(report.sizes) > 1 else next(iter(report.sizes)),
        "formats": _format_counts(report.formats) + animated,
        "colours": _format_counts(report.colours) + grey,
        "balance": balance,
        "same file": _format_groups(report.copies.same_bytes),
        "same pixels": _format_groups(report.copies.same_pixels),
    }
    return _make_grid((f"[dim]{name}[/]" for name in rows), iter(rows.values()), indent="")


def _format_counts(counts: Mapping[str, int], most: int = 8) -> str:
    parts = [f"{name} {count:,}" for name, count in list(counts.items())[:most]]
    return ", ".join(parts) + (", …" if len(counts) > most else "")


def _format_groups(groups: Sequence[Sequence[Place]]) -> str:
    if not groups:
        return "no two images"
    number = count_redundant(groups)
    repeats = "repeats" if number == 1 else "repeat"
    return f"{pluralize(number, 'image')} {repeats} another ({pluralize(len(groups), 'group')})"


def _list_details(report: DataReport) -> Iterator[tuple[str, list[str]]]:
    copies = report.copies
    if report.unreadable:
        lines = [f"{one.key}: {one.reason} ({one.split})" for one in report.unreadable]
        yield f"Unreadable: {len(lines):,}", _shorten(lines, NAMED)
    if report.left_out:
        lines = list(map(str, report.left_out))
        yield f"Left out: {len(lines):,}", _shorten(lines, NAMED)
    if copies.conflicts:
        groups = [" = ".join(f"{p.key} [{p.label}]" for p in group) for group in copies.conflicts]
        yield f"Same pixels, different labels: {len(groups):,}", _shorten(groups)
    if copies.leaks:
        lines = [_format_leak(leak, "=") for leak in copies.leaks]
        yield f"Same pixels in two splits: {len(lines):,}", _shorten(lines)
    if copies.likely_leaks:
        likely = copies.likely_leaks
        lines = [f"{_format_leak(leak, '~')} {leak.similarity:.4f}" for leak in likely]
        yield f"Likely copies in two splits, by 16x16 pixels: {len(lines):,}", _shorten(lines)


def _format_leak(leak: Leak, sign: str) -> str:
    image, twin = leak.image, leak.twin
    return f"{image.key} ({image.split}) {sign} {twin.key} ({twin.split})"


def _shorten(lines: Sequence[str], most: int = EXAMPLES) -> list[str]:
    more = len(lines) - most
    return [*lines[:most], *([f"… and {more:,} more (--json names all)"] if more > 0 else [])]


def _tabulate_plan(report: DataReport) -> "Table":
    plan = report.plan
    height, width = plan.image
    decoded, memory = format_bytes(plan.decoded_bytes), format_bytes(plan.memory)
    how = "streams them from disk" if plan.streamed else "maps them into memory"
    rows = {
        "image size": f"{height}x{width}: {plan.image_reason}",
        "channels": f"{plan.channels}: {plan.channels_reason}",
        "flip": f"{'yes' if plan.flip else 'no'}: {plan.flip_reason}",
        "memory": f"{decoded} decoded (train and validation), {memory} available: {how}",
    }
    return _make_grid((f"[dim]{name}[/]" for name in rows), iter(rows.values()))
