"""Which trainings a study of fidelity needs: every candidate, once in each of several ways."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cnnsearch.engine.trial_plan import Planned, seed_of
from cnnsearch.errors import CnnsearchError, RunError
from cnnsearch.oracles.protocol import Proposal
from cnnsearch.runs.lookup import parse_image
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.search_space import Candidate, SearchSpace
from cnnsearch.utils.safe_yaml import read_yaml

LONG, AGAIN = "long", "long-again"
TRAINED = "trained"
"""The key among a trial's values that says in which way it was trained."""


@dataclass(frozen=True)
class Variant:
    """One way to train every candidate.

    Attributes:
        label: names it, in words for people: ``long``, ``4 epochs``, ``4 epochs, ema=0.9``.
        epochs: of the training; its schedule ends with them.
        recipe: what it changes of a candidate's own recipe.
        train_share: stratified share of the training split that it learns from.
        image: height and width that it reads; None: the space's own.
    """

    label: str
    epochs: int
    recipe: Mapping[str, Any] = field(default_factory=dict)
    train_share: float = 1.0
    image: tuple[int, int] | None = None

    @property
    def view(self) -> tuple[float, tuple[int, int] | None]:
        """What it sees of the data: share and size."""
        return self.train_share, self.image

    @property
    def slug(self) -> str:
        """The label as part of a trial's id, which names a folder."""
        return re.sub(r"[^A-Za-z0-9.]+", "-", self.label).strip("-")

    def applied(self, candidate: Candidate) -> Candidate:
        """Returns the candidate as it is trained in this way.

        Raises:
            SpaceError: one line naming the lever, the rule and the value.
        """
        changed = {**candidate.recipe.to_data(), **self.recipe, "epochs": self.epochs}
        recipe = type(candidate.recipe).from_data(changed, f"--lever {self.label}")
        return Candidate(candidate.architecture.adapted(image=self.image), recipe)


@dataclass(frozen=True)
class Drawn:
    """A candidate of the sample: its number from 1, its values, and what they decode to."""

    number: int
    values: Mapping[str, Any]
    candidate: Candidate


@dataclass(frozen=True)
class Training:
    """One training of a study: which candidate, in which way."""

    drawn: Drawn
    variant: Variant
    seed: int

    @property
    def trial_id(self) -> str:
        """The name of its trial: the candidate's number and the way it is trained."""
        return f"{self.drawn.number:04d}-{self.variant.slug}"

    @property
    def planned(self) -> Planned:
        """What the driver trains."""
        return Planned(self.variant.applied(self.drawn.candidate), self.seed)

    def proposal(self, number: int) -> Proposal:
        """Returns what the driver is handed; ``number`` is its place in the run."""
        candidate = self.planned.candidate
        return Proposal(
            trial_id=self.trial_id,
            number=number,
            values={TRAINED: self.variant.label, **self.drawn.values},
            epochs=self.variant.epochs,
            fingerprint=candidate.fingerprint,
        )


def variants(
    short: Sequence[int],
    long: int,
    *,
    levers: Sequence[str] = (),
    train_share: float = 1.0,
    image: str | None = None,
    repeat: int = 0,
) -> list[Variant]:
    """Returns the ways to train: each short one plain and with each lever, then the long one.

    Args:
        short: epochs of short trainings.
        long: epochs of the long one, on all of train at the space's own size.
        levers: ``key=value[,key=value…]``: recipe keys, ``epochs``, ``train_share``, ``image``.
        train_share: of every short training that no lever gives another.
        image: likewise.
        repeat: whether (any number but 0) there is a second long training.

    Raises:
        CnnsearchError: a number or a lever makes no sense, or two of them are the same.
    """
    base = {"train_share": train_share, **({} if image is None else {"image": image})}
    found = [_variant(f"{epochs}", base, {}) for epochs in short]
    for text in levers:
        changes = read_changes(text, "--lever")
        lengths = [changes.pop("epochs")] if "epochs" in changes else list(short)
        found += [_variant(str(epochs), base, changes) for epochs in lengths]
    found.append(Variant(LONG, long))
    found += [Variant(AGAIN, long)] if repeat else []
    _check(found, long)
    return found


def read_changes(text: str, flag: str) -> dict[str, Any]:
    """Reads ``key=value[,key=value…]``; values are YAML's: numbers, true, null, words.

    Raises:
        CnnsearchError: it is not of this form.
    """
    changes: dict[str, Any] = {}
    for part in re.split(r",(?=\s*\w+=)", text):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not (key and equals and value):
            raise CnnsearchError(f"{flag}: expected key=value such as ema=0.9, got {text!r}")
        changes[key] = read_yaml(value, f"{flag} {key}")
    return changes


def _variant(epochs: str, base: Mapping[str, Any], changes: Mapping[str, Any]) -> Variant:
    given = {**base, **changes}
    share, image = given.pop("train_share"), given.pop("image", None)
    shown = {**changes, **({} if share == 1 else {"train_share": share})}
    shown |= {} if image is None else {"image": image}
    words = [f"{epochs} epoch{'' if epochs == '1' else 's'}"]
    words += [f"{key}={_text(value)}" for key, value in shown.items()]
    label = ", ".join(words)
    if not epochs.isdigit() or int(epochs) < 1:
        raise CnnsearchError(f"--short: expected epochs of at least 1, got {epochs!r}")
    if not isinstance(share, int | float) or not 0 < share <= 1:
        raise CnnsearchError(f"--train-share: expected above 0 and at most 1, got {share!r}")
    size = None if image is None else parse_image(str(image))
    return Variant(label, int(epochs), given, float(share), size)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _check(found: Sequence[Variant], long: int) -> None:
    if long < 1:
        raise CnnsearchError(f"--long: expected at least 1, got {long}")
    slugs: dict[str, str] = {}
    for variant in found:
        if variant.slug in slugs:
            twice = variant.label
            raise CnnsearchError(f"--short and --lever: {twice!r} is there twice")
        slugs[variant.slug] = variant.label
        full = variant.train_share == 1 and variant.image is None
        if variant.label not in (LONG, AGAIN) and variant.epochs >= long and full:
            raise CnnsearchError(
                f"--long: expected more than the {variant.epochs} epochs of a short training, "
                f"got {long}"
            )


def trainings(
    drawn: Sequence[Drawn], ways: Sequence[Variant], seed: int, repeat: int
) -> Iterator[Training]:
    """Yields every training of a study, candidate by candidate: an interrupted one has pairs.

    Short and long ones have seeds of their own, as a search's trials and a final training have.

    Args:
        drawn: the sample.
        ways: to train.
        seed: of the study.
        repeat: how many candidates are trained long a second time.
    """
    for one in drawn:
        for way in ways:
            if way.label != AGAIN or one.number <= repeat:
                yield Training(one, way, seed_of(seed, f"{one.candidate.fingerprint}/{way.slug}"))


def open_proposals(
    planned: Sequence[Training], known: Mapping[str, TrialRecord], run: str
) -> list[Proposal]:
    """Returns what is still to be trained; of what began before, its number is kept.

    Raises:
        RunError: a trial of that name was another candidate's.
    """
    numbers = {trial_id: trial.number for trial_id, trial in known.items()}
    following = max(numbers.values(), default=0)
    left: list[Proposal] = []
    for training in planned:
        before = known.get(training.trial_id)
        if training.trial_id not in numbers:
            following += 1
        proposal = training.proposal(numbers.get(training.trial_id, following))
        if before is not None and before.fingerprint != proposal.fingerprint:
            raise RunError(
                f"run {run!r}: trial {before.id} was trained otherwise than it would be now "
                "(another version of cnnsearch?); choose another --name"
            )
        if before is None or before.status not in ("completed", "failed"):
            left.append(proposal)
    return left


def with_recipe(space: SearchSpace, changes: Mapping[str, Any]) -> SearchSpace:
    """Returns the space with keys of every candidate's recipe set.

    Raises:
        SpaceError: the recipe has no such key, or the value breaks its rule.
        CnnsearchError: the space's recipe is not a mapping of keys.
    """
    if not changes:
        return space
    data = read_yaml(space.text, space.source)
    recipe = data.get("recipe", {})
    if not isinstance(recipe, dict) or "choice" in recipe:
        raise CnnsearchError(f"--set: {space.source} chooses between whole recipes")
    text = json.dumps({**data, "recipe": {**recipe, **changes}}, indent=1)
    return SearchSpace.from_text(text, space.source)
