"""What a session of a search is to do, whoever proposes the candidates."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cnnsearch.architecture.cost import count
from cnnsearch.data import Dataset
from cnnsearch.engine.retries import Attempt
from cnnsearch.oracles.protocol import Proposal
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.space.search_space import Candidate, SearchSpace
from cnnsearch.training.messages import Pretrained, TrialTask
from cnnsearch.training.objectives import DEFAULT_OBJECTIVE


@dataclass(frozen=True)
class PlannedTrial:
    """One training that is decided beforehand."""

    candidate: Candidate
    seed: int


@dataclass(frozen=True)
class TrialPlan:
    """What stays the same throughout a search.

    Attributes:
        space: fitted to the data set.
        dataset: what candidates are trained on.
        seed: of the search; each trial's own is derived from it.
        epochs: of every candidate, whatever its recipe says; None: the recipe's.
        rungs: whether the oracle decides how long a candidate trains (Hyperband).
        deadline: on the monotonic clock; None: none.
        pretrained: weights that every candidate starts from; None: random ones.
        objective: what candidates are ranked by.
        class_weights: of each class in the loss; empty: all alike.
        changes: of every candidate's recipe, ``key=value``.
        plan: candidates and seeds by trial id, where they are not the oracle's to propose.
    """

    space: SearchSpace
    dataset: Dataset
    seed: int
    epochs: int | None
    rungs: bool
    deadline: float | None = None
    pretrained: Pretrained | None = None
    objective: str = DEFAULT_OBJECTIVE
    class_weights: tuple[float, ...] = ()
    changes: tuple[str, ...] = ()
    plan: Mapping[str, PlannedTrial] | None = None

    def candidate(self, proposal: Proposal) -> Candidate:
        """Returns what a proposal stands for."""
        if self.plan is not None:
            return self.plan[proposal.trial_id].candidate
        found = self.space.decode(proposal.values)
        return replace(found, recipe=found.recipe.changed(self.changes)) if self.changes else found

    def derive_seed(self, proposal: Proposal, candidate: Candidate) -> int:
        """Returns the seed of a trial."""
        if self.plan is not None:
            return self.plan[proposal.trial_id].seed
        return derive_seed(self.seed, candidate.fingerprint)

    def epochs_of(self, proposal: Proposal, candidate: Candidate) -> int:
        """Returns the last epoch of a trial, counted from 1."""
        if self.rungs:
            return proposal.epochs
        return self.epochs or candidate.recipe.epochs

    def task(
        self, proposal: Proposal, candidate: Candidate, attempt: Attempt, run: RunDirectory
    ) -> TrialTask:
        """Returns what the executor is given."""
        before, epochs = proposal.continues, self.epochs_of(proposal, candidate)
        return TrialTask(
            trial_id=proposal.trial_id,
            architecture=candidate.architecture,
            recipe=candidate.recipe.model_copy(update={"epochs": epochs}),
            epochs=epochs,
            initial_epoch=proposal.initial_epoch,
            seed=self.derive_seed(proposal, candidate),
            dataset=self.dataset,
            directory=run.trial_dir(proposal.trial_id),
            continues=run.trial_dir(before) if before else None,
            pretrained=self.pretrained,
            objective=self.objective,
            class_weights=self.class_weights,
            accumulate=attempt.accumulate,
            attempt=attempt.number,
        )

    def record(self, proposal: Proposal, candidate: Candidate) -> dict[str, Any]:
        """Returns what the journal keeps of a trial's start."""
        epochs = self.epochs_of(proposal, candidate)
        cost = count(candidate.architecture)
        return {
            "number": proposal.number,
            "values": proposal.values,
            "architecture": candidate.architecture.to_data(),
            "recipe": {**candidate.recipe.to_data(), "epochs": epochs},
            "fingerprint": candidate.fingerprint,
            "family": candidate.architecture.family,
            "params": cost.params,
            "params_total": cost.params_total,
            "macs": cost.macs,
            "epochs": epochs,
            "initial_epoch": proposal.initial_epoch,
            "continues": proposal.continues,
        }


def derive_seed(seed: int, fingerprint: str) -> int:
    """Returns the seed of one candidate's training: it depends on nothing but these two."""
    digest = hashlib.sha256(f"{seed}/{fingerprint}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
