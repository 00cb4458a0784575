"""A search space: an architecture file with choices in it."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml

from cnnsearch.architecture import Architecture, fingerprint_of
from cnnsearch.choices import Node, Parameter, Value, active, corners
from cnnsearch.compiler import Compiler
from cnnsearch.cost import Cost, count
from cnnsearch.errors import ArchitectureError, SpaceError, nearest
from cnnsearch.recipe import TrainingRecipe
from cnnsearch.scaling import Scaling
from cnnsearch.yamlfile import read_yaml

if TYPE_CHECKING:
    import keras_tuner

TRIES = 64  # random candidates that are wired before a space is said to hold none that can be


@dataclass(frozen=True)
class Candidate:
    """One point of a space: an architecture and the recipe that trains it."""

    architecture: Architecture
    recipe: TrainingRecipe

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits, the same exactly where architecture and recipe are the same."""
        identity = {"architecture": self.architecture.fingerprint, "recipe": self.recipe.to_data()}
        return fingerprint_of(identity)


@dataclass(frozen=True)
class SearchSpace:
    """Everything a search may choose from.

    Attributes:
        name: of the file, or what the file says.
        text: the file as it was read.
        description: the file's own words.
        parameters: the hyperparameters, parents before those that depend on them.
    """

    name: str
    text: str
    description: str
    parameters: tuple[Parameter, ...]
    source: str
    _variables: tuple[tuple[str, Node], ...]
    _architecture: Node
    _recipe: Node
    _scaling: Node | None = None
    _adapted: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, space: str | Path) -> Self:
        """Reads a space by the name of one that ships, or by the path of a file.

        Raises:
            SpaceError: there is no such space, or one line naming file, key, rule and value.
        """
        path = find(str(space))
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SpaceError(f"{path}: cannot be read: {error}") from None
        return cls.from_text(text, str(space) if str(space) == str(path) else path.name)

    @classmethod
    def from_text(cls, text: str, source: str = "space") -> Self:
        """Reads a space from YAML or JSON text; ``source`` names it in messages."""
        data = read_yaml(text, source)
        if not isinstance(data, dict):
            raise SpaceError(f"{source}: expected a mapping of keys such as input, stem and stages")
        space = cls._compile(dict(data), text, source)
        space._check_values()
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
        compiler = Compiler(source)
        own = ("variables", "recipe", "scaling")
        known = [*Architecture.model_fields, *own]
        for key in data:
            if key not in known:
                raise SpaceError(f"{source}: {key}: unknown key{nearest(str(key), known)}")
        described = data.get("variables", {})
        if not isinstance(described, dict):
            raise SpaceError(f"{source}: variables: expected a mapping of names to values")
        variables: list[tuple[str, Node]] = []
        for name, value in described.items():
            variables.append((name, compiler.compile(value, f"variables.{name}")))
            compiler.variables.append(name)
        body = {key: data[key] for key in data if key not in own}
        architecture = compiler.compile(body, "")
        recipe = compiler.compile(data.get("recipe", {}), "recipe")
        scaling = compiler.compile(data["scaling"], "scaling") if "scaling" in data else None
        for name in described:
            if name not in compiler.used:
                raise SpaceError(f"{source}: variables.{name}: this variable is never used")
        return cls(
            name=str(data.get("name") or Path(source).stem),
            text=text,
            description=str(data.get("description", "")).strip(),
            parameters=tuple(compiler.parameters),
            source=source,
            _variables=tuple(variables),
            _architecture=architecture,
            _recipe=recipe,
            _scaling=scaling,
        )

    def _check_values(self) -> None:
        """Decodes every option and both ends of every range at least once."""
        gates = {name for parameter in self.parameters for name, _ in parameter.when}
        for parameter in self.parameters:
            base = self._complete(dict(parameter.when))
            for value in parameter.edges():
                values = {**base, parameter.name: value}
                self.decode(self._complete(values) if parameter.name in gates else values)
        for values in self._scalings():
            self.decode(self._complete(values))

    def _scalings(self) -> list[dict[str, Value]]:
        """Every corner of what ``scaling`` leaves open: alone, phi = 0 would hide gamma."""
        return corners([p for p in self.parameters if p.name.partition(".")[0] == "scaling"])

    def _complete(self, fixed: Mapping[str, Value]) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for parameter in active(self.parameters, values):  # sees the values as they are filled in
            values[parameter.name] = fixed.get(parameter.name, parameter.edges()[0])
        return values

    def check_wiring(self) -> None:
        """Raises a SpaceError unless one of many random candidates can be wired."""
        first: ArchitectureError | None = None
        rng = random.Random(0)
        for _ in range(TRIES if self.parameters else 1):
            try:
                self.cost(self.sample(rng))
                return
            except ArchitectureError as error:
                first = first or error
        raise SpaceError(f"{self.source}: no candidate can be wired: {first}")

    def adapted(
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
        """Returns the candidate that ``values`` describe: a substitution, nothing more.

        Args:
            values: a value for each active hyperparameter, by name; others are ignored.

        Raises:
            SpaceError: a value is missing, or not one of the hyperparameter's, or breaks a rule.
        """
        variables: dict[str, Any] = {}
        for name, node in self._variables:
            variables[name] = node.decode(values, variables)
        data = self._architecture.decode(values, variables)
        scaling = self._scaling.decode(values, variables) if self._scaling else None
        try:
            architecture = Architecture.from_data(data, self.source).adapted(**self._adapted)
            if scaling is not None:
                wanted = Scaling.from_data(scaling, self.source)
                architecture = wanted.applied(architecture, self.source)
        except ArchitectureError as error:
            raise SpaceError(str(error)) from None
        recipe = TrainingRecipe.from_data(self._recipe.decode(values, variables), self.source)
        return Candidate(architecture, recipe)

    def sample(self, rng: random.Random) -> dict[str, Value]:
        """Returns random values of the hyperparameters that are active under them."""
        values: dict[str, Value] = {}
        for parameter in active(self.parameters, values):  # sees the values as they are filled in
            values[parameter.name] = parameter.sample(rng)
        return values

    def first(self) -> Candidate:
        """Returns the candidate of every first option and lowest number."""
        return self.decode(self._complete({}))

    def active(self, values: Mapping[str, Value]) -> list[Parameter]:
        """Returns the hyperparameters that exist under ``values``."""
        return list(active(self.parameters, values))

    def cost(self, values: Mapping[str, Value]) -> Cost:
        """Returns the cost of the candidate that ``values`` describe.

        Raises:
            ArchitectureError: it cannot be wired.
        """
        return count(self.decode(values).architecture)

    @property
    def input(self) -> tuple[int, int, int]:
        """Height, width and channels of the largest image that a candidate reads."""
        return max(self.inputs())

    def inputs(self) -> list[tuple[int, int, int]]:
        """Returns the sizes that the options for the input lead to."""
        start = max(self._scalings(), key=self._input)
        sizes = [self._input(start)]
        for parameter in self.parameters:
            if parameter.name.startswith(("input", "variables.")):
                fixed = {**start, **dict(parameter.when)}
                sizes += [self._input({**fixed, parameter.name: v}) for v in parameter.edges()]
        return sizes

    def _input(self, fixed: Mapping[str, Value]) -> tuple[int, int, int]:
        return self.decode(self._complete(fixed)).architecture.input

    @property
    def size(self) -> int:
        """How many different candidates the discrete choices give, recipes among them."""
        size = self._architecture.size() * self._recipe.size()
        for node in (*(node for _, node in self._variables), self._scaling):
            size *= node.size() if node else 1
        return size

    @property
    def continuous(self) -> tuple[Parameter, ...]:
        """The hyperparameters that take any value of an interval."""
        return tuple(p for p in self.parameters if p.kind == "float" and p.low < p.high)

    def hypermodel(self, **options: Any) -> "keras_tuner.HyperModel":
        """Returns an ordinary ``HyperModel`` of this space for any Keras Tuner tuner."""
        from cnnsearch.oracles.hypermodel import SpaceHyperModel

        model: keras_tuner.HyperModel = SpaceHyperModel(self, **options)
        return model


def folders() -> list[Path]:
    """Returns where spaces that ship lie: inside the installed package, or in the checkout."""
    here = Path(__file__).resolve().parent
    return [f for f in (here / "search_spaces", here.parent / "search_spaces") if f.is_dir()]


def shipped() -> dict[str, Path]:
    """Returns the spaces that ship, published networks left out, by name."""
    files = [file for folder in folders()[:1] for file in folder.glob("*.yaml")]
    return {file.stem: file for file in sorted(files)}


def published_files() -> dict[str, Path]:
    """Returns the files of the published networks, by name."""
    files = [file for folder in folders()[:1] for file in folder.glob("published/*/*.yaml")]
    return {file.stem: file for file in sorted(files)}


def find(space: str) -> Path:
    """Returns the file of a space given by name or by path.

    Raises:
        SpaceError: there is none; says which names are near.
    """
    if space.endswith((".yaml", ".yml", ".json")) or "/" in space:
        if not Path(space).is_file():
            raise SpaceError(f"{space}: there is no such space file")
        return Path(space)
    if space in (named := {**published_files(), **shipped()}):
        return named[space]
    hint = nearest(space, named) or f" (there are {', '.join(shipped())})"
    raise SpaceError(f"there is no space named {space!r}{hint}")
