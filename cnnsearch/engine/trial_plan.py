"""Turns proposals into training tasks, by what is the same for all trials of a session."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cnnsearch.architecture.cost import PredictedCost, count
from cnnsearch.architecture.costs import BOUNDED
from cnnsearch.data import Dataset
from cnnsearch.engine.latency_model import LatencyModel
from cnnsearch.engine.retries import Attempt
from cnnsearch.oracles.protocol import Proposal
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.records import BASELINE
from cnnsearch.space.backbone import Backbone
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.latency import LatencyTask
from cnnsearch.training.messages import Pretrained, TrialTask
from cnnsearch.training.objectives import DEFAULT_OBJECTIVE


@dataclass(frozen=True)
class PlannedTrial:
    """A training that a study decides on, without an oracle."""

    candidate: Candidate
    seed: int


@dataclass(frozen=True)
class TrialPlan:
    """What all trials of a session have in common.

    Attributes:
        space: with the data set's classes and channels.
        dataset: to train on.
        seed: of the search, from which each trial's is derived.
        epochs: of every candidate; None: its recipe's.
        rungs: whether the oracle decides how many epochs a candidate trains (Hyperband).
        deadline: of the session, on the monotonic clock; None: none.
        pretrained: initial weights of every candidate; None: random.
        backbones: weights of the candidates that have one.
        objective: that candidates are ranked by.
        class_weights: of each class in the loss; empty: equal.
        changes: to every candidate's recipe, ``key=value``.
        plan: candidates and seeds by trial id, where a study decides on them.
        baseline: the candidate that proposals with this role mean.
        networks: names of published networks of the space, by the architecture's fingerprint.
        latency: what each trial measures before it trains; None: nothing.
        latency_model: predicts it; None: there is none.
        predict_seconds: of a candidate and a number of epochs; None where it is not known.
    """

    space: SearchSpace
    dataset: Dataset
    seed: int
    epochs: int | None
    rungs: bool
    deadline: float | None = None
    pretrained: Pretrained | None = None
    backbones: Mapping[Backbone, Pretrained] = field(default_factory=dict)
    objective: str = DEFAULT_OBJECTIVE
    class_weights: tuple[float, ...] = ()
    changes: tuple[str, ...] = ()
    plan: Mapping[str, PlannedTrial] | None = None
    baseline: Candidate | None = None
    networks: Mapping[str, str] = field(default_factory=dict)
    latency: LatencyTask | None = None
    latency_model: LatencyModel | None = None
    predict_seconds: Callable[[Candidate, int], float | None] = lambda candidate, epochs: None

    def find_candidate(self, proposal: Proposal) -> Candidate:
        """Returns the candidate of a proposal, its recipe changed as requested."""
        if self.plan is not None:
            return self.plan[proposal.trial_id].candidate
        if proposal.role == BASELINE and self.baseline is not None:
            found = self.baseline
        else:
            found = self.space.decode(proposal.values)
        return self.change(found)

    def change(self, candidate: Candidate) -> Candidate:
        """Returns a candidate with its recipe changed as requested."""
        if not self.changes:
            return candidate
        return replace(candidate, recipe=candidate.recipe.change(self.changes))

    def derive_seed(self, proposal: Proposal, candidate: Candidate) -> int:
        """Returns the seed of a trial."""
        if self.plan is not None:
            return self.plan[proposal.trial_id].seed
        return derive_seed(self.seed, candidate.data_hash)

    def count_epochs(self, proposal: Proposal, candidate: Candidate) -> int:
        """Returns the last epoch of a trial, counted from 1."""
        if self.rungs:
            return proposal.epochs
        return self.epochs or candidate.recipe.epochs

    def make_task(
        self, proposal: Proposal, candidate: Candidate, attempt: Attempt, run: RunDirectory
    ) -> TrialTask:
        """Returns the task for the executor."""
        before, epochs = proposal.continues, self.count_epochs(proposal, candidate)
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
            pretrained=self._find_weights(candidate),
            objective=self.objective,
            class_weights=self.class_weights,
            accumulate=attempt.accumulate,
            attempt=attempt.number,
            latency=self.latency,
        )

    def _find_weights(self, candidate: Candidate) -> Pretrained | None:
        return self.backbones[candidate.backbone] if candidate.backbone else self.pretrained

    def _name_network(self, candidate: Candidate) -> str:
        if not self.networks:
            return ""
        return self.networks.get(candidate.architecture.fingerprint, "")

    def describe(self, proposal: Proposal, candidate: Candidate) -> dict[str, Any]:
        """Returns the data of the journal's ``trial_started`` event."""
        epochs = self.count_epochs(proposal, candidate)
        cost = count(candidate.architecture)
        if self.latency_model is not None:
            latency = self.latency_model.predict(candidate.architecture)
            cost = PredictedCost(**vars(cost), latency_ms=latency)
        return {
            "number": proposal.number,
            "values": proposal.values,
            "architecture": candidate.architecture.to_data(),
            "recipe": {**candidate.recipe.to_data(), "epochs": epochs},
            "fingerprint": candidate.fingerprint,
            "family": candidate.family,
            "params_total": cost.params_total,
            **{kind.key: kind.read(cost) for kind in BOUNDED},
            "epochs": epochs,
            "initial_epoch": proposal.initial_epoch,
            "continues": proposal.continues,
            "role": proposal.role,
            "network": self._name_network(candidate),
            **({"backbone": candidate.backbone.to_data()} if candidate.backbone else {}),
            "predicted_seconds": self.predict_seconds(candidate, epochs - proposal.initial_epoch),
        }


def derive_seed(seed: int, data_hash: str) -> int:
    """Returns the seed of a candidate's training, the same whenever it is trained."""
    digest = hashlib.sha256(f"{seed}/{data_hash}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
