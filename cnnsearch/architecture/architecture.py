"""An architecture as pure data: input, stem, stages of blocks, head; no framework anywhere."""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Self, Union

from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from cnnsearch.architecture.linear_widths import LinearStages
from cnnsearch.architecture.mistakes import explain_mistake
from cnnsearch.architecture.stages import CONFIG, AuxiliaryHead, Head, Stage
from cnnsearch.blocks import AnyLayer, Layer, Ops, Style
from cnnsearch.blocks.layers import Positive, Rate
from cnnsearch.blocks.ops import T
from cnnsearch.errors import ArchitectureError

Side = Annotated[int, Field(ge=1, le=4096)]
MOST_BLOCKS = 1000


def _expand_block(item: object) -> object:
    """Expands a bare word to a block that has only a type.

    Done before validation: a validator on the field would turn JSON's lists into Python's.
    """
    if isinstance(item, dict) and isinstance(item.get("block"), str):
        return {**item, "block": {"type": item["block"]}}
    return item


def _stage_or_layer(value: object) -> str:
    keys = value if isinstance(value, dict) else {}
    if isinstance(value, LinearStages) or "widths" in keys:
        return "linear"
    is_layer = isinstance(value, Layer) or ("type" in keys and "block" not in keys)
    return "layer" if is_layer else "stage"


if TYPE_CHECKING:
    AnyStage = Stage | Layer
else:
    AnyStage = Annotated[
        Union[  # noqa: UP007
            Annotated[Stage, Tag("stage")],
            Annotated[LinearStages, Tag("linear")],
            Annotated[AnyLayer, Tag("layer")],
        ],
        Discriminator(_stage_or_layer),
    ]


class Architecture(BaseModel):
    """A convolutional network as data; its fields are the keys of a file.

    Attributes:
        name: for display; not part of its identity.
        description: its origin; not part of its identity.
        input: height, width and channels of an image.
        classes: number of classes.
        style: default activation, normalization and biases of its layers.
        stem: the layers before the first stage.
        stages: stages of blocks (see ``stage``, ``linear_stages``), and single layers (such as
            pooling or branches) between them.
        head: layers after the last stage.
        auxiliary: further heads, for training only.
        drop_path: rate of stochastic depth at the last block, growing linearly from the first
            (Huang et al., arXiv:1603.09382).
    """

    model_config = CONFIG

    name: str = ""
    description: str = ""
    input: tuple[Side, Side, Positive]
    classes: Annotated[int, Field(ge=2, le=1_000_000)]
    style: Style = Style()
    stem: tuple[AnyLayer, ...] = ()
    stages: tuple[AnyStage, ...] = ()
    head: Head = Head()
    auxiliary: tuple[AuxiliaryHead, ...] = ()
    drop_path: Rate = 0.0

    @classmethod
    def from_data(cls, data: object, source: str = "architecture") -> Self:
        """Reads plain dicts and lists.

        Raises:
            ArchitectureError: one line: source, key, rule and value.
        """
        if isinstance(data, dict) and isinstance(data.get("stages"), list):
            data = {**data, "stages": [_expand_block(item) for item in data["stages"]]}
        try:
            return cls.model_validate_json(json.dumps(data))
        except ValidationError as error:
            raise ArchitectureError(f"{source}: {explain_mistake(error, data, cls)}") from None

    @classmethod
    def from_json(cls, text: str, source: str = "architecture") -> Self:
        """Reads what :meth:`to_json` wrote."""
        try:
            return cls.from_data(json.loads(text), source)
        except json.JSONDecodeError as error:
            raise ArchitectureError(f"{source}: not JSON: {error}") from None

    def to_data(self) -> dict[str, Any]:
        """Returns plain dicts and lists; what equals its default is left out."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def to_json(self, indent: int | None = None) -> str:
        """Returns the architecture as JSON; :meth:`from_json` gives back its equal."""
        return json.dumps(self.to_data(), indent=indent)

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits, equal exactly for architectures that are wired equally.

        Of one that cannot be wired it is :attr:`data_hash`.
        """
        from cnnsearch.architecture.wiring import fingerprint_wiring  # which is built on this class

        try:
            return fingerprint_wiring(self)
        except ArchitectureError:
            return self.data_hash

    @property
    def data_hash(self) -> str:
        """16 hexadecimal digits of the data itself, name and description left out."""
        data = self.model_dump(mode="json", exclude_defaults=True, exclude={"name", "description"})
        return compute_hash(data)

    def _repr_html_(self) -> str:
        """Returns the drawing, which has the cost: what a notebook shows."""
        from cnnsearch.architecture.drawing import render_svg  # it imports this module

        return render_svg(self)

    @property
    def family(self) -> str:
        """The families of its stages, in order of appearance, joined by ``+``."""
        names = (s.block.family for s in self.stages if isinstance(s, Stage) and s.depth)
        return "+".join(dict.fromkeys(names)) or "layers"

    @property
    def depth(self) -> int:
        """The number of blocks."""
        return sum(s.depth for s in self.stages if isinstance(s, Stage))

    def adapt(
        self,
        *,
        classes: int | None = None,
        image: tuple[int, int] | None = None,
        channels: int | None = None,
    ) -> Self:
        """Returns the same network for another number of classes, image size or channels."""
        height, width = image or self.input[:2]
        return self.model_copy(
            update={
                "classes": classes or self.classes,
                "input": (height, width, channels or self.input[2]),
            }
        )

    def fold(self) -> Self:
        """Returns the network as it is deployed: training branches folded into one convolution.

        Equal where no block has such branches, or where they cannot be folded because the
        normalization is not a constant factor at inference.
        """
        norm = self.style.norm
        stages = tuple(s.fold(norm) if isinstance(s, Stage) else s for s in self.stages)
        return self if stages == self.stages else self.model_copy(update={"stages": stages})

    def wire(self, op: Ops[T], x: T, auxiliary: bool = True) -> list[T]:
        """Wires the network behind ``x``.

        Returns:
            Logits: the main head's, then those of the auxiliary heads.

        Raises:
            ArchitectureError: the place, the rule and the shapes.
        """
        self._check_depth()
        for i, layer in enumerate(self.stem):
            x = _wire_at(op, f"stem.{i}", layer.wire, x)
        others: list[T] = []
        before = 0
        previous: T | None = None
        for i, item in enumerate(self.stages):
            x, previous = self.wire_stage(op, x, previous, i, item, before)
            before += item.depth if isinstance(item, Stage) else 0
            for n, extra in enumerate(self.auxiliary if auxiliary else ()):
                if extra.after == i:
                    others.append(self._wire_head(op, x, extra.head, f"auxiliary.{n}"))
        return [self._wire_head(op, x, self.head, "head"), *others]

    def _check_depth(self) -> None:
        """Refuses too many blocks before any is wired, which takes a second for a thousand."""
        blocks = 0
        for i, item in enumerate(self.stages):
            blocks += item.depth if isinstance(item, Stage) else 0
            if blocks > MOST_BLOCKS:
                raise ArchitectureError(f"stages.{i}: more than {MOST_BLOCKS:,} blocks in all")

    def _wire_head(self, op: Ops[T], x: T, head: Head, place: str) -> T:
        return _wire_at(op, place, lambda op, y: head.wire(op, y, self.classes), x)

    def wire_stage(
        self, op: Ops[T], x: T, previous: T | None, i: int, item: Stage | Layer, before: int
    ) -> tuple[T, T | None]:
        """Wires stage ``i``, which ``before`` blocks precede.

        Returns:
            Its output, and the input of its last block.
        """
        if isinstance(item, Layer):
            return _wire_at(op, f"stages.{i}", item.wire, x), None
        for j in range(item.depth):
            rate = self.drop_path * (before + j + 1) / self.depth if self.drop_path else 0.0
            wire = partial(item.wire_block, index=j, previous=previous)
            previous = previous if item.block.keeps_previous else x
            x = _wire_at(op, f"stages.{i}.{j}", wire, x, rate)
        if item.depth and item.block.preactivation and self._ends_run(i):
            with item.override_style(op):
                x = _wire_at(op, f"stages.{i}.end", lambda op, y: op.activate(op.normalize(y)), x)
        return x, previous

    def _ends_run(self, i: int) -> bool:
        """Whether what follows stage ``i`` expects a map that is normalized and activated."""
        for item in self.stages[i + 1 :]:
            if isinstance(item, Layer):
                return True
            if item.depth:
                return not item.block.preactivation
        return True

    @field_validator("stages")
    @classmethod
    def _expand_stages(cls, stages: tuple[Any, ...]) -> tuple[Any, ...]:
        if not any(isinstance(item, LinearStages) for item in stages):
            return stages
        parts = [item.expand() if isinstance(item, LinearStages) else [item] for item in stages]
        return tuple(stage for part in parts for stage in part)

    @model_validator(mode="after")
    def _check_auxiliary(self) -> Self:
        for extra in self.auxiliary:
            if extra.after >= len(self.stages):
                raise ValueError(f"an auxiliary head reads stage {extra.after}, which is not there")
        return self


def _wire_at(
    op: Ops[T], place: str, wire: Callable[[Ops[T], T], T], x: T, drop_path: float = 0.0
) -> T:
    """Wires one step; an error in it names its place."""
    try:
        with op.scope(place, drop_path):
            return wire(op, x)
    except ArchitectureError as error:
        raise ArchitectureError(f"{place}: {error}") from None


def compute_hash(data: object) -> str:
    """Returns 16 hexadecimal digits of the SHA-256 of ``data`` as canonical JSON."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(text).hexdigest()[:16]
