"""The options of a search in four groups, each written once: default, help text, limits.

The command line's options, the keywords of :func:`cnnsearch.search` and the keys of ``run.json``
are made from these models, by way of ``engine.settings``.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from cnnsearch.architecture.cost import Budget
from cnnsearch.data.loading import DATA_FORMS
from cnnsearch.engine.failures import MAX_FAILURES
from cnnsearch.errors import CnnsearchError, suggest
from cnnsearch.oracles import DEFAULT_STRATEGY, describe_strategies, find_strategy
from cnnsearch.runs.lookup import parse_image
from cnnsearch.training.objectives import DEFAULT_OBJECTIVE, describe_objectives, find_objective
from cnnsearch.utils.units import parse_amount, parse_time
from cnnsearch.utils.validation_errors import explain

StartMethod = Literal["auto", "forkserver", "spawn"]


@dataclass(frozen=True)
class Option:
    """What a setting's type and default do not say.

    Attributes:
        help: the help text of the command line and the documentation of the Python API.
        key: keyword and key in ``run.json`` where it is not the field's name.
        flag: the command line's flag where it does not follow from the key.
        value: what the flag expects where that is text to be parsed, such as ``TIME``.
        identity: whether it decides what the search finds, so that a resumed run must keep it.
        internal: whether it is set by studies only, so that the command line has no flag for it.
    """

    help: str
    key: str = ""
    flag: str = ""
    value: str = ""
    identity: bool = False
    internal: bool = False


def make_flag(key: str) -> str:
    """Returns the flag of a key that needs no other: ``--max-macs`` of ``max_macs``."""
    return f"--{key.replace('_', '-')}"


def _read_amount(value: Any, info: ValidationInfo) -> int:
    return parse_amount(value, make_flag(str(info.field_name)))


def _read_time(value: Any, info: ValidationInfo) -> float:
    return parse_time(value, make_flag(str(info.field_name)))


Amount = Annotated[int, BeforeValidator(_read_amount)]
Seconds = Annotated[float, BeforeValidator(_read_time)]
Text = Annotated[str, BeforeValidator(str)]


class Options(BaseModel):
    """A group of settings; a mistake in one is a one-line error that names its flag."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="wrap")
    @classmethod
    def _name_flag(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(data)
        except ValidationError as error:
            key, colon, rule = explain(error, data, cls).partition(": ")
            place = find_flag(cls, key) if key in cls.model_fields else key
            raise CnnsearchError(f"{place}{colon}{rule}") from None


def find_flag(model: type[Options], name: str) -> str:
    """Returns the command line's flag of a model's field."""
    found = (each for each in model.model_fields[name].metadata if isinstance(each, Option))
    option = next(found, Option(""))
    return option.flag or make_flag(option.key or name)


class DataOptions(Options):
    """The images that candidates are trained on."""

    source: Annotated[
        Text,
        Option(
            f"{DATA_FORMS}.",
            key="data",
            identity=True,
        ),
    ] = "digits"
    image: Annotated[
        Text | None,
        Option("Image size: 96 or 96x64 (height first); default: the space's.", identity=True),
    ] = None
    train_share: Annotated[
        float, Option("Train on this stratified share of the training split.", identity=True)
    ] = 1.0
    split_seed: Annotated[
        int | None, Option("Seed of the splits; None: the search's.", identity=True, internal=True)
    ] = None
    skip_bad_images: Annotated[
        bool, Option("Leave out unreadable images and list them.", identity=True)
    ] = False
    data_dir: Annotated[Text | None, Option("Folder of TensorFlow Datasets' prepared data.")] = None
    max_memory: Annotated[
        Amount | None,
        Option("Memory for images in each process, such as 500M; more is streamed.", value="SIZE"),
    ] = None

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the images that candidates read; None: the space's own."""
        return None if self.image is None else parse_image(self.image)

    @model_validator(mode="after")
    def _check(self) -> Self:
        share, _ = self.train_share, self.size
        if not 0 < share <= 1:
            raise CnnsearchError(f"--train-share: expected above 0 and at most 1, got {share:g}")
        return self


class TrainingOptions(Options):
    """How a candidate is trained and scored."""

    epochs: Annotated[
        int | None, Option("Epochs of each candidate; default: its recipe's.", identity=True)
    ] = None
    weights: Annotated[
        Text | None,
        Option(
            "Initial weights of a published network: imagenet or a .weights.h5 file.",
            identity=True,
        ),
    ] = None
    freeze: Annotated[bool, Option("With --weights: train only the head.", identity=True)] = False
    objective: Annotated[
        str,
        Option(f"Rank candidates by {describe_objectives()}.", identity=True),
    ] = DEFAULT_OBJECTIVE
    class_weights: Annotated[
        str,
        Option("balanced: weight all classes equally in the loss; or none.", identity=True),
    ] = "none"
    changes: Annotated[
        tuple[str, ...],
        Option("Override a key of every recipe, such as ema=0.99.", flag="--set", identity=True),
    ] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        from cnnsearch.space.recipe import TrainingRecipe

        _check_from("--epochs", self.epochs)
        if self.freeze and self.weights is None:
            raise CnnsearchError("--freeze: needs --weights; without it every weight is random")
        find_objective(self.objective)
        _check_choice("--class-weights", self.class_weights, ("none", "balanced"))
        TrainingRecipe().change(self.changes)
        return self


class SearchOptions(Options):
    """How candidates are proposed, which are allowed, and when the search ends."""

    strategy: Annotated[str, Option(describe_strategies(), identity=True)] = DEFAULT_STRATEGY
    trials: Annotated[
        int | None, Option("Number of candidates to train; failed ones are replaced.")
    ] = 20
    max_time: Annotated[
        Seconds | None, Option("Time limit of this session: 2h, 45m, 90s.", value="TIME")
    ] = None
    max_failures: Annotated[
        int, Option("Stop after so many failures of one kind in a row; 0: never.")
    ] = MAX_FAILURES
    max_params: Annotated[
        Amount | None,
        Option("Largest number of parameters: 300K, 1M.", value="COUNT", identity=True),
    ] = None
    max_macs: Annotated[
        Amount | None,
        Option(
            "Largest number of multiply-accumulates per image: 50M, 1.5G.",
            value="COUNT",
            identity=True,
        ),
    ] = None
    seed: Annotated[
        int, Option("The same seed gives the same candidates in the same order.", identity=True)
    ] = 0

    @property
    def budget(self) -> Budget:
        """The limits on a candidate's cost."""
        return Budget(self.max_params, self.max_macs)

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_from("--trials", self.trials)
        _check_from("--max-failures", self.max_failures, 0)
        strategy = find_strategy(self.strategy, "--strategy")
        if not 0 <= self.seed < 2**31:
            raise CnnsearchError(f"--seed: expected a number from 0 to 2147483647, got {self.seed}")
        if strategy.needs_end_condition and self.trials is None and self.max_time is None:
            raise CnnsearchError("--trials or --max-time: one of them has to end the search")
        return self


class Placement(Options):
    """Where trials run and are tracked; nothing here changes what a search finds."""

    workers: Annotated[
        int | None,
        Option("Candidates trained in parallel; 0: in this process; default: 1, or 1 per GPU."),
    ] = None
    gpus: Annotated[
        Text | None, Option("Give each worker one of these GPUs: 0-3, 0,2 or all; none: share all.")
    ] = None
    workers_per_gpu: Annotated[int, Option("Workers that share each GPU of --gpus.")] = 1
    start_method: Annotated[
        StartMethod, Option("How trial processes start: forkserver, spawn or auto.")
    ] = "auto"
    trial_timeout: Annotated[
        Seconds | None, Option("Stop a candidate that takes longer: 30m.", value="TIME")
    ] = None
    max_disk: Annotated[
        Amount | None,
        Option("Disk space for checkpoints, such as 50G; default: 20G.", value="SIZE"),
    ] = None
    ray: Annotated[
        Text | None,
        Option("Train on a Ray cluster: HOST:PORT, auto, or no value to start one; none: here."),
    ] = None
    gpus_per_trial: Annotated[
        float | None, Option("With --ray: GPUs per candidate, such as 0.25; default: 1.")
    ] = None
    mlflow_uri: Annotated[
        Text | None, Option("MLflow tracking store; default: runs/mlflow.db.")
    ] = None

    @field_validator("gpus", "ray")
    @classmethod
    def _read_none(cls, value: str | None) -> str | None:
        return None if value == "none" else value

    @field_validator("start_method", mode="before")
    @classmethod
    def _check_start_method(cls, value: Any) -> Any:
        _check_choice("--start-method", str(value), get_args(StartMethod))
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_from("--workers", self.workers, 0)
        _check_from("--workers-per-gpu", self.workers_per_gpu)
        if self.ray is not None:
            self._check_ray()
        elif self.gpus_per_trial is not None:
            raise CnnsearchError(
                "--gpus-per-trial: is for --ray; without it, see --workers-per-gpu"
            )
        elif self.workers == 0 and self.gpus:
            raise CnnsearchError("--gpus: pins a GPU to each worker, but --workers 0 has none")
        return self

    def _check_ray(self) -> None:
        if self.workers == 0:
            raise CnnsearchError("--ray: places trials on nodes, but --workers 0 keeps them here")
        if self.gpus or self.workers_per_gpu != 1:
            flag = "--gpus" if self.gpus else "--workers-per-gpu"
            raise CnnsearchError(f"{flag}: with --ray, Ray assigns GPUs; see --gpus-per-trial")


def _check_from(flag: str, number: int | None, least: int = 1) -> None:
    if number is not None and number < least:
        rule = f"at least {least}" if least else "0 or more"
        raise CnnsearchError(f"{flag}: expected {rule}, got {number}")


def _check_choice(flag: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        rule = " or ".join(known) if len(known) == 2 else ", ".join(known)
        raise CnnsearchError(f"{flag}: expected {rule}, got {name!r}{suggest(name, known)}")
