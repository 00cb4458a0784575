"""The options of a search in four groups, each written once: default, help text, limits.

The command line's options, the keywords of :func:`cnnsearch.search` and the keys of ``run.json``
are made from these models, by way of ``engine.settings``.
"""

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args

from pydantic import field_validator, model_validator

from cnnsearch.architecture.costs import BOUNDED, FLASH, LATENCY, MACS, PARAMS, RAM, CostKind
from cnnsearch.data.dataset import SPLIT_VERSION
from cnnsearch.data.loading import DATA_FORMS
from cnnsearch.engine.declaration import define as _define
from cnnsearch.engine.declaration import define_free as _define_free
from cnnsearch.engine.declaration import make_flag
from cnnsearch.engine.failures import MAX_FAILURES
from cnnsearch.engine.option_group import (
    Amount,
    Bound,
    Milliseconds,
    Options,
    Seconds,
    Text,
    check_choice,
    check_least,
)
from cnnsearch.errors import CnnsearchError
from cnnsearch.oracles import (
    DEFAULT_STRATEGY,
    describe_strategies,
    find_strategy,
    name_learners,
    name_strategies,
)
from cnnsearch.training.latency import PRECISIONS
from cnnsearch.training.objectives import (
    DEFAULT_OBJECTIVE,
    describe_objectives,
    normalize_objective,
)
from cnnsearch.utils.units import parse_image

if TYPE_CHECKING:
    from cnnsearch.architecture.cost import Budget

StartMethod = Literal["auto", "forkserver", "spawn"]


def _define_bound(kind: CostKind) -> Any:
    return _define(None, kind.description, value=kind.value, panel="Budget")


class DataOptions(Options):
    """The images that candidates are trained on."""

    panel: ClassVar[str] = "Data"
    source: Text = _define("digits", f"{DATA_FORMS}.", key="data")
    image: Text | None = _define(
        None, "Image size: 96 or 96x64 (height first); default: the space's."
    )
    train_share: float = _define(1.0, "Train on this stratified share of the training split.")
    split_seed: int | None = _define(None, "Seed of the splits; None: the search's.", internal=True)
    skip_bad_images: bool = _define(False, "Leave out unreadable images and list them.")
    drop_copies: bool = _define(
        False, "Leave training images out whose pixels a held-out split has."
    )
    split_version: int = _define_free(
        SPLIT_VERSION, "How splits are assigned: 2 by content, 1 by name.", internal=True
    )
    data_dir: Text | None = _define_free(None, "Folder of TensorFlow Datasets' prepared data.")
    max_memory: Amount | None = _define_free(
        None, "Memory for images in each process, such as 500M; more is streamed.", value="SIZE"
    )

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

    panel: ClassVar[str] = "Training"
    epochs: int | None = _define(None, "Epochs of each candidate; default: its recipe's.")
    weights: Text | None = _define(
        None,
        "Initial weights of a published network: imagenet or a .weights.h5 file.",
        panel="Transfer",
    )
    freeze: bool = _define(False, "With --weights: train only the head.", panel="Transfer")
    objective: str = _define(DEFAULT_OBJECTIVE, f"Rank candidates by {describe_objectives()}.")
    class_weights: str = _define(
        "none", "balanced: weight all classes equally in the loss; or none."
    )
    changes: tuple[str, ...] = _define(
        (), "Override a key of every recipe, such as ema=0.99.", flag="--set", value="KEY=VALUE"
    )

    @field_validator("objective")
    @classmethod
    def _normalize_objective(cls, value: str) -> str:
        return normalize_objective(value)

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_least("--epochs", self.epochs)
        if self.freeze and self.weights is None:
            raise CnnsearchError("--freeze: needs --weights; without it every weight is random")
        check_choice("--class-weights", self.class_weights, ("none", "balanced"))
        if self.changes:
            from cnnsearch.space.recipe import TrainingRecipe

            TrainingRecipe().change(self.changes)
        return self


class SearchOptions(Options):
    """How candidates are proposed, which are allowed, and when the search ends."""

    panel: ClassVar[str] = "Search"
    strategy: str = _define(DEFAULT_STRATEGY, describe_strategies())
    trials: int | None = _define_free(
        20, "Number of candidates to train; failed ones are replaced.", panel="Budget"
    )
    max_time: Seconds | None = _define_free(
        None, "Time limit of this session: 2h, 45m, 90s.", value="TIME", panel="Budget"
    )
    stop_when_enough: bool = _define_free(
        False, "End when a further candidate is unlikely to be better.", panel="Budget"
    )
    max_failures: int = _define_free(
        MAX_FAILURES, "Stop after so many failures of one kind in a row; 0: never."
    )
    max_params: Bound | None = _define_bound(PARAMS)
    max_macs: Bound | None = _define_bound(MACS)
    max_latency: Milliseconds | None = _define_bound(LATENCY)
    latency_precision: str = _define(
        "float32", "Latency is that of float32 or int8 weights and activations.", panel="Budget"
    )
    latency_table: Text | None = _define(
        None,
        "Latencies on another device, from cnnsearch latency --export.",
        panel="Budget",
        value="FILE",
    )
    max_ram: Bound | None = _define_bound(RAM)
    max_flash: Bound | None = _define_bound(FLASH)
    device: Text | None = _define_free(
        None,
        "Set --max-ram and --max-flash to those of a device: a name that cnnsearch devices lists, "
        "or a .yaml file.",
        value="NAME",
        panel="Budget",
    )
    reduction_factor: int | None = _define(
        None, f"With {name_strategies('reduction_factor')}: one in so many is promoted; default: 3."
    )
    min_epochs: int | None = _define(
        None, f"With {name_strategies('min_epochs')}: least epochs of the first rung; default: 1."
    )
    max_train_time: Seconds | None = _define(
        None,
        "Longest training of a candidate, as predicted: 2m; default: often a tenth of --max-time.",
        value="TIME",
        panel="Budget",
    )
    learn_from: tuple[str, ...] = _define(
        (), f"Earlier run whose results guide this search; with {name_learners()}.", value="RUN"
    )
    seed: int = _define(0, "The same seed gives the same candidates in the same order.")
    baseline: str = _define(
        "plain",
        "First candidate: plain, a plain stack of 3x3 convolutions within the budget; or none.",
        earlier="none",
    )
    first: str = _define(
        "published", "Next candidates: published, networks of the space; or none.", earlier="none"
    )

    @property
    def options(self) -> dict[str, int]:
        """The options that only some strategies take, of those that are given."""
        taken = {key: getattr(self, key) for key in ("reduction_factor", "min_epochs")}
        return {key: value for key, value in taken.items() if value is not None}

    @property
    def budget(self) -> "Budget":
        """The limits on a candidate's cost."""
        from cnnsearch.architecture.cost import Budget  # not before a search needs it

        return Budget(**{kind.budget: getattr(self, kind.budget) for kind in BOUNDED})

    @model_validator(mode="before")
    @classmethod
    def _take_device(cls, data: Any) -> Any:
        """Fills in the bounds of the device; those that are given, or recorded, stay."""
        is_given = isinstance(data, dict) and data.get("device") is not None
        if not is_given or all(data.get(kind.budget) is not None for kind in (RAM, FLASH)):
            return data
        from cnnsearch.architecture.devices import find_device

        given = {key: value for key, value in data.items() if value is not None}
        return {**data, **find_device(str(data["device"])).bounds, **given}

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_least("--trials", self.trials)
        check_least("--max-failures", self.max_failures, 0)
        check_choice("--latency-precision", self.latency_precision, PRECISIONS)
        for key, known in (("baseline", "plain"), ("first", "published")):
            check_choice(make_flag(key), getattr(self, key), (known, "none"))
        check_least("--reduction-factor", self.reduction_factor, 2)
        check_least("--min-epochs", self.min_epochs)
        strategy = find_strategy(self.strategy, "--strategy")
        for key in self.options.keys() - {*strategy.options}:
            takers = name_strategies(key)
            raise CnnsearchError(f"{make_flag(key)}: is an option of --strategy {takers}")
        if not 0 <= self.seed < 2**31:
            raise CnnsearchError(f"--seed: expected a number from 0 to 2147483647, got {self.seed}")
        if self.learn_from and not strategy.learns:
            raise CnnsearchError(f"--learn-from: is an option of --strategy {name_learners()}")
        if self.stop_when_enough and (strategy.multi_fidelity or strategy.multi_objective):
            raise CnnsearchError(
                "--stop-when-enough: compares candidates by one score after equal epochs, which"
                f" --strategy {strategy.name} does not"
            )
        ends = (self.trials, self.max_time, self.stop_when_enough or None)
        if strategy.needs_end_condition and ends == (None, None, None):
            raise CnnsearchError("--trials or --max-time: one of them has to end the search")
        return self


class Placement(Options):
    """Where trials run and are tracked; nothing here changes what a search finds."""

    panel: ClassVar[str] = "Hardware"
    workers: int | None = _define_free(
        None, "Candidates trained in parallel; 0: in this process; default: 1, or 1 per GPU."
    )
    gpus: Text | None = _define_free(
        None, "Give each worker one of these GPUs: 0-3, 0,2 or all; none: share all."
    )
    workers_per_gpu: int = _define_free(1, "Workers that share each GPU of --gpus.")
    start_method: StartMethod = _define_free(
        "auto", "How trial processes start: forkserver, spawn or auto."
    )
    trial_timeout: Seconds | None = _define_free(
        None, "Stop a candidate that takes longer: 30m.", value="TIME"
    )
    max_disk: Amount | None = _define_free(
        None, "Disk space for checkpoints, such as 50G; default: 20G.", value="SIZE"
    )
    ray: Text | None = _define_free(
        None, "Train on a Ray cluster: HOST:PORT, auto, or no value to start one; none: here."
    )
    gpus_per_trial: float | None = _define_free(
        None, "With --ray: GPUs per candidate, such as 0.25; default: 1."
    )
    mlflow_uri: Text | None = _define_free(None, "MLflow tracking store; default: runs/mlflow.db.")

    @field_validator("gpus", "ray")
    @classmethod
    def _read_none(cls, value: str | None) -> str | None:
        return None if value == "none" else value

    @field_validator("start_method", mode="before")
    @classmethod
    def _check_start_method(cls, value: Any) -> Any:
        check_choice("--start-method", str(value), get_args(StartMethod))
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_least("--workers", self.workers, 0)
        check_least("--workers-per-gpu", self.workers_per_gpu)
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
