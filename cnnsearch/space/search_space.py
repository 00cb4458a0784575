"""A search space: an architecture file with choices in it."""

import random
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.compound_scaling import Scaling
from cnnsearch.architecture.cost import Cost, count, try_count
from cnnsearch.errors import ArchitectureError, SpaceError
from cnnsearch.space.backbone import Backbone
from cnnsearch.space.backbone_choice import BackboneChoice, adapt_recipe
from cnnsearch.space.candidate import Candidate
from cnnsearch.space.choices import Constant, Node, Parameter, Value, list_active, list_corners
from cnnsearch.space.effects import check_effects
from cnnsearch.space.files import find_space
from cnnsearch.space.notebook import HtmlSpace
from cnnsearch.space.parts import compile_parts
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.utils.safe_yaml import read_yaml

if TYPE_CHECKING:
    import keras_tuner

TRIES = 64  # random candidates of which one must be wirable
WORK = 60_000  # limit on the layers and values that random candidates have in all
MOST_CHECKED = 400_000  # limit on values of the file times options and ends of ranges
MOST_CORNERS = 256  # combinations of the ends of the ranges below ``scaling``


@dataclass(frozen=True)
class SearchSpace(HtmlSpace):
    """A set of candidates, described by an architecture and a recipe with choices in them.

    Attributes:
        name: the file's key ``name``, or its file name.
        text: of the file.
        description: the file's key ``description``.
        parameters: the hyperparameters, parents before those that depend on them.
        variable_nodes: the compiled variables, by name.
        architecture_node: the compiled architecture.
    """

    name: str
    text: str
    description: str
    parameters: tuple[Parameter, ...]
    source: str
    variable_nodes: tuple[tuple[str, Node], ...]
    architecture_node: Node
    _recipe: Node
    _scaling: Node | None = None
    _backbone: BackboneChoice | None = None
    _values: int = 1  # in the file
    _adapted: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, space: str | Path) -> Self:
        """Reads a space by the name of one that ships, or by the path of a file.

        Raises:
            SpaceError: there is no such space, or one line naming file, key, rule and value.
        """
        path = find_space(str(space))
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SpaceError(f"{path}: cannot be read: {error}") from None
        found = cls.from_text(text, str(space) if str(space) == str(path) else path.name)
        check_effects(found.source, found._decode_options())
        return found

    @classmethod
    def from_text(cls, text: str, source: str = "space") -> Self:
        """Reads a space from YAML or JSON text; ``source`` names it in messages."""
        data = read_yaml(text, source)
        if not isinstance(data, dict):
            raise SpaceError(f"{source}: expected a mapping of keys such as input, stem and stages")
        space = cls._compile(dict(data), text, source)
        deque(space._decode_options(), maxlen=0)
        space.check_wiring()
        return space

    @classmethod
    def from_architecture(
        cls, architecture: Architecture, recipe: TrainingRecipe | None = None
    ) -> Self:
        """Returns the space whose only point is ``architecture``."""
        data = architecture.to_data()
        if recipe:
            data["recipe"] = recipe.to_data()
        return cls.from_text(yaml.safe_dump(data, sort_keys=False), architecture.name or "space")

    @classmethod
    def _compile(cls, data: dict[str, Any], text: str, source: str) -> Self:
        parts = compile_parts(data, source)
        return cls(
            name=str(data.get("name") or Path(source).stem),
            text=text,
            description=str(data.get("description", "")).strip(),
            parameters=parts.parameters,
            source=source,
            variable_nodes=parts.variables,
            architecture_node=parts.architecture,
            _recipe=parts.recipe,
            _scaling=parts.scaling,
            _backbone=parts.backbone,
            _values=parts.values,
        )

    def _decode_options(self) -> Iterator[Architecture]:
        """Yields candidates that have every option and both ends of every range at least once.

        Raises:
            SpaceError: an option breaks a rule, or the file is too large to check.
        """
        edges = sum(len(parameter.list_edges()) for parameter in self.parameters)
        if edges * self._values > MOST_CHECKED:
            raise SpaceError(
                f"{self.source}: too large to check: {edges:,} options and ends of ranges in a "
                f"file of {self._values:,} values (their product is above {MOST_CHECKED:,})"
            )
        gates = {name for parameter in self.parameters for name, _ in parameter.when}
        for parameter in self.parameters:
            base = self.complete(dict(parameter.when))
            for value in parameter.list_edges():
                values = {**base, parameter.name: value}
                full = self.complete(values) if parameter.name in gates else values
                yield self.decode(full).architecture
        for values in self._list_scalings():
            yield self.decode(self.complete(values)).architecture

    def _list_scalings(self) -> list[dict[str, Value]]:
        """Returns all combinations of ends in ``scaling``; phi = 0 alone would not test gamma."""
        chosen = [p for p in self.parameters if p.name.partition(".")[0] == "scaling"]
        if prod(len(p.list_ends()) for p in chosen) > MOST_CORNERS:
            raise SpaceError(
                f"{self.source}: scaling: more than {MOST_CORNERS} combinations of ends"
            )
        return list_corners(chosen)

    def complete(self, fixed: Mapping[str, Value]) -> dict[str, Value]:
        """Returns a value for each active hyperparameter: the fixed one, else its first."""
        values: dict[str, Value] = {}
        # list_active sees the values as they are filled in
        for parameter in list_active(self.parameters, values):
            values[parameter.name] = fixed.get(parameter.name, parameter.list_edges()[0])
        return values

    def check_wiring(self) -> None:
        """Raises a SpaceError unless one of many random candidates can be wired."""
        first: ArchitectureError | None = None
        for cost in self.sample_costs(TRIES, device=False):
            if isinstance(cost, Cost):
                return
            first = first or cost
        who = "no candidate can" if self.parameters else "it cannot"
        raise SpaceError(f"{self.source}: {who} be wired: {first}")

    def sample_costs(self, samples: int, device: bool = True) -> Iterator[Cost | ArchitectureError]:
        """Yields costs of random candidates, the same at every call; an error for one that fails.

        Fewer than ``samples`` for a space without choices, or whose candidates are huge.
        RAM and flash are counted unless ``device`` is false, which is three times as fast.
        """
        rng, work = random.Random(0), 0
        for _ in range(samples if self.parameters else 1):
            cost, layers = try_count(self.decode(self.sample(rng)).architecture, device)
            yield cost
            work += layers + self._values
            if work > WORK:
                return

    def adapt(
        self,
        *,
        classes: int | None = None,
        channels: int | None = None,
        image: tuple[int, int] | None = None,
    ) -> Self:
        """Returns the space with every candidate fitted to a data set's classes and channels."""
        changes = {"classes": classes, "channels": channels, "image": image}
        changed = {key: value for key, value in changes.items() if value is not None}
        return replace(self, _adapted={**self._adapted, **changed})

    def decode(self, values: Mapping[str, Value]) -> Candidate:
        """Returns the candidate that ``values`` describe.

        Args:
            values: a value for each active hyperparameter, by name; others are ignored.

        Raises:
            SpaceError: a value is missing, or not one of the hyperparameter's, or breaks a rule.
        """
        data, backbone, scaling, recipe = self._substitute(values)
        try:
            architecture = Architecture.from_data(data, self.source).adapt(**self._adapted)
            if scaling is not None:
                wanted = Scaling.from_data(scaling, self.source)
                architecture = wanted.apply(architecture, self.source)
        except ArchitectureError as error:
            raise SpaceError(str(error)) from None
        made = TrainingRecipe.from_data(recipe, self.source)
        if self._backbone is not None:
            made = adapt_recipe(made, backbone)
        return Candidate(architecture, made, backbone)

    def _substitute(self, values: Mapping[str, Value]) -> tuple[Any, Backbone | None, Any, Any]:
        variables: dict[str, Any] = {}
        nodes = (self.architecture_node, self._scaling or Constant(None), self._recipe)
        backbone = None
        try:
            for name, node in self.variable_nodes:
                variables[name] = node.decode(values, variables)
            architecture, scaling, recipe = (node.decode(values, variables) for node in nodes)
            if self._backbone is not None:
                architecture, backbone = self._backbone.complete(architecture, values, variables)
        except SpaceError as error:
            raise SpaceError(f"{self.source}: {error}") from None
        return architecture, backbone, scaling, recipe

    def sample(self, rng: random.Random) -> dict[str, Value]:
        """Returns random values of the hyperparameters that are active under them."""
        values: dict[str, Value] = {}
        # list_active sees the values as they are filled in
        for parameter in list_active(self.parameters, values):
            values[parameter.name] = parameter.sample(rng)
        return values

    def decode_first(self) -> Candidate:
        """Returns the candidate of every first option and lowest number."""
        return self.decode(self.complete({}))

    def list_active(self, values: Mapping[str, Value]) -> list[Parameter]:
        """Returns the hyperparameters that exist under ``values``."""
        return list(list_active(self.parameters, values))

    def cost(self, values: Mapping[str, Value]) -> Cost:
        """Returns the cost of the candidate that ``values`` describe.

        Raises:
            ArchitectureError: it cannot be wired.
        """
        return count(self.decode(values).architecture)

    def list_backbones(self) -> list[Backbone]:
        """Returns every backbone that a candidate can have."""
        choice = self._backbone
        return [] if choice is None else choice.list_all(self.parameters, self.complete)

    @property
    def input(self) -> tuple[int, int, int]:
        """Height, width and channels of the largest image that a candidate reads."""
        return max(self.list_inputs())

    def list_inputs(self) -> list[tuple[int, int, int]]:
        """Returns the sizes that the options for the input lead to."""
        start = max(self._list_scalings(), key=self._decode_input)
        sizes = [self._decode_input(start)]
        for parameter in self.parameters:
            if parameter.name.startswith(("image", "input", "variables.")):
                fixed = {**start, **dict(parameter.when)}
                sizes += [
                    self._decode_input({**fixed, parameter.name: v}) for v in parameter.list_edges()
                ]
        return sizes

    def _decode_input(self, fixed: Mapping[str, Value]) -> tuple[int, int, int]:
        return self.decode(self.complete(fixed)).architecture.input

    @property
    def size(self) -> int:
        """At most how many different candidates the discrete choices give, recipes included.

        Points that are wired equally (a stage of depth 0, whatever its width) count singly here.
        """
        size = self.architecture_node.count_points() * self._recipe.count_points()
        size *= self._backbone.count_points() if self._backbone else 1
        for node in (*(node for _, node in self.variable_nodes), self._scaling):
            size *= node.count_points() if node else 1
        return size

    @property
    def continuous(self) -> tuple[Parameter, ...]:
        """The hyperparameters that take any value of an interval."""
        return tuple(p for p in self.parameters if p.kind == "float" and p.low < p.high)

    def hypermodel(self, **options: Any) -> "keras_tuner.HyperModel":
        """Returns an ordinary ``HyperModel`` of this space; see :func:`cnnsearch.hypermodel`."""
        import cnnsearch  # the public name: this package may not import ``oracles`` above it

        model: keras_tuner.HyperModel = cnnsearch.hypermodel(self, **options)
        return model
