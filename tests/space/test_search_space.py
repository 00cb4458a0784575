"""Search spaces: choices, conditions, variables, decoding, and what is said of a wrong file."""

import random
from pathlib import Path

import pytest

from cnnsearch.errors import SpaceError
from cnnsearch.space.files import list_spaces
from cnnsearch.space.search_space import SearchSpace

HEAD = "input: [16, 16, 3]\nclasses: 4\n"


SPACE = (
    HEAD
    + """
variables:
  width: {choice: [8, 16]}
stem:
  - {type: conv, filters: $width}
stages:
  - block:
      choice:
        - {type: plain, kernel: {choice: [3, 5]}}
        - {type: bottleneck, expansion: {int: [2, 4]}}
    depth: {int: [1, 3]}
    width: $width * 2
    stride: 2
head:
  dropout: {float: [0.0, 0.5]}
recipe:
  learning_rate: {log: [1e-4, 1e-1]}
"""
)


@pytest.fixture
def space() -> SearchSpace:
    return SearchSpace.from_text(SPACE, "some.yaml")


def test_parameters_are_named_by_path_parents_first(space: SearchSpace) -> None:
    assert [p.name for p in space.parameters] == [
        "variables.width",
        "stages.0.block",
        "stages.0.block.plain.kernel",
        "stages.0.block.bottleneck.expansion",
        "stages.0.depth",
        "head.dropout",
        "recipe.learning_rate",
    ]
    kernel = space.parameters[2]
    assert kernel.when == (("stages.0.block", "plain"),)
    assert kernel.ordered and not space.parameters[1].ordered


def test_decoding_is_a_substitution(space: SearchSpace) -> None:
    candidate = space.decode(
        {
            "variables.width": 16,
            "stages.0.block": "bottleneck",
            "stages.0.block.bottleneck.expansion": 3,
            "stages.0.depth": 2,
            "head.dropout": 0.25,
            "recipe.learning_rate": 0.01,
        }
    )
    assert candidate.architecture.to_data() == {
        "input": [16, 16, 3],
        "classes": 4,
        "stem": [{"type": "conv", "filters": 16}],
        "stages": [
            {
                "block": {"type": "bottleneck", "expansion": 3},
                "depth": 2,
                "width": 32,
                "stride": 2,
            }
        ],
        "head": {"dropout": 0.25},
    }
    assert candidate.recipe.learning_rate == 0.01


def test_samples_hold_active_parameters_only_and_decode(space: SearchSpace) -> None:
    rng = random.Random(0)
    seen = set()
    for _ in range(200):
        values = space.sample(rng)
        assert [p.name for p in space.list_active(values)] == list(values)
        assert ("stages.0.block.plain.kernel" in values) == (values["stages.0.block"] == "plain")
        assert 1e-4 <= float(values["recipe.learning_rate"]) <= 1e-1
        seen.add(space.decode(values).fingerprint)
    assert len(seen) == 200


def test_the_same_generator_gives_the_same_sample(space: SearchSpace) -> None:
    assert space.sample(random.Random(7)) == space.sample(random.Random(7))


def test_size_counts_conditional_choices_once(space: SearchSpace) -> None:
    assert space.size == 2 * (2 + 3) * 3
    assert [p.name for p in space.continuous] == ["head.dropout", "recipe.learning_rate"]


def test_every_value_is_checked_not_only_those_drawn() -> None:
    text = SPACE.replace("{choice: [3, 5]}", "{choice: [3, 0]}")
    with pytest.raises(SpaceError, match=r"some.yaml: stages.0.block.kernel: .*greater than 0"):
        SearchSpace.from_text(text, "some.yaml")


def test_missing_and_foreign_values_are_refused(space: SearchSpace) -> None:
    values = space.sample(random.Random(1))
    with pytest.raises(SpaceError, match=r"stages.0.depth: no value"):
        space.decode({k: v for k, v in values.items() if k != "stages.0.depth"})
    with pytest.raises(SpaceError, match=r"stages.0.depth: 9 is not one of its values"):
        space.decode({**values, "stages.0.depth": 9})
    with pytest.raises(SpaceError, match=r"stages.0.depth: True is not one"):
        space.decode({**values, "stages.0.depth": True})


def test_a_variable_can_be_a_whole_block_and_is_chosen_once() -> None:
    space = SearchSpace.from_text(
        HEAD
        + """
variables:
  block: {choice: [{type: plain}, {type: basic}]}
stages:
  - {block: $block, width: 8}
  - {block: $block, width: 16}
""",
        "v.yaml",
    )
    assert [p.name for p in space.parameters] == ["variables.block"]
    net = space.decode({"variables.block": "basic"}).architecture
    assert net.family == "residual"


def test_options_without_a_type_get_words() -> None:
    space = SearchSpace.from_text(
        HEAD
        + """
stem:
  - {type: conv, filters: 8, kernel: {choice: [3, [1, 7]]}, bias: {choice: [null, true]}}
stages:
  - block: {choice: [{type: plain}, {type: plain, kernel: 5}, basic]}
    width: 8
""",
        "o.yaml",
    )
    assert [p.options for p in space.parameters] == [
        ("3", "1x7"),
        ("null", "true"),
        ("plain-1", "plain-2", "basic"),
    ]
    for values in (space.sample(random.Random(i)) for i in range(20)):
        space.decode(values)


def test_adapted_fits_candidates_to_the_data(space: SearchSpace) -> None:
    fitted = space.adapt(classes=7, channels=1)
    net = fitted.decode(fitted.sample(random.Random(0))).architecture
    assert (net.classes, net.input) == (7, (16, 16, 1))


def test_the_largest_input_is_the_spaces() -> None:
    text = "variables: {r: {choice: [16, 32]}}\ninput: [$r, $r, 3]\nclasses: 4\n"
    assert SearchSpace.from_text(text, "r.yaml").input == (32, 32, 3)


@pytest.mark.parametrize("name", list_spaces())
def test_shipped_spaces_round_trip_through_their_text(name: str) -> None:
    space = SearchSpace.load(name)
    again = SearchSpace.from_text(space.text, space.source)
    values = space.sample(random.Random(3))
    assert again.parameters == space.parameters
    assert again.decode(values) == space.decode(values)
    assert space.description


@pytest.mark.parametrize("name", list_spaces())
def test_an_architecture_without_choices_is_a_space_of_one(name: str) -> None:
    space = SearchSpace.load(name)
    candidate = space.decode(space.sample(random.Random(5)))
    single = SearchSpace.from_architecture(candidate.architecture, candidate.recipe)
    assert single.size == 1 and not single.parameters
    assert single.decode({}) == candidate


def test_a_file_is_found_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(SPACE)
    assert SearchSpace.load(file).name == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stem: [", "bad.yaml, line "),
        (HEAD + "classes: 5\n", "bad.yaml, line 3, column 1: duplicate key 'classes'"),
        ("- 1", "bad.yaml: expected a mapping of keys"),
        ("", "bad.yaml: expected a mapping of keys"),
        (HEAD + "stags: []", "bad.yaml: stags: unknown key, did you mean 'stages'"),
        (
            HEAD + "drop_path: {choice: []}",
            "bad.yaml: drop_path.choice: expected a list of at least",
        ),
        (HEAD + "drop_path: {loguniform: [0.1, 0.2]}", "choice 'loguniform', did you mean 'log'?"),
        (HEAD + "drop_path: {uniform: [0.1, 0.2]}", "choice 'uniform', did you mean 'float'?"),
        (HEAD + "drop_path: {chioce: [0.1, 0.2]}", "choice 'chioce', did you mean 'choice'?"),
        (HEAD + "recipe: {optimizer: adma}", "got 'adma', did you mean 'adamw'?"),
        (HEAD + "drop_path: {choice: [0.1, 0.1]}", "drop_path.choice: an option is there twice"),
        (HEAD + "drop_path: {int: [1]}", "drop_path.int: expected [lowest, highest], two numbers"),
        (HEAD + "drop_path: {int: [0.5, 2]}", "drop_path.int: expected two whole numbers"),
        (HEAD + "drop_path: {float: [2, 1]}", "drop_path.float: the lowest number comes first"),
        (
            HEAD + "drop_path: {log: [0, 1]}",
            "drop_path.log: a logarithmic range has to be above zero",
        ),
        (
            HEAD + "drop_path: {choice: [0], int: [1, 2]}",
            "drop_path: no other key is allowed beside",
        ),
        (HEAD + "drop_path: $rate", "drop_path: variable $rate is not defined"),
        (HEAD + "variables: {rate: 0.1}\ndrop_path: $rat", "not defined, did you mean 'rate'?"),
        (HEAD + "variables: {rate: 0.1}", "variables.rate: this variable is never used"),
        (HEAD + "variables: {a: x}\ndrop_path: $a * 2", "drop_path: $a is no number, got 'x'"),
        (HEAD + "drop_path: $a b", "drop_path: expected $name or $name * number"),
        (HEAD + "drop_path: 2020-01-01", "drop_path: expected text, a number"),
        (HEAD + "recipe: {learning_rat: 1}", "recipe.learning_rat: unknown key, did you mean"),
        (HEAD + "recipe: {epochs: 0}", "recipe.epochs: input should be greater than or equal to 1"),
        ("classes: 4", "bad.yaml: input: this key is missing"),
        (HEAD + "1: 2", "bad.yaml: 1: unknown key"),
        (HEAD + "stem: [{type: conv, filters: -4}]", "stem.0.filters: input should be greater"),
        (
            HEAD + "stages: [{block: plain, width: 8, stride: 16}, {type: max_pool}]",
            "bad.yaml: it cannot be wired: stages.1: stride 2 on a 1x1 map shrinks it below 1x1",
        ),
        (
            HEAD
            + "stages: [{block: plain, width: {choice: [8, 9]}, stride: 16}, {type: max_pool}]",
            "no candidate can be wired: stages.1: stride 2 on a 1x1 map shrinks it below 1x1",
        ),
        (HEAD + "upsample: 2", "upsample: unknown key (known: name, description, input, classes,"),
        (
            HEAD + "variables: {rate: 0.1}\nhead: {dropout: $rate}\ndrop_path: $nope",
            "variable $nope is not defined (defined above it: rate)",
        ),
        (
            HEAD + "drop_path: $nope",
            "text that starts with $ is the name of an entry of variables: {nope: ...}",
        ),
        ("a: " + "[" * 5000 + "]" * 5000, "bad.yaml, line 1: nested too deeply"),
        (HEAD + "stem: " + "[" * 60 + "]" * 60, "more than 40 levels deep"),
        (
            HEAD + "stages: [{block: basic, width: 8, depth: 100000000}]",
            "stages.0.depth: input should be less than or equal to 1000",
        ),
    ],
)
def test_a_wrong_file_is_reported_in_one_line(text: str, message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        SearchSpace.from_text(text, "bad.yaml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_names_come_with_the_nearest() -> None:
    with pytest.raises(SpaceError, match="did you mean 'residual'"):
        SearchSpace.load("residul")
    with pytest.raises(SpaceError, match="no such space file"):
        SearchSpace.load("nowhere/space.yaml")
