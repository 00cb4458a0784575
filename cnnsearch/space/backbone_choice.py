"""The key ``backbone`` of a space: published networks with trained weights as values.

``backbone: {choice: [mobilenet-v2, {resnet-50: {weights: FILE}}, none]}``: stem, stages and style
are the published network's, with its weights; input and head are the space's. ``none`` stands for
the space's own stem and stages, with random weights.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.errors import SpaceError, suggest
from cnnsearch.space.backbone import IMAGENET, Backbone
from cnnsearch.space.choices import Chosen, Constant, Keys, Node, Parameter, Value
from cnnsearch.space.compiler import Compiler
from cnnsearch.space.published import application_architecture, list_published
from cnnsearch.space.recipe import TrainingRecipe
from cnnsearch.utils.validation_errors import shorten

KEY: Final = "backbone"
NONE: Final = "none"
OWN: Final = ("style", "stem", "stages", "auxiliary", "drop_path")
"""Keys of a space that describe candidates without a backbone."""
EXPECTED: Final = "expected a network, {NETWORK: {weights: FILE}}, none, or a choice among them"
Values = Mapping[str, Value]


@dataclass(frozen=True)
class BackboneChoice:
    """The compiled key ``backbone``, and what only candidates without one read.

    Attributes:
        node: gives ``none``, a network's name, or a mapping with ``type`` and ``weights``.
        own: the compiled keys :data:`OWN`.
    """

    node: Node
    own: Node

    def complete(
        self, shared: Mapping[str, Any], values: Values, variables: Mapping[str, Any]
    ) -> tuple[dict[str, Any], Backbone | None]:
        """Returns the data of an architecture, and the backbone that it starts from.

        Args:
            shared: data that all candidates have in common.
            values: of the hyperparameters.
            variables: of the space.
        """
        backbone = self.decode(values)
        if backbone is None:
            return {**shared, **self.own.decode(values, variables)}, None
        return add_backbone(shared, backbone), backbone

    def decode(self, values: Values) -> Backbone | None:
        """Returns the chosen backbone; None: the space's own stem and stages."""
        found = self.node.decode(values, {})
        if found == NONE:
            return None
        given = {"type": found} if isinstance(found, str) else dict(found)
        network, weights = given.pop("type"), given.pop("weights", IMAGENET)
        if given:
            key = next(iter(given))
            raise SpaceError(f"{KEY}.{network}.{key}: unknown key (expected weights)")
        if not isinstance(weights, str) or not weights:
            wrong = shorten(weights)
            raise SpaceError(f"{KEY}.{network}.weights: expected imagenet or a file, got {wrong}")
        return Backbone(network, weights)

    def list_all(
        self, parameters: Sequence[Parameter], complete: Callable[[Values], Values]
    ) -> list[Backbone]:
        """Returns every backbone that there is, each once."""
        points = [complete({})] + [
            complete({**dict(parameter.when), parameter.name: value})
            for parameter in parameters
            if parameter.name.partition(".")[0] == KEY
            for value in parameter.list_edges()
        ]
        found = dict.fromkeys(map(self.decode, points))
        return [each for each in found if each is not None]

    def count_points(self) -> int:
        """Returns how many different bodies there are."""
        own = self.own.count_points()
        return sum(own if _is_none(each) else each.count_points() for each in _options(self.node))


def compile_backbone(
    compiler: Compiler, data: Mapping[str, Any]
) -> tuple[BackboneChoice | None, Node]:
    """Compiles ``backbone``, if a space has it, and all keys of its architecture.

    Hyperparameters of the space's own stem and stages exist only where ``backbone`` is ``none``.

    Returns:
        The backbone, and the node of what all candidates read.

    Raises:
        SpaceError: an option is no network, or own stem and stages have no use or are missing.
    """
    if KEY not in data:
        return None, compiler.compile(data, "")
    node = compiler.compile(_spell_out(data[KEY], compiler.source), KEY)
    own = [key for key in OWN if key in data]
    _check_own(own, node, compiler.source)
    when = ((KEY, NONE),) if isinstance(node, Chosen) else ()
    shared = {key: value for key, value in data.items() if key not in (KEY, *OWN)}
    common = compiler.compile(shared, "")
    parts = [(key, compiler.compile(data[key], key, when)) for key in own]
    return BackboneChoice(node, Keys(tuple(parts))), common


def add_backbone(data: Mapping[str, Any], backbone: Backbone) -> dict[str, Any]:
    """Returns the data of an architecture: the network's body, and the space's input and head.

    Keys that the space does not give in ``head`` are the network's. Its rate of stochastic depth
    is left out, so that a frozen body computes the same at each step.
    """
    body = _read_body(backbone.network)
    head = {**body.get("head", {}), **data.get("head", {})}
    kept = {key: body[key] for key in ("style", "stem", "stages") if key in body}
    return {**data, **kept, "head": head}


def replace_body(architecture: Architecture, backbone: Backbone) -> dict[str, Any]:
    """Returns the data of a space in which a backbone stands for what :func:`add_backbone` adds."""
    data = architecture.to_data()
    shared = {key: value for key, value in data.items() if key not in OWN}
    head = architecture.head.model_dump(mode="json")  # defaults too: they are not the network's
    return {**shared, "head": head, KEY: {backbone.network: {"weights": backbone.weights}}}


def adapt_recipe(recipe: TrainingRecipe, backbone: Backbone | None) -> TrainingRecipe:
    """Returns the recipe without what has no effect on a candidate of a space with backbones.

    A frozen backbone's images are not shifted by default, so that its features are computed once.
    """
    if backbone is not None:  # it has no initial weights of a recipe
        recipe = recipe.model_copy(update={"whitening": False, "dirac": False})
    if backbone is None or recipe.trainable == "all":
        return recipe.train_all()
    if recipe.trainable == "norms" or recipe.shift is not None:
        return recipe
    return recipe.model_copy(update={"shift": 0.0})


@cache
def _read_body(network: str) -> Mapping[str, Any]:
    """Returns the data of a network; its file is read once, not for each candidate."""
    return MappingProxyType(application_architecture(network).to_data())


def _check_own(own: Sequence[str], node: Node, source: str) -> None:
    may_lack = any(map(_is_none, _options(node)))
    if own and not may_lack:
        raise SpaceError(
            f"{source}: {own[0]}: has no effect beside a {KEY}; remove it, "
            f"or add {NONE} to the choice"
        )
    if may_lack and not {"stem", "stages"} & set(own):
        raise SpaceError(f"{source}: {KEY}: {NONE} needs a stem or stages in the file")


def _options(node: Node) -> Sequence[Node]:
    return node.options if isinstance(node, Chosen) else (node,)


def _is_none(node: Node) -> bool:
    return isinstance(node, Constant) and node.value == NONE


def _spell_out(data: object, source: str) -> Any:
    """Returns the key's data with ``{NETWORK: {...}}`` as ``{type: NETWORK, ...}``, checked."""
    if isinstance(data, Mapping) and set(data) == {"choice"} and isinstance(data["choice"], list):
        return {"choice": [_spell_out_option(option, source) for option in data["choice"]]}
    return _spell_out_option(data, source)


def _spell_out_option(option: object, source: str) -> Any:
    if option is None or option == NONE:
        return NONE
    if isinstance(option, str):
        _check_network(option, source)
        return option
    if not isinstance(option, Mapping) or len(option) != 1:
        raise SpaceError(f"{source}: {KEY}: {EXPECTED}, got {shorten(option)}")
    ((network, more),) = option.items()
    _check_network(network, source)
    if not isinstance(more, Mapping):
        wrong = shorten(more)
        raise SpaceError(f"{source}: {KEY}.{network}: expected {{weights: FILE}}, got {wrong}")
    return {"type": network, **more}


def _check_network(name: object, source: str) -> None:
    known = [each.name for each in list_published() if each.keras_applications]
    if name not in known:
        hint = suggest(str(name), [*known, NONE]) or f" (it has {', '.join(known)})"
        raise SpaceError(
            f"{source}: {KEY}: keras.applications has no weights for {shorten(name)}{hint}"
        )
