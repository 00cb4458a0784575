"""What the groups of a search's options have in common: how values are read and checked."""

from collections.abc import Collection
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from cnnsearch.architecture.costs import BOUNDED
from cnnsearch.engine.declaration import make_flag, read_option
from cnnsearch.errors import CnnsearchError, suggest
from cnnsearch.utils.units import parse_amount, parse_time
from cnnsearch.utils.validation_errors import explain


def _read_amount(value: Any, info: ValidationInfo) -> int:
    return parse_amount(value, make_flag(str(info.field_name)))


def _read_time(value: Any, info: ValidationInfo) -> float:
    return parse_time(value, make_flag(str(info.field_name)))


def _read_bound(value: Any, info: ValidationInfo) -> float:
    (kind,) = [kind for kind in BOUNDED if kind.budget == info.field_name]
    return kind.parse(value, make_flag(kind.budget))


Amount = Annotated[int, BeforeValidator(_read_amount)]
Bound = Annotated[int, BeforeValidator(_read_bound)]
Seconds = Annotated[float, BeforeValidator(_read_time)]
Milliseconds = Annotated[float, BeforeValidator(_read_bound)]
Text = Annotated[str, BeforeValidator(str)]


class Options(BaseModel):
    """A group of settings; a mistake in one is a one-line error that names its flag."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    panel: ClassVar[str] = ""
    """The title above its settings in the command line's help."""

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
    option = read_option(model.model_fields[name])
    return option.flag or make_flag(option.key or name)


def check_least(flag: str, number: int | None, least: int = 1) -> None:
    """Raises an error in one line if a number is given and too small."""
    if number is not None and number < least:
        rule = f"at least {least}" if least else "0 or more"
        raise CnnsearchError(f"{flag}: expected {rule}, got {number}")


def check_choice(flag: str, name: str, known: Collection[str]) -> None:
    """Raises an error in one line if a name is not known."""
    if name not in known:
        rule = " or ".join(known) if len(known) == 2 else ", ".join(known)
        raise CnnsearchError(f"{flag}: expected {rule}, got {name!r}{suggest(name, known)}")
