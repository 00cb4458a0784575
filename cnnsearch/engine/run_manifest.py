"""What ``run.json`` holds: written when a run is created, checked when it is resumed."""

from collections.abc import Mapping, Sequence
from typing import Any

from cnnsearch.data import Dataset
from cnnsearch.engine.backbones import read_backbone_pixels
from cnnsearch.engine.settings import SETTINGS, Settings, find_setting_flag
from cnnsearch.errors import CnnsearchError, RunError
from cnnsearch.oracles import AUTO
from cnnsearch.runs.directory import RunDirectory
from cnnsearch.runs.records import TrialRecord
from cnnsearch.utils import environment


def create_manifest(
    name: str,
    settings: Settings,
    dataset: Dataset,
    pretrained: Mapping[str, Any] | None = None,
    backbones: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Returns the content of ``run.json``.

    Args:
        name: of the space.
        settings: of the search.
        dataset: that it searches on.
        pretrained: describes the initial weights of all candidates; None: they are random.
        backbones: describes the weights of each of the space's backbones.
    """
    return {
        "space": name,
        "data": settings.data.source,
        "strategy": settings.search.strategy,
        "seed": settings.search.seed,
        "settings": {"source": settings.source, **settings.flatten()},
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
            "warnings": list(dataset.warnings),
            "split_version": dataset.split_version,
        },
        "environment": environment.describe_environment(),
        **({"pretrained": dict(pretrained)} if pretrained else {}),
        **({"backbones": [dict(each) for each in backbones]} if backbones else {}),
    }


def read_settings(run: RunDirectory) -> Settings:
    """Reads the settings that a run was started with.

    Raises:
        RunError: ``run.json`` lacks one that is needed, or holds an invalid one.
    """
    where, given = f"run {run.name!r}: run.json: settings", dict(run.manifest["settings"])
    if "source" not in given:
        raise RunError(f"{where}.source: this key is missing")
    source = given.pop("source")
    given |= _read_earlier(run)
    for key in given:
        if key not in SETTINGS:
            raise RunError(f"{where}.{key}: this cnnsearch knows no such setting")
    try:
        return Settings.create(run.space_text, source, **given)
    except CnnsearchError as error:
        raise RunError(f"{where}: {error}") from None


def keep_earlier(run: RunDirectory, settings: Settings) -> Settings:
    """Returns settings with those of the run that they resume which its version did not have.

    ``auto`` is the strategy that the run has, whatever it would be in a new one.
    """
    kept = _read_earlier(run)
    if settings.search.strategy == AUTO:
        kept["strategy"] = run.manifest.get("settings", {}).get("strategy", AUTO)
    return settings.replace(**kept)


def _read_earlier(run: RunDirectory) -> dict[str, Any]:
    """Returns what an older run does otherwise: splits by name (cnnsearch 0.1), no baseline."""
    known = run.manifest.get("settings", {})
    earlier = {key: each.option.earlier for key, each in SETTINGS.items() if key not in known}
    version = int(run.manifest.get("dataset", {}).get("split_version", 1))
    kept = {key: value for key, value in earlier.items() if value is not None}
    return {**kept, "split_version": version}


def read_pixel_statistics(
    run: RunDirectory, trial: TrialRecord | None = None
) -> tuple[list[float], list[float]]:
    """Returns the mean and std per channel that a run's models normalize pixels with.

    They are the training split's, or those that pretrained weights were trained with.

    Args:
        run: with its manifest.
        trial: whose backbone may expect others; None: one without a backbone.
    """
    if trial is not None and trial.backbone is not None:
        return read_backbone_pixels(run, trial.backbone)
    source = run.manifest.get("pretrained") or run.manifest["dataset"]
    return list(source["mean"]), list(source["std"])


def check_same_settings(run: RunDirectory, settings: Settings, kind: str = "search") -> None:
    """Refuses to resume a run of another kind, or one started with another value of a setting.

    Raises:
        RunError: names the run, the flag, and both values.
    """
    was = run.manifest.get("kind", "search")
    if was != kind:
        raise RunError(f"run {run.name!r} is of cnnsearch {was}, not {kind}; choose another --name")
    before: Mapping[str, Any] = run.manifest.get("identity", {})
    for key, value in settings.identity().items():
        began = before.get(key, _default_of(key, value))
        if began == value:
            continue
        if key == "space_sha256":
            place, values = "the space file", ""
        else:
            place, values = find_setting_flag(key), f": {began!r}, now {value!r}"
        raise RunError(
            f"run {run.name!r} was begun with another value of {place}{values} "
            "(choose another --name, or the value it had)"
        )


def _default_of(key: str, value: Any) -> Any:
    """Returns what a setting was in a run that is older than the setting."""
    if key not in SETTINGS:
        return value
    option, default = SETTINGS[key].option, SETTINGS[key].field.default
    if option.earlier is not None:
        return option.earlier
    return list(default) if isinstance(default, tuple) else default


def check_same_data(run: RunDirectory, dataset: Dataset) -> None:
    """Refuses to resume a run on other data.

    Raises:
        RunError: the data's fingerprint has changed.
    """
    before = run.manifest["dataset"]["fingerprint"]
    if before != dataset.fingerprint:
        raise RunError(
            f"run {run.name!r} was begun on other data: {dataset.source} has changed "
            f"(fingerprint {before[:12]}, now {dataset.fingerprint[:12]}); choose another --name"
        )
