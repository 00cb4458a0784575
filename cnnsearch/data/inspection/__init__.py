"""Describes a data source: classes, sizes, colours, files that cannot be read, copies and leaks."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnnsearch.data.dataset import Dataset
from cnnsearch.data.inspection.copies import find_copies
from cnnsearch.data.inspection.facts import Facts
from cnnsearch.data.inspection.findings import findings
from cnnsearch.data.inspection.plan import make_plan
from cnnsearch.data.inspection.report import (
    DataReport,
    count_split,
    imbalance,
    spread,
    tally,
    unreadable,
)
from cnnsearch.data.inspection.scan import Part, Progress, scan
from cnnsearch.data.inspection.sheet import check_sheet, write_sheet
from cnnsearch.data.loading import save_source
from cnnsearch.data.sources import find_source
from cnnsearch.data.sources.protocol import Collection, Folders, printable
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
    """Looks at every image of a source, those of its test split too; trains nothing.

    Images are decoded at full size by a pool of threads; of each, about 600 bytes are kept.

    Args:
        source: any that `cnnsearch.search` takes, a Python object too, but a `Dataset`: that is
            decoded already.
        image: height and width that candidates would read; None: a proposal is made.
        seed: decides which images are held out where the source has no such split.
        validation: fraction to hold out for validation, if the source has no such split.
        test: likewise for test; 0 for none.
        skip_bad_images: whether the search would leave unreadable images out.
        data_dir: where TFDS keeps its prepared data; its own default if None.
        cache: where what Python objects hold is kept while it is looked at, and after.
        max_memory: bytes the search may take for images; None: what the machine has left.
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
    report = _report(found.name, listed, parts, seed, image, max_memory or get_available_memory())
    report = replace(report, findings=findings(report, skip_bad_images))
    if sheet is None:
        return report
    write_sheet(sheet, report, parts[0])
    return replace(report, sheet=str(sheet))


def _report(
    name: str,
    listed: Collection,
    parts: Sequence[Part],
    seed: int,
    image: tuple[int, int] | None,
    memory: int,
) -> DataReport:
    names = tuple(map(printable, listed.class_names))
    bad = tuple(one for part in parts for one in unreadable(part, names))
    facts = [part.facts[row] for part in parts for row in part.readable]
    if not any(part.readable for part in parts[:2]):
        why = f", {bad[0].key} for one: {bad[0].reason}" if bad else ""
        raise DataError(f"{name}: no image of train and validation can be read{why}")
    splits = tuple(count_split(part, len(names)) for part in parts)
    sizes = tally(facts, lambda one: f"{one.height}x{one.width}")
    return DataReport(
        source=name,
        seed=seed,
        class_names=names,
        splits=splits,
        imbalance=imbalance(splits[0]),
        bytes=sum(one.length for part in parts for one in part.facts),
        **_spreads(facts),
        sizes=dict(list(sizes.items())[:_FREQUENT]),
        formats=tally(facts, lambda one: one.format),
        colours=tally(facts, lambda one: one.colour),
        animated=sum(one.frames for one in facts),
        colourless=sum(one.colourless for one in facts),
        unreadable=bad,
        copies=find_copies(parts, names),
        plan=make_plan(listed, parts, image, memory),
    )


def _spreads(facts: Sequence[Facts]) -> dict[str, Any]:
    return {
        "height": spread([one.height for one in facts]),
        "width": spread([one.width for one in facts]),
        "aspect": spread([one.width / one.height for one in facts]),
        "file_bytes": spread([one.length for one in facts]),
    }
