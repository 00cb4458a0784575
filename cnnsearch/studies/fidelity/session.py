"""Trains what a fidelity study lacks, one view of the data after the other."""

from collections.abc import Callable, Sequence

from cnnsearch.data import Dataset
from cnnsearch.engine.display.callback import Overview
from cnnsearch.engine.session import RunSession, describe_skipped
from cnnsearch.oracles.fixed_list import FixedList
from cnnsearch.runs.directory import INTERRUPTED
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.studies.fidelity.plan import Training, Variant, list_open_proposals
from cnnsearch.utils.environment import describe_device
from cnnsearch.utils.units import pluralize

KIND = "fidelity"
"""The ``kind`` of such a run in its ``run.json``."""


def train_variants(
    session: RunSession,
    space: SearchSpace,
    planned: Sequence[Training],
    load: Callable[[Variant], Dataset],
) -> str:
    """Trains what has not ended yet; returns why it ended, ``trials`` or ``interrupted``.

    ``load`` returns the data that a variant is trained on.
    """
    known = {trial.id: trial for trial in session.run.db.get_trials()}
    left = {one.trial_id: one for one in list_open_proposals(planned, known, session.run.name)}
    longest = max(planned, key=lambda one: one.variant.epochs).variant
    data = load(longest)
    overview = _make_overview(session, space, data, longest.epochs, (len(planned), len(left)))
    session.begin(overview, describe_skipped(data))
    reason = "trials"
    for view in dict.fromkeys(one.variant.view for one in planned):
        todo = [one for one in planned if one.variant.view == view and one.trial_id in left]
        if not todo or reason == INTERRUPTED:
            continue
        plan = {one.trial_id: one.planned for one in todo}
        oracle = FixedList(left[trial_id] for trial_id in plan)
        reason = session.train(oracle, space, load(todo[0].variant), plan)
    return reason


def _make_overview(
    session: RunSession, space: SearchSpace, data: Dataset, epochs: int, counts: tuple[int, int]
) -> Overview:
    total, left = counts
    title = (
        f"Fidelity of {space.name} on {data.source} ({data.train.count:,} training images): "
        f"{pluralize(total, 'training')}, the longest of {pluralize(epochs, 'epoch')}, "
        f"on {describe_device()}. Run {session.run.name}."
    )
    return session.make_overview(
        data, title=title, space=space.name, strategy=KIND, trials=total, epochs=epochs,
        finished=total - left,
    )  # fmt: skip
