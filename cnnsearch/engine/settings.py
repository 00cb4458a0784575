"""What a search is asked to do, what of it a run records, and what a resumed run may not change."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cnnsearch.architecture.cost import Budget
from cnnsearch.data import Dataset, load
from cnnsearch.data.dataset import BATCHES_HELD
from cnnsearch.data.views import take_share
from cnnsearch.errors import CnnsearchError, RunError, nearest
from cnnsearch.oracles import DEFAULT_STRATEGY, find_strategy
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.lookup import parse_image
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.metrics import OBJECTIVES, balanced_weights
from cnnsearch.utils import environment
from cnnsearch.utils.validation_errors import explain


@dataclass(frozen=True)
class Settings:
    """What was asked; all from ``trials`` on decides nothing of what a candidate comes to.

    Attributes:
        space: the space's text.
        source: what the space is called in messages.
        data: the data source.
        strategy: name of the strategy.
        epochs: of every candidate; None: the recipe's.
        max_params: bound on trainable parameters.
        max_macs: bound on multiply-accumulates.
        seed: of splits, proposals and training.
        split_seed: of splits alone, where they are to be another run's; None: ``seed``.
        skip_bad_images: leave unreadable images out.
        data_dir: of TensorFlow Datasets.
        image: height and width that candidates read, ``96`` or ``96x64``; None: the space's own.
        weights: that candidates start from: ``imagenet`` or a file; None: random ones.
        freeze: train nothing but the head.
        objective: what candidates are ranked by on the validation split.
        class_weights: ``balanced`` weighs classes alike in the loss, ``none`` images.
        changes: of every candidate's recipe, ``key=value``.
        train_share: stratified share of the training split that candidates learn from.
        max_memory: bytes that a process may take for images; None: what the machine has left.
        trials: candidates in all; None: no limit.
        max_time: seconds this session may take; None: no limit.
        workers: candidates trained side by side; 0: in this process; None: one, or what the GPUs
            that are named have room for.
        mlflow_uri: the tracking store; None: the one beside the runs.
        trial_timeout: seconds after which a candidate is given up; None: never.
        gpus: ``0-3``, ``0,2`` or ``all``, of which each worker gets one; None: every candidate sees
            all there are.
        workers_per_gpu: workers that share one of ``gpus``.
        start_method: of the candidates' processes: auto, forkserver or spawn.
        max_disk: bytes that checkpoints may take; None: 20 GB.
        ray: the Ray cluster that trains: ``local`` for one of this machine's own, or an address;
            None: processes of this machine.
        gpus_per_trial: what a candidate gets of a cluster's GPUs; None: one, where there are any.
    """

    space: str
    source: str
    data: str = "digits"
    strategy: str = DEFAULT_STRATEGY
    epochs: int | None = None
    max_params: int | None = None
    max_macs: int | None = None
    seed: int = 0
    skip_bad_images: bool = False
    data_dir: str | None = None
    image: str | None = None
    weights: str | None = None
    freeze: bool = False
    objective: str = "accuracy"
    class_weights: str = "none"
    changes: tuple[str, ...] = ()
    train_share: float = 1.0
    split_seed: int | None = None
    max_memory: int | None = None
    trials: int | None = 20
    max_time: float | None = None
    workers: int | None = None
    mlflow_uri: str | None = None
    trial_timeout: float | None = None
    gpus: str | None = None
    workers_per_gpu: int = 1
    start_method: str = "auto"
    max_disk: int | None = None
    ray: str | None = None
    gpus_per_trial: float | None = None

    @property
    def budget(self) -> Budget:
        """The bounds on a candidate's cost."""
        return Budget(self.max_params, self.max_macs)

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width that candidates read; None: the space's own."""
        return None if self.image is None else parse_image(self.image)

    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to be resumed."""
        digest = hashlib.sha256(self.space.encode()).hexdigest()[:16]
        keys = ("data", "strategy", "epochs", "max_params", "max_macs", "seed", "skip_bad_images")
        more = ("weights", "freeze", "objective", "class_weights", "train_share", "split_seed")
        chosen = {key: getattr(self, key) for key in (*keys, *more)}
        chosen["changes"] = list(self.changes)
        return {"space_sha256": digest, **chosen, "image": self.size and list(self.size)}


def recorded(run: RunDirectory) -> Settings:
    """Returns what a run was asked for.

    Raises:
        RunError: its ``run.json`` lacks that, or a value is none; says which.
    """
    where, asked = f"run {run.name!r}: run.json: settings", dict(run.manifest["settings"])
    for key in asked:
        if key not in Settings.__dataclass_fields__:
            raise RunError(f"{where}.{key}: this cnnsearch knows no such setting")
    try:
        return TypeAdapter(Settings).validate_python({**asked, "space": run.space_text})
    except ValidationError as error:
        raise RunError(f"{where}.{explain(error, asked)}") from None


def load_data(settings: Settings, space: SearchSpace, root: Path) -> Dataset:
    """Decodes the data at the size that is asked for, or finds it in the cache.

    Trained weights expect colour images.
    """
    height, width = settings.size or space.input[:2]
    seed = settings.seed if settings.split_seed is None else settings.split_seed
    data = load(
        settings.data,
        image=(height, width),
        channels=3 if settings.weights else None,
        cache=root / ".cache",
        seed=seed,
        skip_bad_images=settings.skip_bad_images,
        data_dir=Path(settings.data_dir) if settings.data_dir else None,
    )
    _check_batches(settings, space, data)
    memory = settings.max_memory or environment.available_memory()
    return take_share(data.within(memory), settings.train_share, seed)


def _check_batches(settings: Settings, space: SearchSpace, data: Dataset) -> None:
    """Refuses batches that alone are more than the memory there may be for images."""
    size = min(_largest_batch(settings, space), data.train.count)
    height, width, channels = data.input
    held = BATCHES_HELD * size * height * width * channels
    if settings.max_memory is not None and held > settings.max_memory:
        raise CnnsearchError(
            f"--max-memory: {BATCHES_HELD} batches of {size} images of {height}x{width}x{channels} "
            f"are in memory at once, {held:,} bytes, but {settings.max_memory:,} are allowed; "
            "a smaller batch (--set batch_size=) or --image needs less"
        )


def _largest_batch(settings: Settings, space: SearchSpace) -> int:
    recipe = space.first().recipe
    if any(change.partition("=")[0].strip() == "batch_size" for change in settings.changes):
        return recipe.changed(settings.changes).batch_size
    searched = [p for p in space.parameters if p.name.rpartition(".")[2] == "batch_size"]
    return max([recipe.batch_size, *(int(max(p.options or (p.high,))) for p in searched)])


def class_weights(settings: Settings, data: Dataset) -> tuple[float, ...]:
    """Returns the weight of each class in the loss; nothing where all weigh alike."""
    if settings.class_weights == "none":
        return ()
    return balanced_weights(data.train.labels(), data.classes)


def manifest(
    name: str, settings: Settings, dataset: Dataset, pretrained: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Returns what ``run.json`` keeps; ``pretrained`` says what its trials start from."""
    asked = {key: value for key, value in vars(settings).items() if key != "space"}
    return {
        "space": name,
        "data": settings.data,
        "strategy": settings.strategy,
        "seed": settings.seed,
        "settings": asked,
        "identity": settings.identity(),
        "dataset": {
            "source": dataset.source,
            "fingerprint": dataset.fingerprint,
            "class_names": list(dataset.class_names),
            "image": list(dataset.image),
            "channels": dataset.channels,
            "train": dataset.train.count,
            "validation": dataset.validation.count,
            "test": dataset.test.count,
            "mean": list(dataset.mean),
            "std": list(dataset.std),
            "skipped": list(dataset.skipped),
        },
        "environment": environment.environment(),
        **({"pretrained": dict(pretrained)} if pretrained else {}),
    }


def pixel_statistics(run: RunDirectory) -> tuple[list[float], list[float]]:
    """Returns the mean and std per channel that a run's models normalize pixels with.

    They are those of the training split, or what pretrained weights were trained with.
    """
    source = run.manifest.get("pretrained") or run.manifest["dataset"]
    return list(source["mean"]), list(source["std"])


def default_epochs(space: SearchSpace) -> int:
    """Returns the epochs of the space's first candidate."""
    return space.first().recipe.epochs


def check_settings(settings: Settings) -> None:
    """Refuses numbers that make no sense, naming the flag."""
    for flag, number in (("--trials", settings.trials), ("--epochs", settings.epochs)):
        if number is not None and number < 1:
            raise CnnsearchError(f"{flag}: expected at least 1, got {number}")
    if settings.image is not None:
        parse_image(settings.image)
    if settings.freeze and settings.weights is None:
        raise CnnsearchError("--freeze: needs --weights, there is nothing to keep otherwise")
    strategy = find_strategy(settings.strategy, "--strategy")
    _check_measure(settings)
    TrainingRecipe().changed(settings.changes)
    if settings.workers is not None and settings.workers < 0:
        raise CnnsearchError(f"--workers: expected 0 or more, got {settings.workers}")
    if not 0 <= settings.seed < 2**31:
        raise CnnsearchError(f"--seed: expected a number from 0 to 2147483647, got {settings.seed}")
    if strategy.needs_end_condition and settings.trials is None and settings.max_time is None:
        raise CnnsearchError("--trials or --max-time: one of them has to end the search")


def _check_measure(settings: Settings) -> None:
    if settings.objective not in OBJECTIVES:
        hint = nearest(settings.objective, OBJECTIVES)
        known = ", ".join(OBJECTIVES)
        raise CnnsearchError(f"--objective: expected {known}, got {settings.objective!r}{hint}")
    if settings.class_weights not in ("none", "balanced"):
        given = settings.class_weights
        raise CnnsearchError(f"--class-weights: expected none or balanced, got {given!r}")
    if not 0 < settings.train_share <= 1:
        share = settings.train_share
        raise CnnsearchError(f"--train-share: expected above 0 and at most 1, got {share:g}")


def check_same(run: RunDirectory, settings: Settings, kind: str = "search") -> None:
    """Refuses to resume a run of another kind, or with other settings than it was begun with."""
    was = run.manifest.get("kind", "search")
    if was != kind:
        raise RunError(f"run {run.name!r} is of cnnsearch {was}, not {kind}; choose another --name")
    before: Mapping[str, Any] = run.manifest.get("identity", {})
    for key, value in settings.identity().items():
        began = before.get(key, _default(key, value))
        if began != value:
            what = "the space file" if key == "space_sha256" else f"--{key.replace('_', '-')}"
            shown = "" if key == "space_sha256" else f" {began!r}, now {value!r}"
            raise RunError(
                f"run {run.name!r} was begun with another value of {what}:{shown} "
                "(choose another --name, or the value it had)".replace(": (", " (")
            )


def _default(key: str, value: Any) -> Any:
    """What a run had that was begun before there was such a setting."""
    found = getattr(Settings, key, value)
    return list(found) if isinstance(found, tuple) else found


def check_same_data(run: RunDirectory, dataset: Dataset) -> None:
    """Refuses to resume a run on other data than it was begun on."""
    before = run.manifest["dataset"]["fingerprint"]
    if before != dataset.fingerprint:
        raise RunError(
            f"run {run.name!r} was begun on other data: {dataset.source} has changed "
            f"(fingerprint {before[:12]}, now {dataset.fingerprint[:12]}); choose another --name"
        )
