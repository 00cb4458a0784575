"""Which facts of a report deserve a warning, and what can be done about them."""

from collections import Counter
from collections.abc import Iterator, Sequence

from cnnsearch.data.inspection.copies import MOST_PAIRS, Leak, Place
from cnnsearch.data.inspection.report import DataReport, Finding, SplitCount
from cnnsearch.utils.units import pluralize

IMBALANCED = 3.0
"""Ratio of the largest class to the smallest above which class weights are advised."""

ADVICE = "--class-weights balanced --objective balanced_accuracy"
_RANK = {"error": 0, "warning": 1, "note": 2}


def list_findings(report: DataReport, skip_bad_images: bool) -> tuple[Finding, ...]:
    """Returns problems and remarks, the worst first."""
    found = [
        *_check_unreadable(report, skip_bad_images),
        *_check_left_out(report),
        *_check_classes(report),
        *_check_copies(report),
        *_check_leaks(report),
        *_list_notes(report),
    ]
    return tuple(sorted(found, key=lambda finding: _RANK[finding.level]))


def _check_unreadable(report: DataReport, skipped: bool) -> Iterator[Finding]:
    bad = len(report.unreadable)
    if not bad:
        return
    held = Counter(one.split for one in report.unreadable)
    where = ", ".join(f"{number:,} in {split}" for split, number in held.items())
    text = f"{bad:,} of {bad + report.images:,} images cannot be read ({where})"
    if skipped:
        yield Finding("warning", f"{text}; a search with --skip-bad-images leaves them out.")
    else:
        yield Finding("error", f"{text}; repair or remove them, or search with --skip-bad-images.")


def _check_left_out(report: DataReport) -> Iterator[Finding]:
    if report.left_out:
        files = pluralize(len(report.left_out), "file")
        yield Finding("warning", f"{files} of the source left out: they are no readable images.")


def _check_classes(report: DataReport) -> Iterator[Finding]:
    train, *held = report.splits
    for name, count in zip(report.class_names, train.classes, strict=True):
        if not count:
            yield Finding("error", f"Class {name!r} has no training image that can be read.")
    if not held[0].images:
        yield Finding("error", "No validation image can be read.")
    if report.imbalance and report.imbalance > IMBALANCED:
        yield Finding(
            "warning",
            f"The largest class has {report.imbalance:.1f} times the images of the smallest: "
            f"accuracy says little about small classes. Search with {ADVICE}",
        )
    for split in held:
        absent = [n for n, c in zip(report.class_names, split.classes, strict=True) if not c]
        if absent and split.images:
            more = f" and {len(absent) - 3:,} more" if len(absent) > 3 else ""
            names = ", ".join(map(repr, absent[:3])) + more
            yield Finding("warning", f"The {split.name} split has no image of class {names}.")


def _check_copies(report: DataReport) -> Iterator[Finding]:
    conflicts = report.copies.conflicts
    if conflicts:
        yield Finding(
            "warning",
            f"{pluralize(sum(map(len, conflicts)), 'image')} with identical pixels carry different "
            f"labels ({pluralize(len(conflicts), 'group')}): at most one label can be right.",
        )
    train = [[p for p in group if p.split == "train"] for group in report.copies.same_pixels]
    repeated = count_redundant(train)
    if repeated:
        yield Finding(
            "note",
            f"{pluralize(repeated, 'training image')} with the pixels of another one: "
            "repeated images have more weight in the loss.",
        )


def count_redundant(groups: Sequence[Sequence[Place]]) -> int:
    """Returns how many images could be removed without any pixels being lost."""
    return sum(len(group) - 1 for group in groups if group)


def _check_leaks(report: DataReport) -> Iterator[Finding]:
    for split in report.splits[1:]:
        certain = _count_leaks(report.copies.leaks, split)
        if certain:
            cure = "Remove the copies." if split.carved else "Remove them from one of the two."
            yield Finding(
                "warning",
                f"{certain:,} of {split.images:,} {split.name} images {_have(certain)} identical "
                f"pixels in another split: their score measures memorization. {cure}",
            )
        likely = _count_leaks(report.copies.likely_leaks or (), split)
        if likely:
            yield Finding(
                "warning",
                f"{likely:,} {split.name} {'image is' if likely == 1 else 'images are'} likely a "
                "resized or re-encoded copy of one in another split: check them.",
            )
    if report.copies.likely_leaks is None:
        yield Finding("note", f"Likely copies were not searched: over {MOST_PAIRS:,} pairs.")


def _count_leaks(leaks: Sequence[Leak], split: SplitCount) -> int:
    return len({leak.image for leak in leaks if leak.image.split == split.name})


def _have(number: int) -> str:
    return "has" if number == 1 else "have"


def _list_notes(report: DataReport) -> Iterator[Finding]:
    if report.animated:
        files = f"{pluralize(report.animated, 'image')} {_have(report.animated)}"
        yield Finding("note", f"{files} several frames, of which only the first is used.")
    if 0 < report.colourless < report.images and report.plan.channels == 3:
        yield Finding(
            "note",
            f"{report.colourless:,} of {report.images:,} images "
            f"{'is' if report.colourless == 1 else 'are'} grey among images in colour; "
            "if that correlates with the class, a network can learn it instead of the content.",
        )
    if report.splits[2].images:
        yield Finding("note", "The test split was read to describe it; nothing is trained here.")
