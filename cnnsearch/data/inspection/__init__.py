"""Describes a data source: classes, sizes, colours, unreadable files, copies and leaks.

A source or a Python object enters; every image is read (`scan`), and a `DataReport` leaves, which
`table` prints and `sheet` draws samples of.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cnnsearch.data.dataset import Dataset
from cnnsearch.data.inspection.copies import find_copies
from cnnsearch.data.inspection.findings import list_findings
from cnnsearch.data.inspection.plan import make_plan
from cnnsearch.data.inspection.report import DataReport, SplitCount, Spread, list_unreadable
from cnnsearch.data.inspection.scan import Part, Progress, scan
from cnnsearch.data.inspection.sheet import check_sheet, write_sheet
from cnnsearch.data.loading import save_source
from cnnsearch.data.sources import find_source
from cnnsearch.data.sources.protocol import Collection, Folders, show_path
from cnnsearch.errors import DataError
from cnnsearch.utils.environment import get_available_memory

__all__ = ["DataReport", "describe"]
CACHE = Path("runs/.cache")
_FREQUENT = 10


def describe(
    source: object,
    *,
    image: tuple[int, int] | None = None,
    seed: int = 0,
    validation: float = 0.2,
    test: float = 0.2,
    skip_bad_images: bool = False,
    data_dir: Path | None = None,
    cache: Path = CACHE,
    max_memory: int | None = None,
    sheet: Path | None = None,
    progress: Progress | None = None,
) -> DataReport:
    """Inspects every image of a source, including its test split; trains nothing.

    Images are decoded at full size by a pool of threads; about 600 bytes are kept of each.

    Args:
        source: any that `cnnsearch.search` takes, a Python object too, except a `Dataset`, which is
            decoded already.
        image: height and width that candidates would read; None: one is proposed.
        seed: decides which images are held out where the source has no such split.
        validation: fraction to hold out for validation, if the source has no such split.
        test: likewise for test; 0 for none.
        skip_bad_images: whether the search would leave unreadable images out.
        data_dir: where TFDS keeps its prepared data; its own default if None.
        cache: where the content of Python objects is kept.
        max_memory: bytes the search may take for images; None: the available memory.
        sheet: where to write a contact sheet, a PNG: images of each class, from train.
        progress: called with images done and images in all.

    Raises:
        DataError: the source is unknown, missing, empty or malformed, no image of it can be
            read, or the sheet cannot be written. Unreadable images are reported, not raised.
    """
    if image is not None and min(image) < 1:
        raise DataError(f"image must be a height and a width of at least 1, got {image}")
    if sheet is not None:
        check_sheet(sheet)
    if isinstance(source, Dataset):
        raise DataError(
            f"describe: a Dataset is decoded already; describe its source, {source.source}"
        )
    found = find_source(save_source(source, cache), Folders(data_dir, cache))
    listed = found.open()
    parts = scan(listed, validation, test, seed, progress)
    report = _make_report(
        found.name, listed, parts, seed, image, max_memory or get_available_memory()
    )
    report = replace(report, findings=list_findings(report, skip_bad_images))
    if sheet is None:
        return report
    write_sheet(sheet, report, parts[0])
    return replace(report, sheet=str(sheet))


def _make_report(
    name: str,
    listed: Collection,
    parts: Sequence[Part],
    seed: int,
    image: tuple[int, int] | None,
    memory: int,
) -> DataReport:
    names = tuple(map(show_path, listed.class_names))
    bad = tuple(one for part in parts for one in list_unreadable(part, names))
    facts = [part.facts[row] for part in parts for row in part.readable]
    if not any(part.readable for part in parts[:2]):
        why = f", {bad[0].key} for one: {bad[0].reason}" if bad else ""
        raise DataError(f"{name}: no image of train and validation can be read{why}")
    splits = tuple(SplitCount.of(part, len(names)) for part in parts)
    train = splits[0].classes
    return DataReport(
        source=name,
        seed=seed,
        class_names=names,
        splits=splits,
        imbalance=max(train) / min(train) if min(train) else None,
        bytes=sum(one.length for part in parts for one in part.facts),
        height=Spread.of([one.height for one in facts]),
        width=Spread.of([one.width for one in facts]),
        aspect=Spread.of([one.width / one.height for one in facts]),
        file_bytes=Spread.of([one.length for one in facts]),
        sizes=dict(Counter(f"{one.height}x{one.width}" for one in facts).most_common(_FREQUENT)),
        formats=dict(Counter(one.format for one in facts).most_common()),
        colours=dict(Counter(one.colour for one in facts).most_common()),
        animated=sum(one.frames for one in facts),
        colourless=sum(one.colourless for one in facts),
        unreadable=bad,
        left_out=listed.left_out,
        copies=find_copies(parts, names),
        plan=make_plan(listed, parts, image, memory),
    )
