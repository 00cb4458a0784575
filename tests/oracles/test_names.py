"""A strategy's facts are attributes of its class: no other file compares its name."""

import ast
from pathlib import Path

from cnnsearch.oracles import STRATEGIES, describe_strategies

PACKAGE = Path(__file__).parents[2] / "cnnsearch"


def test_no_other_file_compares_the_name_of_a_strategy() -> None:
    names = {strategy.name for strategy in STRATEGIES}
    found = []
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name == "oracles":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Compare) and "strategy" in ast.unparse(node):
                inside = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant)}
                found += [f"{path.name}:{node.lineno}"] if inside & names else []
    assert not found


def test_the_help_names_every_strategy_with_its_paper() -> None:
    text = describe_strategies()
    for strategy in STRATEGIES:
        assert f"{strategy.name} ({strategy.summary}" in text
        assert not strategy.paper or f"arXiv:{strategy.paper}" in text
