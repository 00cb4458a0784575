"""Pictures: the graph behind them, where everything stands, and the files."""

from functools import cache
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from PIL import Image

from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.cost import count
from cnnsearch.architecture.drawing import draw, page_of
from cnnsearch.architecture.drawing.page import Page
from cnnsearch.architecture.drawing.parts import split_parts
from cnnsearch.architecture.drawing.words import BOX_FONT, SHAPE_FONT, TITLE_FONT, text_width
from cnnsearch.architecture.wiring import trace
from cnnsearch.errors import ArchitectureError, CnnsearchError
from cnnsearch.space.files import list_published_files
from cnnsearch.space.search_space import SearchSpace

SHOWN = (
    "googlenet", "googlenet-auxiliary", "densenet-121", "resnet-50", "efficientnet-b0", "lenet-5",
    "fractalnet-20", "inception-resnet-v2", "xception", "squeezenet-1.1", "alexnet",
)  # fmt: skip
Area = tuple[float, float, float, float]


def published(name: str) -> Architecture:
    return SearchSpace.load(name).decode_first().architecture


def boxes(page: Page) -> list[Area]:
    """Left, top, right and bottom of every box with the label below it."""
    found = []
    for piece in page.pieces:
        for box in piece.placed.boxes:
            half = max(box.width, text_width(box.shape, SHAPE_FONT)) / 2
            x, y = piece.x + box.x, piece.y + box.y
            found.append((x - half, y - box.height / 2, x + half, y + box.height / 2 + 0.2))
    return found


def overlap(a: Area, b: Area) -> bool:
    return min(a[2], b[2]) - max(a[0], b[0]) > 1e-6 and min(a[3], b[3]) - max(a[1], b[1]) > 1e-6


@pytest.mark.parametrize("name", sorted(list_published_files()))
def test_the_graph_costs_what_the_network_costs(name: str) -> None:
    net = published(name)
    steps, cost = trace(net), count(net)
    assert sum(step.params for step in steps) == cost.params
    assert sum(step.params_total for step in steps) == cost.params_total
    assert sum(step.macs for step in steps) == cost.macs
    assert [step.number for step in steps] == list(range(len(steps)))
    assert all(i.number < step.number for step in steps for i in step.inputs)


def test_the_graph_of_a_residual_unit() -> None:
    net = Architecture.from_data(
        {"input": [8, 8, 3], "classes": 2, "stages": [{"block": "basic", "width": 4, "stride": 2}]}
    )
    steps = trace(net)
    assert [f"{s.kind} {s.detail}".strip() for s in steps] == [
        *("input", "conv 3x3 /2", "conv 3x3", "conv 1x1 /2", "add", "global_avg_pool", "dense"),
    ]
    assert [s.number for s in steps[4].inputs] == [3, 2]
    assert str(steps[4].output) == "4x4x4"
    assert {s.place for s in steps} == {"input", "stages.0.0", "head"}


def test_repeated_blocks_are_one_part() -> None:
    found = {part.name: part for part in split_parts(published("densenet-121"))}
    assert found["stages.0.0-5"].repeats == 6
    assert found["stages.0.0-5"].shapes[0] == "56x56x64...224"
    assert found["stages.2.1-23"].repeats == 23
    assert found["stages.2.0"].repeats == 1  # a transition leads it
    assert found["stages.2.1-23"].cost == "2.77M params, 535M MACs"


def test_parts_cover_every_step_once() -> None:
    for name in SHOWN:
        net = published(name)
        found = split_parts(net)
        assert sum(len(part.steps) * part.repeats for part in found) == len(trace(net))


@pytest.mark.parametrize("name", SHOWN)
def test_nothing_overlaps_and_frames_hold_what_is_theirs(name: str) -> None:
    page = page_of(published(name))
    assert not [pair for pair in combinations(boxes(page), 2) if overlap(*pair)]
    frames = [piece.frame for piece in page.pieces]
    areas = [(x, y, x + w, y + h) for x, y, w, h in frames]
    assert not [pair for pair in combinations(areas, 2) if overlap(*pair)]
    for piece, (left, top, right, bottom) in zip(page.pieces, areas, strict=True):
        for box in piece.placed.boxes:
            assert left <= piece.x + box.x - box.width / 2
            assert right >= piece.x + box.x + box.width / 2
            assert top < piece.y + box.y < bottom
        assert left >= -1e-6 and right <= page.width + 1e-6


@pytest.mark.parametrize("name", SHOWN)
def test_edges_go_down_from_a_box_to_a_box(name: str) -> None:
    for piece in page_of(published(name)).pieces:
        tops = {(round(b.x, 6), round(b.y - b.height / 2, 6)) for b in piece.placed.boxes}
        for edge in piece.placed.edges:
            assert (round(edge[-1][0], 6), round(edge[-1][1], 6)) in tops
            assert all(a[1] <= b[1] + 1e-6 for a, b in pairwise(edge))


def test_texts_fit_their_boxes_and_titles_their_frames() -> None:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    @cache  # the same words stand in many boxes
    def real(text: str, size: float, weight: str = "normal") -> float:
        if not text:
            return 0.0
        font = FontProperties(family="DejaVu Sans", weight=weight)
        path = TextPath((0, 0), text, size=size, prop=font)
        return float(path.get_extents().width) / 72

    for piece in (piece for name in SHOWN for piece in page_of(published(name)).pieces):
        for box in piece.placed.boxes:
            assert box.kind in ("add", "multiply") or real(box.text, BOX_FONT) < box.width - 0.05
            assert real(box.shape, SHAPE_FONT) <= text_width(box.shape, SHAPE_FONT) + 0.04
        part, width = piece.placed.part, piece.frame[2]
        if part.framed:
            assert real(part.name, TITLE_FONT, "bold") + 0.45 * (part.repeats > 1) < width
            assert max(real(part.title, TITLE_FONT), real(part.cost, SHAPE_FONT)) < width


def test_a_png_and_an_svg(tmp_path: Path) -> None:
    net = published("resnet-18")
    picture = Image.open(draw(net, tmp_path / "net.png"))
    page = page_of(net)
    assert picture.width > 150 * page.width and picture.height > 150 * page.height
    assert len(picture.convert("L").getcolors() or range(300)) > 8
    first = draw(net, tmp_path / "a.svg").read_bytes()
    assert first.startswith(b"<?xml") and len(first) > 10_000
    assert draw(net, tmp_path / "b.SVG").read_bytes() == first


@pytest.mark.parametrize("name", ["net.pdf", "net", "png"])
def test_another_extension_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(CnnsearchError, match=r"--out .*: expected a name that ends with .svg or"):
        draw(published("lenet-5"), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_an_unwritable_file_is_reported_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(CnnsearchError, match=r"--out .*net.svg: cannot be written: No such file"):
        draw(published("lenet-5"), tmp_path / "nowhere" / "net.svg")


def test_what_cannot_be_wired_is_not_drawn(tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match="shrinks it below 1x1"):
        draw(published("vgg-16").adapt(image=(8, 8)), tmp_path / "net.svg")
    assert not list(tmp_path.iterdir())


def test_a_cell_names_its_second_input() -> None:
    cell = {"type": "cell", "nodes": [{"inputs": [0, 1], "ops": ["max_pool_3x3", "conv_3x3"]}]}
    stages = [{"block": cell, "width": 8, "depth": depth} for depth in (1, 1, 3)]
    stem = [{"type": "conv", "filters": 8}]
    network = {"input": [16, 16, 3], "classes": 5, "stem": stem, "stages": stages}
    parts = {part.name: part for part in split_parts(Architecture.from_data(network))}
    titles = [part.title for name, part in parts.items() if name.startswith("stages")]
    assert titles == [
        "cell 8 1 nodes",
        "cell 8 1 nodes, also reads stem",
        "cell 8 1 nodes, also reads the input of the block before",
    ]
    assert [part.entry.place for part in parts.values() if part.entry][2] == "stages.0.0"
