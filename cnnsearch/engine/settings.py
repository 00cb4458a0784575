"""All settings of one search: made from keywords, written to ``run.json``, changed on resuming."""

import hashlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, ParamSpec, TypeVar

from pydantic.fields import FieldInfo

from cnnsearch.engine.declaration import Option, make_flag, read_option
from cnnsearch.engine.option_group import Options, find_flag
from cnnsearch.engine.options import DataOptions, Placement, SearchOptions, TrainingOptions
from cnnsearch.errors import CnnsearchError, suggest
from cnnsearch.oracles import DEFAULT_STRATEGY, STRATEGIES
from cnnsearch.training.objectives import DEFAULT_OBJECTIVE, find_costs

P = ParamSpec("P")
R = TypeVar("R")

GROUPS: Final[Mapping[str, type[Options]]] = MappingProxyType(
    {
        "data": DataOptions,
        "search": SearchOptions,
        "training": TrainingOptions,
        "placement": Placement,
    }
)


@dataclass(frozen=True)
class Setting:
    """One field of one group, with the name that the rest of the world gives it."""

    group: str
    name: str
    field: FieldInfo
    option: Option

    @property
    def key(self) -> str:
        """Its keyword, and its key in ``run.json``."""
        return self.option.key or self.name

    @property
    def flag(self) -> str:
        """The command line's flag."""
        return find_flag(GROUPS[self.group], self.name)

    @property
    def panel(self) -> str:
        """The title above it in the command line's help."""
        return self.option.panel or GROUPS[self.group].panel


def _list_settings() -> Iterator[Setting]:
    for group, model in GROUPS.items():
        for name, field in model.model_fields.items():
            yield Setting(group, name, field, read_option(field))


SETTINGS: Final[Mapping[str, Setting]] = MappingProxyType(
    {setting.key: setting for setting in _list_settings()}
)
"""Every setting of a search by its key."""
IDENTITY: Final = tuple(key for key, each in SETTINGS.items() if each.option.identity)
"""The settings that decide what is found."""


def find_setting_flag(key: str) -> str:
    """Returns the flag of a setting by its key."""
    return SETTINGS[key].flag if key in SETTINGS else make_flag(key)


class Settings(Options):
    """All settings of a search.

    Attributes:
        space: the space's text.
        source: the space's name in messages: a file or one that ships.
        data: the images.
        search: proposals, limits, end.
        training: of each candidate.
        placement: where candidates are trained.
    """

    space: str
    source: str
    data: DataOptions = DataOptions()
    search: SearchOptions = SearchOptions()
    training: TrainingOptions = TrainingOptions()
    placement: Placement = Placement()

    @classmethod
    def create(cls, space: str, source: str, **given: Any) -> "Settings":
        """Returns settings from keywords: a key of ``SETTINGS``, or a group as an object.

        Raises:
            CnnsearchError: there is no such setting, it is given twice, or its value is invalid.
        """
        groups: dict[str, dict[str, Any]] = {group: {} for group in GROUPS}
        for setting, value in _spread(given):
            if setting.name in groups[setting.group]:
                raise CnnsearchError(f"{setting.key}: is given twice, as keyword and in an object")
            groups[setting.group][setting.name] = value
        _match_strategy(groups)
        made = {group: GROUPS[group](**values) for group, values in groups.items()}
        return cls(space=space, source=source, **made)  # type: ignore[arg-type]

    def flatten(self) -> dict[str, Any]:
        """Returns the value of each setting by its key."""
        groups = {group: getattr(self, group) for group in GROUPS}
        return {key: getattr(groups[each.group], each.name) for key, each in SETTINGS.items()}

    def replace(self, **changes: Any) -> "Settings":
        """Returns settings with other values for some keys."""
        return Settings.create(self.space, self.source, **{**self.flatten(), **changes})

    def move(self, **changes: Any) -> "Settings":
        """Returns the settings of another session of the same run.

        Args:
            **changes: settings that do not affect what is found; None: as it was. With ``gpus``
                ``none`` every trial sees all GPUs again, with ``ray`` ``none`` it runs here again.

        Raises:
            CnnsearchError: one of them decides what the run finds.
        """
        given = {key: value for key, value in changes.items() if value is not None}
        fixed = next((key for key in given if key in IDENTITY), None)
        if fixed is not None:
            raise CnnsearchError(f"{SETTINGS[fixed].flag}: a run keeps the value it was begun with")
        if given.get("ray") == "none":
            given["gpus_per_trial"] = None
        return self.replace(**given)

    def identity(self) -> dict[str, Any]:
        """Returns what must be the same for a run to be resumed."""
        flat = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in self.flatten().items()
            if key in IDENTITY
        }
        digest = hashlib.sha256(self.space.encode()).hexdigest()[:16]
        size = self.data.size
        return {
            "space_sha256": digest,
            **flat,
            "image": None if size is None else list(size),
        }


def _match_strategy(groups: Mapping[str, dict[str, Any]]) -> None:
    """Replaces the default strategy where there are several objectives; refuses what cannot be.

    Raises:
        CnnsearchError: the strategy is for one objective and there are several, or the reverse.
    """
    name = groups["search"].get("strategy", DEFAULT_STRATEGY)
    costs = find_costs(str(groups["training"].get("objective", DEFAULT_OBJECTIVE)))
    able = [strategy.name for strategy in STRATEGIES if strategy.multi_objective]
    if costs and name == DEFAULT_STRATEGY:
        groups["search"]["strategy"] = able[0]
    elif costs and name not in able:
        known = " or ".join(able)
        raise CnnsearchError(f"--objective: several objectives need --strategy {known}")
    elif name in able and not costs:
        raise CnnsearchError(f'--strategy {name}: needs a cost too: --objective "accuracy, macs"')


def document_settings(function: Callable[P, R]) -> Callable[P, R]:
    """Shows each setting in the signature of a function that takes ``**settings``."""
    signature = inspect.signature(function)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    taken = {parameter.name for parameter in own}
    more = [
        inspect.Parameter(
            each.key,
            inspect.Parameter.KEYWORD_ONLY,
            default=each.field.default,
            annotation=each.field.annotation,
        )
        for each in SETTINGS.values()
        if each.key not in taken and not each.option.internal
    ]
    function.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
    return function


def _spread(given: Mapping[str, Any]) -> Iterator[tuple[Setting, Any]]:
    """Yields each setting that is given, those inside objects included."""
    for key, value in given.items():
        if isinstance(value, Options):
            inside = {name: getattr(value, name) for name in value.model_fields_set}
            group = next(group for group, model in GROUPS.items() if isinstance(value, model))
            yield from (
                (each, inside[each.name])
                for each in SETTINGS.values()
                if each.group == group and each.name in inside
            )
        elif key in SETTINGS:
            yield SETTINGS[key], value
        else:
            raise CnnsearchError(f"{key}: no such setting{suggest(key, SETTINGS)}")
