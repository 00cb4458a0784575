"""Names that a message suggests."""

import pytest

from cnnsearch.errors import suggest
from cnnsearch.space.published import list_published


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("resnet20", "resnet-20-cifar"),
        ("ResNet-20", "resnet-20-cifar"),
        ("resnet-110", "resnet-110-cifar"),
        ("efficientnetb0", "efficientnet-b0"),
        ("mobilenetv3", "mobilenet-v3"),
        ("resnet50", "resnet-50'"),
        ("goglenet", "googlenet"),
    ],
)
def test_a_name_written_as_elsewhere_finds_the_network(name: str, first: str) -> None:
    hint = suggest(name, [each.name for each in list_published()])
    assert hint.startswith(f", did you mean '{first}")


def test_a_letter_or_two_are_no_beginning_of_a_name() -> None:
    assert suggest("re", ["residual", "relu6-space"]) == ""
