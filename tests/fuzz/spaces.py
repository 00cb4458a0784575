"""Space files: mutations of those that ship, bombs of every kind, and noise."""

import io
import json
import random
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from cnnsearch.architecture.cost import Budget
from cnnsearch.space.check import check_space, check_table
from cnnsearch.space.files import list_published_files, list_spaces
from cnnsearch.space.search_space import SearchSpace

SCALARS: tuple[Any, ...] = (
    0, 1, -1, 2, 7, 64, 255, 1000, 65536, 65537, 10**6, 2**31, 2**63, 2**64, 10**30, 10**400,
    0.0, -0.0, 0.5, 1.5, 1e-300, 1e300, float("nan"), float("inf"), -float("inf"), True, False,
    None, "", "$", "$x", "$width * 2", "$width * 1e9", "basic", "fractal", "a\nb", "\x1b[31m",
    "\u202e", "é" * 50, "x" * 5000, "[/red]", "[bold]", "../../etc/passwd", "\ud800", [], {},
    [[]], [None], {"choice": []}, {"choice": [1]}, {"int": [1, 10**30]}, {"int": [5, 1]},
    {"float": [0.0, 1e308]}, {"log": [0.0, 1.0]}, {"log": [1e-300, 1e300]},
    {"choice": [1, 1.0, True]}, {"choice": ["a", "a"]}, {"choice": [[1], {"type": "conv"}]},
    {"choice": [1, 2], "int": [1, 2]}, {"int": [1, 1000]}, {"float": [float("nan"), 1.0]},
)  # fmt: skip
SNIPPETS = (
    "&a ", "*a", "<<: *a", "!!python/object/apply:os.system ['touch ../canary']", "!!binary aGk=",
    "!!timestamp 2001-01-01", "2001-01-01", "!!set {a, b}", "!!float nan", ".nan", "-.inf",
    "0x" + "f" * 600, "1" * 5000, "1_000", "1:2:3", "0o17", "~", "? [a, b]\n: c", "'", '"', "{",
    "}", "[", "]", "- ", ": ", "\t", "\x00", "\ufeff", "|", ">", "%YAML 9.9\n---\n", "---\n",
    "...\n", '"\\e[31m"', '"\\ud800"', '"\\n"', "!!str 1", "!<tag:x> 1", "$x", "@", "`", "# ",
    "!!omap [a: 1]", "!!pairs [a: 1]", "=", "<<: [1, 2]", "<<: 3", "2024-13-45", "12e999",
)  # fmt: skip
HEAD = "input: [32, 32, 3]\nclasses: 10\nstem: [{type: conv, filters: 16}]\n"


class Spaces:
    name = "spaces"
    seconds = 1.0

    @cached_property
    def texts(self) -> list[str]:
        files = [*list_spaces().values(), *list_published_files().values()]
        return [file.read_text("utf-8") for file in files]

    @cached_property
    def parsed(self) -> list[Any]:
        return [yaml.safe_load(text) for text in self.texts]

    def make(self, rng: random.Random, folder: Path) -> tuple[object, tuple[str, ...]]:
        ways: list[tuple[int, Callable[[random.Random], bytes]]] = [
            (55, self._edited), (25, self._scrambled), (12, bomb), (8, noise),
        ]  # fmt: skip
        way = rng.choices([w for _, w in ways], [share for share, _ in ways])[0]
        path = folder / "fuzzed.yaml"
        path.write_bytes(way(rng))
        return (path, 100 if rng.random() < 0.1 else 5), ("fuzzed",)

    def use(self, subject: Any, folder: Path) -> None:
        path, samples = subject
        check(SearchSpace.load(path), samples)

    def _edited(self, rng: random.Random) -> bytes:
        data = json.loads(json.dumps(rng.choice(self.parsed)))
        for _ in range(rng.choice((1, 1, 1, 2, 3, 5))):
            data = edited(data, rng, self.parsed)
        text = yaml.dump(data, sort_keys=False, allow_unicode=rng.random() < 0.5)
        return text.encode("utf-8", "surrogatepass")

    def _scrambled(self, rng: random.Random) -> bytes:
        return scrambled(rng.choice(self.texts), rng).encode("utf-8", "surrogatepass")


def check(space: SearchSpace, samples: int) -> None:
    """What ``cnnsearch check`` does, as a table and as JSON."""
    from rich.console import Console

    report = check_space(space, samples, Budget())
    check_table(space, report, Console(width=120, file=io.StringIO()))
    json.dumps(report)
    space.decode_first().fingerprint  # noqa: B018


def edited(data: Any, rng: random.Random, others: list[Any]) -> Any:
    """Changes one place of plain data."""
    places = list(_places(data))
    if not places:
        return rng.choice(SCALARS)
    holder, key = rng.choice(places)
    match rng.choices(range(10), (3, 0, 0, 1, 1, 1, 1, 1, 1, 12))[0]:
        case 0:
            holder[key] = rng.choice(SCALARS)
        case 9:
            numbers = [p for p in places if type(p[0][p[1]]) in (int, float)] or places
            holder, key = rng.choice(numbers)
            was = holder[key] if type(holder[key]) in (int, float) else 1
            holder[key] = rng.choice(
                (
                    was * 2,
                    was // 2,
                    was + 1,
                    was * 10,
                    1,
                    0,
                    8,
                    1000,
                    -was,
                    {"int": [1, 64]},
                    {"choice": [was, was * 2, was * 8]},
                )
            )
        case 3:
            del holder[key]
        case 4:
            other = list(_places(rng.choice(others)))
            source, what = rng.choice(other)
            holder[key] = json.loads(json.dumps(source[what]))
        case 5:
            holder[key] = {"choice": [holder[key], *rng.sample(SCALARS, rng.randrange(1, 4))]}
        case 6:
            kind = rng.choice(("int", "float", "log"))
            holder[key] = {kind: [rng.choice((0, 1, 2, 0.1)), rng.choice((2, 64, 1000, 10**9))]}
        case 7:
            if isinstance(holder, list):
                holder.extend([holder[key]] * rng.choice((1, 3, 30)))
            else:
                holder[rng.choice(("stages", "x", "type", "choice", "", "a\nb", 5))] = holder[key]
        case _:
            holder[key] = nested(rng.choice((2, 10, 39, 60)), holder[key], rng)
    return data


def nested(depth: int, inner: Any, rng: random.Random) -> Any:
    for _ in range(depth):
        inner = [inner] if rng.random() < 0.5 else {rng.choice(("choice", "a")): [inner]}
    return inner


def _places(data: Any) -> Any:
    items: Any = ()
    if isinstance(data, dict | list):
        items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in list(items):
        yield data, key
        yield from _places(value)


def scrambled(text: str, rng: random.Random) -> str:
    """Changes text without regard to what it means."""
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        at = rng.randrange(len(text) + 1)
        end = min(len(text), at + rng.randrange(1, 40))
        lines = text.splitlines(keepends=True)
        match rng.randrange(6):
            case 0:
                text = text[:at] + rng.choice(SNIPPETS) + text[at:]
            case 1:
                text = text[:at] + rng.choice(SNIPPETS) + text[end:]
            case 2:
                text = text[:at] + text[end:]
            case 3:
                text = text[:end] + text[at:end] * rng.choice((1, 2, 50)) + text[end:]
            case 4 if lines:
                lines.insert(rng.randrange(len(lines)), rng.choice(lines))
                text = "".join(lines)
            case _:
                text = text[:at] + chr(rng.randrange(1, 0x3000)) + text[at + 1 :]
    return text


def noise(rng: random.Random) -> bytes:
    size = rng.choice((0, 1, 10, 100, 1000, 20_000))
    if rng.random() < 0.5:
        return rng.randbytes(size)
    return "".join(rng.choices("[]{}:,-?*&!|>'\"%@` \n\tab1.$", k=size)).encode()


def bomb(rng: random.Random) -> bytes:
    """A file that asks for more than there is."""
    n = rng.choice((3, 30, 300, 3000, 30_000))
    few = min(n, rng.choice((3, 9, 40)))
    block = rng.choice(("basic", "bottleneck", "dense", "fractal", "mbconv", "inception", "ghost"))
    stage = f"{{block: {block}, depth: {rng.choice((1, 9, 1000, 10**9))}, width: 65536}}"
    wide = f"{{block: {{type: {block}, kernel: 64}}, depth: {{int: [1, 1000]}}, "
    wide += "width: {int: [1, 65536]}}"
    deep = "{type: branches, paths: [["
    options = ", ".join(map(str, range(n)))
    names = [
        f"  v{i}: {rng.choice((f'$v{i + 1}', f'$v{i - 1}', '$v0 * 99999', '1'))}"
        for i in range(few)
    ]
    merges = [f"a{i}: &a{i} {{x{i}: 1, <<: [{f'*a{i - 1},' * 10}]}}\n" for i in range(1, few)]
    return rng.choice(
        (
            "[" * n,
            "{a: " * n,
            "- " * n + "1",
            "? " * n + "1",
            "\n".join(f"{' ' * i}a:" for i in range(few * 5)),
            "[" * n + "]" * n,
            "a: &a [1]\n" + "".join(f"b{i}: &b{i} [{'*a,' * few}]\n" for i in range(few)),
            "a0: &a0 {x: 1}\n"
            + "".join(f"a{i}: &a{i} [{f'*a{i - 1},' * 10}]\n" for i in range(1, few)),
            "a0: &a0 {x0: 1}\n"
            + "".join(merges),
            "a: &a [*a]\n" + HEAD,
            "a: &a {b: *a}\n" + HEAD,
            HEAD + "stages: &s\n- *s\n",
            HEAD + f"stages: [{', '.join([stage] * few)}]\n",
            HEAD + f"stages: [{', '.join([wide] * few)}]\n",
            HEAD + f"stages: [{{block: basic, width: {{choice: [{options}]}}}}]\n",
            HEAD + f"head: {{layers: [{', '.join(['{type: flatten}'] * n)}]}}\n",
            HEAD + f"head: {{layers: [{', '.join(['{type: space_to_depth, block: 1}'] * n)}]}}\n",
            HEAD + f"head: {{layers: [{deep * few}{']]}' * few}]}}\n",
            HEAD + "head: {layers: ["
            + ", ".join(["{type: depthwise_conv, multiplier: 1000000}"] * few) + "]}\n",
            HEAD + "stages: [{block: {type: fractal, columns: 8}, depth: 1000, width: 8}]\n",
            HEAD.replace("32", rng.choice(("4096", "1" * 30, "-1", "0", "1e9", ".nan"))),
            HEAD.replace("16", rng.choice(("9" * 400, "9" * 5000, "0x" + "f" * 9000))),
            HEAD + "variables:\n" + "\n".join(names) + "\nstages: [{block: basic, width: $v1}]\n",
            HEAD + "x: 1\n" * n,
            HEAD + "name: " + "x" * n * 3,
            HEAD + "description: " + rng.choice(("'[/red]'", '"\\e[2J"', '"\\ud800"', "é" * n)),
            HEAD + "scaling: {phi: {float: [-20, 20]}, alpha: 4.0, beta: 4.0, gamma: 4.0}\n",
            HEAD + "scaling: {phi: 20.0, alpha: 1.0, beta: 4.0, gamma: 1.0}\n"
            + f"stages: [{stage}]\n",
            HEAD + f"stages: [{{block: basic, width: {':'.join(['59'] * n)}}}]\n",
            HEAD + "recipe: {"
            + rng.choice(("epochs: 10000000000000", "learning_rate: {log: [1e-320, 1e308]}",
                          "batch_size: {choice: [1, 2, 3]}", "shift: .nan", "x: 1")) + "}\n",
        )
    ).encode()  # fmt: skip
