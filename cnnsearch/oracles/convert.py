"""Conversions to and from Keras Tuner: hyperparameters, values, trials, schedules."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from keras_tuner.engine.hyperparameters import (
    Boolean,
    Choice,
    Fixed,
    Float,
    HyperParameter,
    HyperParameters,
    Int,
)
from keras_tuner.engine.trial import Trial as KerasTunerTrial
from keras_tuner.src.engine.conditions import Parent

from cnnsearch.oracles.strategy import Step, Trial

if TYPE_CHECKING:
    from cnnsearch.space.choices import Parameter

SCHEDULE = "tuner/"  # Keras Tuner's prefix for what a strategy stores among a trial's values
OWN = {"epochs", "initial_epoch", "trial_id"}


def to_hyperparameters(
    parameters: "Sequence[Parameter]", defaults: Mapping[str, Any] | None = None
) -> HyperParameters:
    """Declares the parameters to Keras Tuner, with their conditions.

    All conditions of a parameter must hold, as in nested ``conditional_scope`` blocks; they are set
    directly because such blocks refuse a parent that was itself declared outside of the outer
    block.

    Args:
        parameters: The parameters, parents first.
        defaults: Default values; the first option, or the low end, where there is none.

    Returns:
        Keras Tuner's hyperparameters, with the active ones at their defaults.
    """
    hyperparameters = HyperParameters()
    for parameter in parameters:
        hyperparameters.merge([_convert(parameter, (defaults or {}).get(parameter.name))])
    return hyperparameters


def _convert(parameter: "Parameter", default: Any) -> HyperParameter:
    conditions = [Parent(name, [value]) for name, value in parameter.when]
    name = parameter.name
    if parameter.kind == "choice":
        return _convert_choice(parameter, default, conditions)
    sampling = "log" if parameter.log else "linear"
    make = Int if parameter.kind == "int" else Float
    return make(
        name,
        parameter.low,
        parameter.high,
        sampling=sampling,
        default=default,
        conditions=conditions,
    )


def _convert_choice(
    parameter: "Parameter", default: Any, conditions: list[Parent]
) -> HyperParameter:
    options = list(parameter.options)
    if len(options) == 1:
        return Fixed(parameter.name, options[0], conditions=conditions)
    default = options[0] if default is None else default
    if isinstance(options[0], bool):  # Choice would turn it into 0 and 1
        return Boolean(parameter.name, default=default, conditions=conditions)
    ordered = True if parameter.ordered else None if _is_number(options[0]) else False
    return Choice(parameter.name, options, ordered=ordered, default=default, conditions=conditions)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def active_values(parameters: "Sequence[Parameter]", values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of ``parameters`` in ``values``, without ``tuner/`` keys."""
    return {p.name: values[p.name] for p in parameters if p.name in values}


def to_trial(trial: KerasTunerTrial, parameters: "Sequence[Parameter]") -> Trial:
    """Returns Keras Tuner's trial as strategies see it."""
    values = trial.hyperparameters.values
    stored = {k.removeprefix(SCHEDULE): v for k, v in values.items() if k.startswith(SCHEDULE)}
    return Trial(
        id=trial.trial_id,
        values=active_values(parameters, values),
        status=trial.status,
        score=trial.score,
        promotes=stored.get("trial_id"),
        notes={key: value for key, value in stored.items() if key not in OWN},
    )


def to_record(trial: KerasTunerTrial, fingerprint: str, ended: int | None) -> dict[str, Any]:
    """Returns what the store holds of a trial; ``ended`` is its place in the order of ends."""
    return {
        "id": trial.trial_id,
        "values": trial.hyperparameters.values,
        "fingerprint": fingerprint,
        "status": trial.status,
        "score": trial.score,
        "message": trial.message,
        "ended": ended,
    }


def to_schedule(step: Step) -> dict[str, Any]:
    """Returns what is stored of a step among a trial's values, under Keras Tuner's keys."""
    past = {} if step.promotes is None else {"trial_id": step.promotes.id}
    schedule = {"epochs": step.epochs, "initial_epoch": step.initial_epoch, **step.notes, **past}
    return {f"{SCHEDULE}{key}": value for key, value in schedule.items()}
