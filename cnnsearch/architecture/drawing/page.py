"""Puts the parts of a network on a page: from top to bottom, in columns from left to right."""

from collections.abc import Sequence
from dataclasses import dataclass

from cnnsearch.architecture.drawing.layout import LABEL, Placed, Point
from cnnsearch.architecture.drawing.words import SHAPE_FONT, TITLE_FONT, text_width

PADDING = 0.14
BETWEEN = 0.2
GUTTER = 0.62
SHAPE_OF_PAGE = 1.5
"""Width over height that a page comes near to."""


@dataclass(frozen=True)
class Piece:
    """A part on the page: ``x`` and ``y`` are where it is entered."""

    placed: Placed
    x: float
    y: float

    @property
    def frame(self) -> tuple[float, float, float, float]:
        """Left, top, width and height of the frame."""
        left, right = _measure(self.placed)
        top = self.y - self.placed.part.header
        bottom = self.y + self.placed.bottom + (PADDING / 2 if self.placed.part.framed else 0)
        return self.x + left, top, right - left, bottom - top

    @property
    def exit(self) -> Point:
        """Where the next part is fed from."""
        return self.x + self.placed.exit[0], self.y + self.placed.exit[1]


@dataclass(frozen=True)
class Page:
    """Pieces with their places, and the lines between them."""

    pieces: tuple[Piece, ...]
    links: tuple[tuple[Point, ...], ...]
    width: float
    height: float


def lay_out(parts: Sequence[Placed], aspect: float = SHAPE_OF_PAGE) -> Page:
    """Returns the page of as many columns as bring it near to ``aspect``."""
    pages = [_make_page(_split_columns(parts, count)) for count in range(1, min(9, len(parts)) + 1)]
    return min(
        pages,
        key=lambda page: max(page.width / page.height / aspect, aspect * page.height / page.width),
    )


def _measure(placed: Placed) -> tuple[float, float]:
    """Left and right of a part with its frame, relative to its entry; titles must fit."""
    left, right = placed.left - PADDING, placed.right + PADDING
    if not placed.part.framed:
        return left, right
    part = placed.part
    badge = 0.5 if part.repeats > 1 else 0.0
    name = text_width(part.name, TITLE_FONT) * 1.1 + badge
    words = max(name, text_width(part.title, TITLE_FONT), text_width(part.cost, SHAPE_FONT))
    missing = words + PADDING - (right - left)
    return (left - missing / 2, right + missing / 2) if missing > 0 else (left, right)


def _measure_height(placed: Placed) -> float:
    return placed.bottom + placed.part.header + PADDING * placed.part.framed + BETWEEN


def _split_columns(parts: Sequence[Placed], count: int) -> list[list[Placed]]:
    """Cuts the parts into ``count`` runs, the tallest as low as can be."""
    low, high = max(map(_measure_height, parts)), sum(map(_measure_height, parts))
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if len(_fill_columns(parts, middle)) <= count else (middle, high)
    return _fill_columns(parts, high)


def _fill_columns(parts: Sequence[Placed], height: float) -> list[list[Placed]]:
    columns: list[list[Placed]] = [[]]
    used = 0.0
    for part in parts:
        if columns[-1] and used + _measure_height(part) > height + 1e-9:
            columns.append([])
            used = 0.0
        columns[-1].append(part)
        used += _measure_height(part)
    return columns


def _make_page(columns: Sequence[Sequence[Placed]]) -> Page:
    pieces: list[Piece] = []
    links: list[tuple[Point, ...]] = []
    left = bottom = 0.0
    for column in columns:
        extents = _find_offsets(column)
        axis = left - min(low for _, low, _ in extents)
        y = 0.0
        for i, (placed, (offset, _, _)) in enumerate(zip(column, extents, strict=True)):
            y += placed.part.header
            piece = Piece(placed, axis + offset, y)
            if pieces and not placed.part.name.startswith("auxiliary"):
                links.append(_make_link(pieces[-1], piece, left if i == 0 else None))
            pieces.append(piece)
            y = piece.y + placed.bottom + PADDING * placed.part.framed + BETWEEN
        bottom = max(bottom, y)
        left = axis + max(high for _, _, high in extents) + GUTTER
    return Page(tuple(pieces), tuple(links), left - GUTTER, bottom - BETWEEN)


def _find_offsets(column: Sequence[Placed]) -> list[tuple[float, float, float]]:
    """Where each part is entered, and its left and right, when each exit meets the next entry."""
    found: list[tuple[float, float, float]] = []
    x = 0.0
    for placed in column:
        left, right = _measure(placed)
        found.append((x, x + left, x + right))
        x += placed.exit[0]
    return found


def _make_link(upper: Piece, lower: Piece, column: float | None) -> tuple[Point, ...]:
    """The line from one part to the next; through the gutter where a column begins."""
    start, below = upper.exit, upper.exit[1] + LABEL
    top = lower.y - lower.placed.part.header
    end = (lower.x, top if lower.placed.part.framed else lower.y + lower.placed.top)
    if column is None:
        return (start, (start[0], below), end)
    gutter = column - GUTTER / 2
    low, high = upper.y + upper.placed.bottom + BETWEEN, top - BETWEEN
    return (start, (start[0], low), (gutter, low), (gutter, high), (end[0], high), end)
