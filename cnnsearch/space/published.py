"""The published networks: their table, and the architecture of each by name."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.blocks.ops import Style
from cnnsearch.errors import SpaceError, suggest
from cnnsearch.space.files import list_folders, list_published_files
from cnnsearch.utils.safe_yaml import read_yaml

HEADER = ("network", "year", "paper", "params", "MACs", "as printed", "exact")
_REFERENCE = re.compile(r"arXiv:\d{4}\.\d{4,5}|doi:10\.\S+/[^\s,;]*[^\s,;.]")

_RESNET: Final = {"bias": True, "norm_epsilon": 1.001e-5}
_DENSENET: Final = {"norm_epsilon": 1.001e-5}
_NO_GAMMA: Final = {"norm_scale": False}

STYLES: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "ResNet50": _RESNET,
        "ResNet101": _RESNET,
        "ResNet152": _RESNET,
        "DenseNet121": _DENSENET,
        "DenseNet169": _DENSENET,
        "DenseNet201": _DENSENET,
        "InceptionV3": _NO_GAMMA,
        "InceptionResNetV2": _NO_GAMMA,
    }
)
"""What keras.applications' build of a network changes of the published style."""


@dataclass(frozen=True)
class PublishedNetwork:
    """One line of ``search_spaces/published/published.json``, the test's golden too.

    Attributes:
        name: of its file, and wherever a space is named.
        family: the folder its file lies in.
        title: its name in the literature.
        year: of the paper.
        paper: authors, title, arXiv number or DOI, table or figure.
        params: trainable parameters.
        params_total: with the moving statistics of batch normalization.
        macs: multiply-accumulates for one image.
        acts: output values of its convolution and dense layers.
        printed_params: the paper's own figure as printed; None: it gives none.
        printed_macs: likewise; papers call it FLOPs.
        exact: whether ``count()`` meets a reference build of the network to the digit.
        keras_applications: its name there; None: it is not there.
        notes: what differs from the paper.
    """

    name: str
    family: str
    title: str
    year: int
    paper: str
    params: int
    params_total: int
    macs: int
    acts: int
    printed_params: str | None
    printed_macs: str | None
    exact: bool
    keras_applications: str | None
    notes: str

    @property
    def reference(self) -> str:
        """The paper's arXiv number, or its DOI."""
        found = _REFERENCE.search(self.paper)
        return found[0] if found else self.paper


def list_published() -> list[PublishedNetwork]:
    """Returns the published networks, families in order of their first paper."""
    for folder in list_folders():
        text = (folder / "published" / "published.json").read_text("utf-8")
        return [PublishedNetwork(**entry) for entry in json.loads(text)]
    return []


def make_rows() -> list[tuple[str, ...]]:
    """Returns a row of text for each published network, in the columns of :data:`HEADER`."""
    return [
        (
            network.name,
            str(network.year),
            network.reference,
            f"{network.params:,}",
            f"{network.macs:,}",
            " / ".join(x or "-" for x in (network.printed_params, network.printed_macs)),
            "yes" if network.exact else "no",
        )
        for network in list_published()
    ]


def load_published(name: str) -> Architecture:
    """Returns a published network's architecture.

    Raises:
        SpaceError: no published network has this name.
    """
    files = list_published_files()
    if name not in files:
        hint = suggest(name, files) or " (cnnsearch published lists them)"
        raise SpaceError(f"there is no published network named {name!r}{hint}")
    return Architecture.from_data(read_yaml(files[name].read_text("utf-8"), name), name)


def application_architecture(name: str) -> Architecture:
    """Returns a published network in the style of keras.applications' build of it.

    Raises:
        SpaceError: no published network has this name.
    """
    architecture = load_published(name)
    there = {n.name: n.keras_applications for n in list_published()}[name]
    changes = STYLES.get(there or "", {})
    style = Style(**{**architecture.style.model_dump(), **changes})
    return architecture.model_copy(update={"style": style})
