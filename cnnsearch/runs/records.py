"""Events and trials as a run's database returns them: frozen records, validated when read.

Anybody may have written the file, so every value that is used further on has its type checked. The
adapters are built once: a leaderboard reads thousands of records.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, StrictFloat, StrictInt, StrictStr, TypeAdapter
from pydantic import ValidationError as Invalid

from cnnsearch.architecture.costs import BOUNDED
from cnnsearch.errors import RunError, to_one_line
from cnnsearch.utils.validation_errors import explain

Record = TypeVar("Record")
_LARGEST = 10**30
BASELINE = "baseline"
"""Role of the plain network that every candidate is compared with."""
Finite = Annotated[StrictFloat, Field(gt=-_LARGEST, lt=_LARGEST, allow_inf_nan=False)]
_NotNegative = Annotated[Finite, Field(ge=0)]
_Count = Annotated[StrictInt, Field(ge=0, lt=_LARGEST)]
_Object = dict[StrictStr, Any]
_Id = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]
_Line = Annotated[
    StrictStr, BeforeValidator(lambda text: to_one_line(text) if isinstance(text, str) else text)
]


@dataclass(frozen=True)
class Event:
    """Something that happened: ``kind`` names what ``data`` holds, ``time`` is in Unix seconds."""

    seq: StrictInt
    time: Finite
    kind: StrictStr
    trial_id: _Id | None
    data: _Object


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """What is known of one candidate.

    Attributes:
        status: running, completed, failed or stopped.
        latency_ms: measured, or else predicted; None: neither.
        role: ``baseline`` for one that no strategy chose; else empty.
        network: name of the published network that the candidate is; else empty.
        backbone: network and weights that it starts from; None: it has no backbone.
        predicted_seconds: of its training, before it began; None: not known.
    """

    id: _Id
    number: StrictInt
    status: StrictStr
    values: _Object
    architecture: _Object
    recipe: _Object
    fingerprint: StrictStr
    family: _Line
    params: _Count | None = None
    params_total: _Count | None = None
    macs: _Count | None = None
    latency_ms: _NotNegative | None = None
    peak_activation_bytes: _Count | None = None
    flash_bytes: _Count | None = None
    epochs: StrictInt
    initial_epoch: _Count = 0
    continues: StrictStr | None = None
    role: StrictStr = ""
    network: _Line = ""
    backbone: dict[StrictStr, StrictStr] | None = None
    predicted_seconds: _NotNegative | None = None
    score: Finite | None = None
    reason: _Line | None = None
    metrics: _Object
    seconds: _NotNegative | None = None
    started: _NotNegative
    ended: _NotNegative | None = None

    @property
    def label(self) -> str:
        """The published network, or the family, and the role behind it: ``plain baseline``."""
        return self.network or f"{shorten_family(self.family)} {self.role}".rstrip()

    @property
    def failure(self) -> str:
        """The kind of its failure, with which the reason begins; empty: it did not fail."""
        return (self.reason or "").partition(":")[0] if self.status == "failed" else ""

    @property
    def is_too_slow(self) -> bool:
        """Whether its measured latency is over the limit, so that it was not trained."""
        return self.failure == "over_budget"

    @property
    def outcome(self) -> str:
        """How it ended, without a score: ``failed: `` and the reason, or why it is not trained."""
        reason = self.reason or ""
        return reason.partition(": ")[2] if self.is_too_slow else f"{self.status}: {reason}"


def shorten_family(family: str) -> str:
    """Returns ``residual + 3 more`` for ``residual+dense+plain+separable``."""
    first, *others = family.split("+")
    return family if len(others) < 2 else f"{first} + {len(others)} more"


_validate_event = TypeAdapter(Event).validate_python
_validate_trial = TypeAdapter(TrialRecord).validate_python
_STARTED = ("values", "architecture", "recipe", "fingerprint", "family", "params_total",
            *(kind.key for kind in BOUNDED), "epochs", "initial_epoch", "continues", "role",
            "network", "backbone", "predicted_seconds")  # fmt: skip
_ENDED = ("score", "reason", "metrics", "seconds",
          *(kind.key for kind in BOUNDED if kind.is_measured))  # fmt: skip


def validate(model: Callable[[Any], Record], data: object, where: str) -> Record:
    """Returns data as a model.

    Args:
        model: validates: ``Model.model_validate``, or ``validate_python`` of an adapter.
        data: plain lists and dictionaries.
        where: the file, and the place in it, for messages.

    Raises:
        RunError: a value is missing or of another type; names the place and the key.
    """
    try:
        return model(data)
    except Invalid as error:
        raise RunError(f"{where}: {explain(error, data)}") from None


def parse_object(text: object, where: str) -> dict[str, Any]:
    """Returns the JSON object in ``text``.

    Raises:
        RunError: it is none.
    """
    # Python's own parser: pydantic's refuses surrogates, which names of files may bring along.
    try:
        data = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise RunError(f"{where}: is damaged, it is no JSON object")
    return data


def read_event(row: tuple[Any, ...], where: str = "run.db") -> Event:
    """Makes an event of a row: seq, time, kind, trial id, data (JSON)."""
    seq, time, kind, trial_id, text = row
    where = f"{where}: event {seq}"
    data = parse_object(text, where)
    fields = {"seq": seq, "time": time, "kind": kind, "trial_id": trial_id, "data": data}
    return validate(_validate_event, fields, where)


def read_trial(row: tuple[Any, ...], where: str = "run.db") -> TrialRecord:
    """Makes a record of a row: id, number, status, start and outcome (JSON), started, ended."""
    trial_id, number, status, start, outcome, started, ended = row
    where = f"{where}: trial {trial_id}"
    began = parse_object(start, where)
    result = {} if outcome is None else parse_object(outcome, where)
    fields = {
        **{key: began[key] for key in _STARTED if key in began},
        **{key: result[key] for key in _ENDED if key in result},
        "id": trial_id,
        "number": number,
        "status": status if isinstance(status, str) else "failed",
        "started": 0.0 if started is None else started,
        "ended": ended,
    }
    if fields.get("metrics") is None:
        fields["metrics"] = {}
    return validate(_validate_trial, fields, where)


def to_json(data: Mapping[str, Any]) -> str:
    """Writes data as JSON: NumPy scalars as numbers, paths as text, NaN and inf as they are."""
    return json.dumps(data, default=_to_plain)


def _to_plain(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"an event cannot hold a {type(value).__name__}: {value!r}")
