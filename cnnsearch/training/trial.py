"""One trial: decode, build, train, measure; an event at a time, and an outcome whatever happens."""

import traceback
from collections.abc import Iterator
from pathlib import Path

from cnnsearch.errors import CnnsearchError
from cnnsearch.training.messages import (
    Completed,
    EpochEnd,
    Event,
    Failed,
    Fault,
    TrialEnd,
    TrialTask,
    Waiting,
    failure,
)

LOG = "trial.log"
"""What a trial's process prints, and why it failed, in the trial's folder."""
FRAMEWORKS = frozenset({"keras", "tensorflow", "jax", "jaxlib", "torch"})


def run_trial(task: TrialTask) -> Iterator[Event]:
    """Trains the candidate of ``task`` in this process, yielding as each epoch ends.

    The last event is a :class:`TrialEnd`; nothing but an interrupt or an exit is raised. What an
    earlier session trained is told again, marked ``replayed``: it may not have been heard.
    """
    try:
        yield from _train(task)
    except Exception as error:
        yield TrialEnd(task.trial_id, outcome_of(error, task.directory))


def _train(task: TrialTask) -> Iterator[Event]:
    import keras

    from cnnsearch.training.trainer import Training

    keras.utils.clear_session(free_memory=False)
    training = Training(task)
    for step in training.run():
        if isinstance(step, str):
            yield Waiting(task.trial_id, step)
        else:
            yield EpochEnd(task.trial_id, *step)
    yield TrialEnd(task.trial_id, Completed(training.measurement()))


def outcome_of(error: Exception, folder: Path) -> Failed | Fault:
    """Returns the outcome of a trial that an error ended; an unexpected one goes into its log.

    An unexpected error is the candidate's if it passed through a framework, which builds and trains
    it, or if the system raised it; otherwise it is a bug of ours, which no other candidate avoids.

    Args:
        error: that ended the trial.
        folder: of the trial.
    """
    failed = failure(error)
    if failed is not None:
        return Failed(failed.kind, failed.reason)
    if isinstance(error, CnnsearchError):
        return Fault(str(error))
    try:
        with (folder / LOG).open("a", encoding="utf-8") as log:
            traceback.print_exception(error, file=log)
    except OSError:  # a full or read-only disk: the reason has to do
        pass
    first_line, *_ = str(error).strip().splitlines() or [""]
    cause = f"{type(error).__name__}: {first_line[:300]}".rstrip(": ")
    if isinstance(error, OSError) or _involves_framework(error):
        return Failed("crash", cause)
    return Fault(f"{cause} (a bug of cnnsearch, not of the candidate; more in {folder / LOG})")


def _involves_framework(error: Exception) -> bool:
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    packages = {str(frame.f_globals.get("__name__")).partition(".")[0] for frame in frames}
    return bool(packages & FRAMEWORKS)
