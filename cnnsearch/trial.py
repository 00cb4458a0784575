"""One trial: decode, build, train, measure; an event at a time, and an outcome whatever happens."""

import traceback
from collections.abc import Iterator

from cnnsearch.outcomes import (
    Completed,
    EpochEnd,
    Event,
    Failed,
    Fault,
    TrialEnd,
    TrialTask,
    failure,
)


def run_trial(task: TrialTask) -> Iterator[Event]:
    """Trains the candidate of ``task`` in this process, yielding as each epoch ends.

    The last event is a :class:`TrialEnd`; nothing but an interrupt or an exit is raised. What an
    earlier session trained is told again, marked ``replayed``: it may not have been heard.
    """
    try:
        yield from _train(task)
    except Exception as error:
        yield TrialEnd(task.trial_id, _outcome(error))


def _train(task: TrialTask) -> Iterator[Event]:
    import keras

    from cnnsearch.architecture import Architecture
    from cnnsearch.recipe import TrainingRecipe
    from cnnsearch.training import Job, Training

    keras.utils.clear_session(free_memory=False)
    training = Training(
        Job(
            architecture=Architecture.from_json(task.architecture),
            recipe=TrainingRecipe.model_validate_json(task.recipe),
            data=task.dataset,
            epochs=task.epochs,
            initial_epoch=task.initial_epoch,
            seed=task.seed,
            folder=task.directory,
            continues=task.continues,
            pretrained=task.pretrained,
            objective=task.objective,
            class_weights=task.class_weights,
        )
    )
    for epoch, metrics, replayed in training.run():
        yield EpochEnd(task.trial_id, epoch, metrics, replayed)
    yield TrialEnd(task.trial_id, Completed(training.measurement()))


def _outcome(error: Exception) -> Failed | Fault:
    failed = failure(error)
    if failed is not None:
        return Failed(failed.kind, failed.reason)
    message = f"{type(error).__name__}: {error}"
    return Fault(message, "".join(traceback.format_exception(error)))
