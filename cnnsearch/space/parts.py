"""The compiled keys of a space file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.errors import SpaceError, suggest_or_list
from cnnsearch.space.backbone_choice import KEY, BackboneChoice, compile_backbone
from cnnsearch.space.choices import Node, Parameter, Value, add_key
from cnnsearch.space.compiler import Compiler
from cnnsearch.utils.validation_errors import shorten

OTHERS = ("variables", "recipe", "scaling")
"""Keys of a space file that describe no architecture."""
IMAGE = "image"
"""Key with the side of the images that a candidate reads, or their height and width."""
CHANNELS = 3
"""Of images whose size is given by ``image``; a data set's own replace them."""


@dataclass(frozen=True)
class Image(Node):
    """The key ``image`` as the key ``input`` of an architecture.

    Attributes:
        node: gives a side, or height and width.
    """

    node: Node

    def decode(self, values: Mapping[str, Value], variables: Mapping[str, Any]) -> Any:
        size = self.node.decode(values, variables)
        height, width = size if isinstance(size, list) and len(size) == 2 else (size, size)
        for side in (height, width):
            if not isinstance(side, int) or isinstance(side, bool):
                expected = "expected a side in pixels, or [height, width]"
                raise SpaceError(f"{IMAGE}: {expected}, got {shorten(size)}")
        return [height, width, CHANNELS]

    def count_points(self) -> int:
        return self.node.count_points()


@dataclass(frozen=True)
class Parts:
    """A space file, compiled.

    Attributes:
        parameters: the hyperparameters, parents before those that depend on them.
        variables: by name; each sees those above it.
        architecture: what all candidates have in common.
        recipe: of training.
        scaling: by a compound coefficient; None: there is none.
        backbone: trained weights; None: there are none.
        values: their number in the file.
    """

    parameters: tuple[Parameter, ...]
    variables: tuple[tuple[str, Node], ...]
    architecture: Node
    recipe: Node
    scaling: Node | None
    backbone: BackboneChoice | None
    values: int


def compile_parts(data: Mapping[Any, Any], source: str) -> Parts:
    """Compiles the data of a space file.

    Raises:
        SpaceError: one line: source, key, rule and value.
    """
    compiler = Compiler(source)
    known = [*Architecture.model_fields, IMAGE, KEY, *OTHERS]
    for key in data:
        if key not in known:
            raise SpaceError(f"{source}: {key}: unknown key{suggest_or_list(str(key), known)}")
    variables = _compile_variables(data.get("variables", {}), compiler)
    image = _compile_image(data, compiler)
    body = {key: value for key, value in data.items() if key not in (*OTHERS, IMAGE)}
    backbone, architecture = compile_backbone(compiler, body)
    if image is not None:
        architecture = add_key(architecture, "input", image)
    recipe = compiler.compile(data.get("recipe", {}), "recipe")
    scaling = compiler.compile(data["scaling"], "scaling") if "scaling" in data else None
    if backbone and scaling:
        raise SpaceError(f"{source}: scaling: trained weights fit one size; remove it or {KEY}")
    for name, _ in variables:
        if name not in compiler.used:
            raise SpaceError(f"{source}: variables.{name}: this variable is never used")
    return Parts(
        tuple(compiler.parameters), variables, architecture, recipe, scaling, backbone,
        compiler.nodes,
    )  # fmt: skip


def _compile_image(data: Mapping[Any, Any], compiler: Compiler) -> Image | None:
    if IMAGE not in data:
        return None
    if "input" in data:
        raise SpaceError(f"{compiler.source}: {IMAGE}: stands in place of input; remove one")
    return Image(compiler.compile(data[IMAGE], IMAGE))


def _compile_variables(data: object, compiler: Compiler) -> tuple[tuple[str, Node], ...]:
    if not isinstance(data, Mapping):
        raise SpaceError(f"{compiler.source}: variables: expected a mapping of names to values")
    variables: list[tuple[str, Node]] = []
    for name, value in data.items():
        variables.append((name, compiler.compile(value, f"variables.{name}")))
        compiler.variables.append(name)
    return tuple(variables)
