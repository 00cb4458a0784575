"""Runs one trial: an event per epoch, and an outcome whatever happens."""

import traceback
from collections.abc import Iterator
from dataclasses import replace
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
    as_candidate_failure,
)

LOG = "trial.log"
"""File in the trial's directory with the output of its process and the traceback of a failure."""

FRAMEWORKS = frozenset({"keras", "tensorflow", "jax", "jaxlib", "torch"})


def run_trial(task: TrialTask) -> Iterator[Event]:
    """Trains a candidate in this process, yielding an event at the end of each epoch.

    The last event is a :class:`TrialEnd`; only interrupts and exits are raised. Epochs of an
    earlier session are yielded again, marked ``replayed``: the driver may not have received them.
    """
    try:
        yield from _train(task)
    except Exception as error:
        yield TrialEnd(task.trial_id, classify_error(error, task.directory))


def _train(task: TrialTask) -> Iterator[Event]:
    import keras

    from cnnsearch.training.latency import measure_candidate
    from cnnsearch.training.trainer import Training

    latency_ms = None if task.latency is None else measure_candidate(task, task.latency)
    keras.utils.clear_session(free_memory=False)
    training = Training(task)
    for step in training.run():
        if isinstance(step, str):
            yield Waiting(task.trial_id, step)
        else:
            yield EpochEnd(task.trial_id, *step)
    measurement = replace(training.get_measurement(), latency_ms=latency_ms)
    yield TrialEnd(task.trial_id, Completed(measurement))


def classify_error(error: Exception, folder: Path) -> Failed | Fault:
    """Returns the outcome of a trial that an error ended; an unexpected one goes into its log.

    An unexpected error is the candidate's if it passed through a framework, which builds and trains
    it, or if the system raised it; otherwise it is a bug of ours, which no other candidate avoids.

    Args:
        error: that ended the trial.
        folder: of the trial.
    """
    failure = as_candidate_failure(error)
    if failure is not None:
        return Failed(failure.kind, failure.reason)
    if isinstance(error, CnnsearchError):
        return Fault(str(error))
    try:
        with (folder / LOG).open("a", encoding="utf-8") as log:
            traceback.print_exception(error, file=log)
    except OSError:  # on a full or read-only disk the reason has to do
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
