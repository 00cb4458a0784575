"""Proposes a search for images, a machine and a time: space, image size, budget, epochs.

A `DataReport` and a `Machine` enter; a `Proposal` leaves: a commented space file, settings, and one
line for each choice with its reason and the flag that changes it.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cnnsearch.architecture.cost import Cost
from cnnsearch.architecture.costs import BOUNDED
from cnnsearch.engine.machine import Machine
from cnnsearch.engine.settings import SETTINGS
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.utils.units import format_amount, format_time, parse_amount, parse_image, pluralize

if TYPE_CHECKING:
    from cnnsearch.data.inspection import DataReport

SMALLEST: Final = 16
"""Height and width of the smallest images that are proposed."""
IMBALANCED: Final = 3.0
"""Ratio of the largest class to the smallest from which on all classes are weighted equally."""
TRAINED_IMAGES: Final = 200_000
"""Images that a candidate sees in all, about 3,000 steps of 64."""
EPOCHS: Final = (6, 30)
FULL_SIZED: Final = 15
"""Candidates of the largest size that fit into the time."""
QUICKER: Final = {"mixed": "quick"}
"""Spaces whose place another takes where the time does not suffice for half of the epochs."""
DEFAULT_SECONDS: Final = 3600.0
"""The time for which a budget is proposed if none is given."""
SAMPLES: Final = 60
"""Candidates that are counted, so that the budget leaves a fifth of the space."""
REQUESTED: Final = "as requested"
_TIMES: Final = ((3600, "h"), (60, "m"))
_ROUND: Final = tuple(step * 10**power for power in range(6, 10) for step in (1, 2, 5))


@dataclass(frozen=True)
class Choice:
    """One choice.

    Attributes:
        what: is chosen.
        value: in words.
        reason: why.
        flag: that changes it.
    """

    what: str
    value: str
    reason: str
    flag: str


FIXED: Final = (
    Choice("weights", "random", "no file of trained weights is given", "--weights"),
    Choice("baseline", "plain", "a plain network is trained first, to compare with", "--baseline"),
)


@dataclass(frozen=True)
class Proposal:
    """A search that suits images, machine and time.

    Attributes:
        base: the name of the space that ships.
        space: its text, for these images.
        name: a name for it, from that of the images.
        settings: by key, apart from ``data``.
        choices: in the order in which they are shown.
    """

    base: str
    space: str
    name: str
    settings: Mapping[str, Any]
    choices: tuple[Choice, ...]

    def write_file(self, command: str) -> str:
        """Returns the space's text below comments on the choices and the command."""
        lines = [f"#   {c.what}: {c.value}; {c.reason} ({c.flag})" for c in self.choices]
        head = [f"# {command}", "#", "# Chosen by cnnsearch init; change what you like:", *lines]
        head += ["#", f"# What follows is the space {self.base}, at that size:", ""]
        return "\n".join(head) + self.space

    def write_command(self, space: str, data: str) -> str:
        """Returns the command that searches."""
        words = ["cnnsearch", "search", space, "--data", data]
        for key, value in self.settings.items():
            words += [SETTINGS[key].flag, *([] if value is True else [_write_value(key, value)])]
        return shlex.join(words)


def propose(report: "DataReport", machine: Machine, given: Mapping[str, Any]) -> Proposal:
    """Proposes a search.

    Args:
        report: on the images.
        machine: that trains.
        given: settings that the user has chosen, by key; they are kept.
    """
    images, classes = report.splits[0].images, len(report.class_names)
    size = _choose_size(report, given)
    limit = given.get("max_time") or DEFAULT_SECONDS
    macs = limit / FULL_SIZED * machine.speed / (3 * images)  # with one epoch
    base = _choose_base(int(size.value.split("x")[0]))
    space, least = _load_space(base, report, size.value)
    if base in QUICKER and macs / least < _count_epochs(images) / 2:
        base = QUICKER[base]
        space, least = _load_space(base, report, size.value)
    epochs = _choose_epochs(images, macs / least, given)
    macs /= int(epochs.value)
    text = _write_space(space, size.value, report.plan.channels, classes, int(epochs.value))
    budget = _choose_macs(macs, least, machine, given)
    settings = {key: value for key, value in given.items() if key not in ("image", "epochs")}
    settings.setdefault("max_macs", parse_amount(budget.value.split()[0], "--max-macs"))
    more = list(_choose_for_data(report, given, settings))
    more += _choose_workers(machine, given, settings)
    family = Choice("space", base, space.description.rstrip("."), "SPACE")
    choices = (size, family, epochs, _choose_end(given), budget, *more, *FIXED)
    return Proposal(base, text, _name(report.source), settings, choices)


def _name(source: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", Path(source).stem).strip("-") or "images"


def _choose_size(report: "DataReport", given: Mapping[str, Any]) -> Choice:
    """Chooses the size that ``cnnsearch data`` shows, but no smaller than the spaces are for."""
    if given.get("image"):
        height, width = parse_image(str(given["image"]))
        return Choice("image size", f"{height}x{width}", REQUESTED, "--image")
    (height, width), reason = report.plan.image, report.plan.image_reason
    if min(height, width) < SMALLEST:
        reason = f"all images have {height}x{width} pixels: enlarged"
        height = width = SMALLEST
    return Choice("image size", f"{height}x{width}", reason, "--image")


def _choose_base(side: int) -> str:
    if side < 32:
        return "tiny"
    if side < 64:
        return "mixed"
    return "photos-small" if side < 128 else "photos"


def _load_space(base: str, report: "DataReport", size: str) -> tuple[SearchSpace, int]:
    """Returns a space that ships, and the MACs than which a fifth of its candidates has fewer."""
    height, width = parse_image(size)
    space, classes = SearchSpace.load(base), len(report.class_names)
    fitted = space.adapt(classes=classes, channels=report.plan.channels, image=(height, width))
    found = sorted(c.macs for c in fitted.sample_costs(SAMPLES, False) if isinstance(c, Cost))
    return space, max(1, found[len(found) // 5] if found else 0)


def _count_epochs(images: int) -> int:
    """Returns the epochs of a candidate if there is time enough."""
    fewest, most = EPOCHS
    return min(max(TRAINED_IMAGES // max(1, images), fewest), most)


def _choose_epochs(images: int, affordable: float, given: Mapping[str, Any]) -> Choice:
    """Chooses fewer epochs where otherwise only a few candidates would fit into the time.

    Args:
        images: of the training split.
        affordable: epochs with which ``FULL_SIZED`` candidates of a fifth of the space fit.
        given: settings that the user has chosen.
    """
    if given.get("epochs"):
        return Choice("epochs", str(given["epochs"]), REQUESTED, "--epochs")
    epochs = _count_epochs(images)
    reason = f"each candidate sees {format_amount(epochs * images)} training images"
    if affordable < epochs:
        epochs = max(int(affordable), EPOCHS[0])
        limit = format_time(given.get("max_time") or DEFAULT_SECONDS)
        reason = f"more would leave {limit} for fewer than {FULL_SIZED} small candidates"
    return Choice("epochs", str(epochs), reason, "--epochs")


def _choose_end(given: Mapping[str, Any]) -> Choice:
    trials, limit = given.get("trials"), given.get("max_time")
    number = pluralize(trials or SETTINGS["trials"].field.default, "candidate")
    if limit is None:
        return Choice("end", number, "no time limit is given", "--max-time, --trials")
    return Choice("end", f"{format_time(limit)} or {number}", REQUESTED, "--max-time, --trials")


def _choose_macs(macs: float, least: int, machine: Machine, given: Mapping[str, Any]) -> Choice:
    """Chooses the largest cost of which ``FULL_SIZED`` candidates fit into the time."""
    if given.get("max_macs"):
        return Choice("budget", f"{_shorten(given['max_macs'])} MACs", REQUESTED, "--max-macs")
    limit = format_time(given.get("max_time") or DEFAULT_SECONDS)
    reason = f"roughly {FULL_SIZED} candidates of that size fit into {limit} on {machine.device}"
    chosen = max([step for step in _ROUND if step <= macs], default=_ROUND[0])
    if chosen < least:
        chosen = next((step for step in _ROUND if step >= least), _ROUND[-1])
        reason = f"a fifth of the space is smaller; the largest take more than {limit} in all"
    return Choice("budget", f"{_shorten(chosen)} MACs", reason, "--max-macs")


def _choose_for_data(
    report: "DataReport", given: Mapping[str, Any], settings: dict[str, Any]
) -> Iterator[Choice]:
    """Chooses what the classes, copies and unreadable files of these images call for."""
    ratio = report.imbalance
    if (ratio is None or ratio >= IMBALANCED) and "objective" not in given:
        settings |= {"objective": "balanced_accuracy", "class_weights": "balanced"}
        reason = "a class has no training image"
        if ratio is not None:
            reason = f"the largest class is {ratio:.1f} times the smallest"
        yield Choice("objective", "balanced accuracy", reason, "--objective, --class-weights")
    if report.unreadable and "skip_bad_images" not in given:
        settings["skip_bad_images"] = True
        reason = f"{pluralize(len(report.unreadable), 'file')} cannot be read"
        yield Choice("bad images", "left out", reason, "--skip-bad-images")
    if report.copies.leaks and "drop_copies" not in given:
        settings["drop_copies"] = True
        reason = f"{pluralize(len(report.copies.leaks), 'image')} of a split are in another one too"
        yield Choice("copies", "left out of training", reason, "--drop-copies")


def _choose_workers(
    machine: Machine, given: Mapping[str, Any], settings: dict[str, Any]
) -> Iterator[Choice]:
    """Chooses a worker for each GPU; on a processor, several with a part of the cores each."""
    if any(given.get(key) is not None for key in ("gpus", "workers", "ray")):
        return
    if machine.gpus > 1:
        settings["gpus"] = "all"
        yield Choice("GPUs", "all", f"one worker for each of the {machine.gpus}", "--gpus")
    elif (workers := machine.workers) > 1:
        settings["workers"] = workers
        reason = f"{machine.cores} cores train more images a second than with one candidate"
        yield Choice("workers", f"{workers} candidates at a time", reason, "--workers")


def _write_space(space: SearchSpace, size: str, channels: int, classes: int, epochs: int) -> str:
    """Returns a shipped space's text with another input, number of classes and epochs."""
    height, width = size.split("x")
    changes = (
        (r"^input:.*$", f"input: [{height}, {width}, {channels}]"),
        (r"^classes:.*$", f"classes: {classes}"),
        (r"^  epochs:.*\n", ""),
        (r"^recipe:$", f"recipe:\n  epochs: {epochs}"),
    )
    text = space.text
    for pattern, replacement in changes:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text


def _shorten(amount: int) -> str:
    """Returns ``20M`` for 20,000,000: without the zeros that a table needs."""
    return re.sub(r"\.0+(?=[KMG]$)", "", format_amount(amount))


def _write_value(key: str, value: Any) -> str:
    if key == "max_time":
        unit, name = next((each for each in _TIMES if value % each[0] == 0), (1, "s"))
        return f"{value / unit:g}{name}"
    return _shorten(value) if key in (kind.budget for kind in BOUNDED) else str(value)
