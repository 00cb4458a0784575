"""Plans the trainings of a fidelity study: every candidate, once by each variant."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cnnsearch.engine.trial_plan import PlannedTrial, derive_seed
from cnnsearch.errors import CnnsearchError, RunError
from cnnsearch.oracles.protocol import Proposal
from cnnsearch.runs.records import TrialRecord
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.utils.safe_yaml import read_yaml
from cnnsearch.utils.units import parse_image

LONG, AGAIN = "long", "long-again"
LONGER = 4
"""Epochs of a long training by default, as a multiple of the longest short one's."""
TRAINED = "trained"
"""Key of the variant's label among a trial's values."""


@dataclass(frozen=True)
class Variant:
    """One way to train every candidate.

    Attributes:
        label: its name in tables: ``long``, ``4 epochs``, ``4 epochs, ema=0.9``.
        epochs: of the training; the learning rate schedule ends with them.
        recipe: values that replace those of a candidate's own recipe.
        train_share: stratified share of the training split.
        image: height and width of the images; None: the space's own.
    """

    label: str
    epochs: int
    recipe: Mapping[str, Any] = field(default_factory=dict)
    train_share: float = 1.0
    image: tuple[int, int] | None = None

    @property
    def view(self) -> tuple[float, tuple[int, int] | None]:
        """Share of the training split and image size: what decides the data set."""
        return self.train_share, self.image

    @property
    def slug(self) -> str:
        """The label as part of a trial's id, which names a folder."""
        return re.sub(r"[^A-Za-z0-9.]+", "-", self.label).strip("-")

    def apply(self, candidate: Candidate) -> Candidate:
        """Returns the candidate with this variant's epochs, recipe and image size.

        Raises:
            SpaceError: one line naming the lever, the rule and the value.
        """
        changed = {**candidate.recipe.to_data(), **self.recipe, "epochs": self.epochs}
        recipe = type(candidate.recipe).from_data(changed, f"--lever {self.label}")
        architecture = candidate.architecture.adapt(image=self.image)
        return replace(candidate, architecture=architecture, recipe=recipe)


@dataclass(frozen=True)
class SampledCandidate:
    """A candidate of the sample: its number from 1, its values, and what they decode to."""

    number: int
    values: Mapping[str, Any]
    candidate: Candidate


@dataclass(frozen=True)
class Training:
    """One training of a study: a candidate, a variant and a seed."""

    sampled: SampledCandidate
    variant: Variant
    seed: int

    @property
    def trial_id(self) -> str:
        """The candidate's number and the variant."""
        return f"{self.sampled.number:04d}-{self.variant.slug}"

    @property
    def planned(self) -> PlannedTrial:
        """The candidate and the seed as the driver takes them."""
        return PlannedTrial(self.variant.apply(self.sampled.candidate), self.seed)

    def to_proposal(self, number: int) -> Proposal:
        """Returns the training as a proposal; ``number`` is its place in the run."""
        return Proposal(
            trial_id=self.trial_id,
            number=number,
            values={TRAINED: self.variant.label, **self.sampled.values},
            epochs=self.variant.epochs,
            fingerprint=self.planned.candidate.fingerprint,
        )


def plan_variants(
    short: int | Sequence[int],
    long: int | None = None,
    *,
    levers: Sequence[str] = (),
    train_share: float = 1.0,
    image: str | int | None = None,
    repeat: int = 0,
) -> list[Variant]:
    """Returns every variant: each short one plain and with each lever, then the long ones.

    Args:
        short: epochs of short trainings.
        long: epochs of the long one, on all of train at the space's own size; None: four times
            the longest short one's.
        levers: ``key=value[,key=value…]``: recipe keys, ``epochs``, ``train_share``, ``image``.
        train_share: of every short training whose lever sets none.
        image: likewise.
        repeat: if not 0, there is a second long training.

    Raises:
        CnnsearchError: a number or a lever is invalid, or two variants are the same.
    """
    short = [short] if isinstance(short, int) else list(short)
    if not short:
        raise CnnsearchError("--short: expected at least one number of epochs")
    long = LONGER * max(short) if long is None else long
    base = {"train_share": train_share, **({} if image is None else {"image": str(image)})}
    found = [_make_variant(f"{epochs}", base, {}) for epochs in short]
    for text in levers:
        changes = read_changes(text, "--lever")
        lengths = [changes.pop("epochs")] if "epochs" in changes else short
        found += [_make_variant(str(epochs), base, changes) for epochs in lengths]
    found.append(Variant(LONG, long))
    found += [Variant(AGAIN, long)] if repeat else []
    _check_variants(found, long)
    return found


def read_changes(text: str, flag: str) -> dict[str, Any]:
    """Reads ``key=value[,key=value…]``; values are YAML: numbers, true, null, words."""
    changes: dict[str, Any] = {}
    for part in re.split(r",(?=\s*\w+=)", text):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not (key and equals and value):
            raise CnnsearchError(f"{flag}: expected key=value such as ema=0.9, got {text!r}")
        changes[key] = read_yaml(value, f"{flag} {key}")
    return changes


def _make_variant(epochs: str, base: Mapping[str, Any], changes: Mapping[str, Any]) -> Variant:
    recipe = {**base, **changes}
    share, image = recipe.pop("train_share"), recipe.pop("image", None)
    shown = {**changes, **({} if share == 1 else {"train_share": share})}
    shown |= {} if image is None else {"image": image}
    words = [f"{epochs} epoch{'' if epochs == '1' else 's'}"]
    words += [f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in shown.items()]
    if not epochs.isdigit() or int(epochs) < 1:
        raise CnnsearchError(f"--short: expected epochs of at least 1, got {epochs!r}")
    if not isinstance(share, int | float) or not 0 < share <= 1:
        raise CnnsearchError(f"--train-share: expected above 0 and at most 1, got {share!r}")
    size = None if image is None else parse_image(str(image))
    return Variant(", ".join(words), int(epochs), recipe, float(share), size)


def _check_variants(found: Sequence[Variant], long: int) -> None:
    if long < 1:
        raise CnnsearchError(f"--long: expected at least 1, got {long}")
    slugs = set()
    for variant in found:
        if variant.slug in slugs:
            raise CnnsearchError(f"--short and --lever: {variant.label!r} is there twice")
        slugs.add(variant.slug)
        full = variant.train_share == 1 and variant.image is None
        if variant.label not in (LONG, AGAIN) and variant.epochs >= long and full:
            raise CnnsearchError(
                f"--long: expected more than the {variant.epochs} epochs of a short training, "
                f"got {long}"
            )


def plan_trainings(
    sample: Sequence[SampledCandidate], variants: Sequence[Variant], seed: int, repeat: int
) -> Iterator[Training]:
    """Yields every training candidate by candidate, so that an interrupted study has pairs.

    Short and long ones have different seeds, as a search's trials and a final training have.
    ``repeat`` candidates are trained long a second time.
    """
    for one in sample:
        for variant in variants:
            if variant.label != AGAIN or one.number <= repeat:
                text = f"{one.candidate.data_hash}/{variant.slug}"
                yield Training(one, variant, derive_seed(seed, text))


def list_open_proposals(
    planned: Sequence[Training], known: Mapping[str, TrialRecord], run: str
) -> list[Proposal]:
    """Returns the trainings that have not ended; those that were started keep their numbers.

    Raises:
        RunError: a trial of the same id trained another candidate.
    """
    numbers = {trial_id: trial.number for trial_id, trial in known.items()}
    following = max(numbers.values(), default=0)
    left: list[Proposal] = []
    for training in planned:
        before = known.get(training.trial_id)
        following += before is None
        proposal = training.to_proposal(numbers.get(training.trial_id, following))
        # Version 0.1 recorded the hash of the data.
        same = (proposal.fingerprint, training.planned.candidate.data_hash)
        if before is not None and before.fingerprint not in same:
            raise RunError(
                f"run {run!r}: trial {before.id} trained another candidate than it would now "
                "(another version of cnnsearch?); choose another --name"
            )
        if before is None or before.status not in ("completed", "failed"):
            left.append(proposal)
    return left


def set_recipe_keys(space: SearchSpace, changes: Mapping[str, Any]) -> SearchSpace:
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
