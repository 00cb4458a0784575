"""Fills the generated parts of README.md and the pages of docs/.

    python docs/refresh.py                     # fill all parts from the committed files
    python docs/refresh.py --check             # exit with 1 and a list where a page is out of date
    python docs/refresh.py --capture networks  # run a group of CAPTURES again first

Generated is what stands between two markers, which are comments in Markdown:

    table  ... /table   a table made from the code: `TABLES`
    output ... /output  what a command printed: a file of docs/outputs, or a part of a result file
    figure ... /figure  one number, taken from a committed result file by a rule in figures.toml

so that no figure is typed by hand. A command's output is written by `--capture` alone; the commands
of one group run in one folder, one after the other.
"""

import argparse
import difflib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from statistics import mean, stdev
from types import MappingProxyType
from typing import Any, Final

from cnnsearch.exporters.formats import FORMATS
from cnnsearch.oracles import STRATEGIES
from cnnsearch.space.files import list_spaces
from cnnsearch.space.published import HEADER, list_published, make_rows
from cnnsearch.space.search_space import SearchSpace
from cnnsearch.training.objectives import OBJECTIVES

ROOT: Final = Path(__file__).parents[1]
OUTPUTS: Final = ROOT / "docs" / "outputs"
WIDTH: Final = "100"
TO_BEST: Final = "median_evaluations_to_0.3"
MARKED: Final = re.compile(
    r"(?P<start><!-- (?P<kind>table|output|figure): (?P<name>[^>]+?) -->)"
    r"(?P<body>.*?)(?P<end><!-- /(?P=kind) -->)",
    re.DOTALL,
)
CAPTURES: Final = MappingProxyType(
    {
        "digits": {
            "search": "cnnsearch search tiny --name first --trials 12",
            "export": "cnnsearch export best --run first --out exports/first",
            "results": "cnnsearch results first",
        },
        "networks": {
            "check": "cnnsearch check tiny --max-macs 1M",
            "cost": "cnnsearch cost resnet-50 --by stage",
            "diff": "cnnsearch diff resnet-50 resnet-50-v1.5",
            "scale": "cnnsearch scale resnet-18 --to 4G",
        },
        "data": {"data": "cnnsearch data digits"},
        "refused": {"refused": "cnnsearch check bomb.yaml"},
    }
)
BOMB: Final = "\n".join(("description: " + "[" * 99 + "]" * 99, "stages: " + "[" * 200 + "]" * 200))


def pages() -> list[Path]:
    """Returns the files that have generated parts."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def refresh(text: str) -> str:
    """Returns a page's text with every generated part made again."""
    return MARKED.sub(_fill, text)


def _fill(found: re.Match[str]) -> str:
    kind, name = found["kind"], found["name"]
    if kind == "figure":
        return f"{found['start']}{figure(name)}{found['end']}"
    body = TABLES[name]() if kind == "table" else f"```text\n{output(name)}\n```"
    return f"{found['start']}\n\n{body}\n\n{found['end']}"


def figure(name: str, rules: Path = ROOT / "docs" / "figures.toml") -> str:
    """Returns a number as its rule formats it.

    A rule names a committed ``file`` and either a ``key`` (of JSON: ``results.0.accuracy.mean``)
    or a ``match`` (a regular expression whose first group is the number); ``format`` applies to a
    key's value, ``times`` multiplies it before.
    """
    rule = tomllib.loads(rules.read_text("utf-8"))[name]
    text = (ROOT / rule["file"]).read_text("utf-8")
    if "match" in rule:
        found = re.search(rule["match"], text, re.MULTILINE)
        if found is None:
            raise SystemExit(f"docs/figures.toml: {name}: nothing in {rule['file']} matches")
        return found[1]
    value = json.loads(text)
    for step in rule["key"].split("."):
        value = value[int(step) if isinstance(value, list) else step]
    return str(rule["format"]).format(value * rule.get("times", 1))


def output(name: str) -> str:
    """Returns a captured output, or the part of a result file that ``FILE | WORDS`` names.

    The part begins at the first line that has the words and ends before the next empty line.
    """
    path, _, words = name.partition(" | ")
    if not words:
        return (OUTPUTS / f"{path}.txt").read_text("utf-8").rstrip()
    lines = (ROOT / path).read_text("utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if words in line)
    end = next((n for n in range(start, len(lines)) if not lines[n].strip()), len(lines))
    return "\n".join(line.rstrip() for line in lines[start:end])


def capture(group: str) -> None:
    """Runs a group's commands in an empty folder and writes what they print to docs/outputs."""
    OUTPUTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bomb.yaml").write_text(BOMB, "utf-8")
        for name, command in CAPTURES[group].items():
            (OUTPUTS / f"{name}.txt").write_text(run(command, folder), "utf-8")


def run(command: str, folder: str) -> str:
    """Returns a command and what it prints, as a terminal of fixed width would show it."""
    program, *arguments = shlex.split(command)
    done = subprocess.run(
        [sys.executable, "-m", program, *arguments],
        cwd=folder,
        env=os.environ | {"COLUMNS": WIDTH, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    printed = done.stdout or done.stderr  # progress, on stderr, is no part of a result
    lines = [f"$ {command}", *printed.rstrip().splitlines()]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def markdown(header: tuple[str, ...], body: list[tuple[str, ...]]) -> str:
    """Returns a Markdown table."""
    lines = [header, ("---",) * len(header), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def spaces() -> str:
    """Returns the table of the search spaces that ship."""
    loaded = [SearchSpace.load(name) for name in list_spaces()]
    body = [(f"`{s.name}`", f"{s.size:,}", s.description) for s in loaded]
    return markdown(("space", "candidates, at most", "what it holds"), body)


def tiny() -> str:
    """Returns the file of the smallest space."""
    return f"```yaml\n{list_spaces()['tiny'].read_text('utf-8').rstrip()}\n```"


def networks() -> str:
    """Returns the table of published networks."""
    exact = sum(network.exact for network in list_published())
    return f"{exact} of {len(list_published())} are exact.\n\n{markdown(HEADER, make_rows())}"


def exports() -> str:
    """Returns sizes, accuracies and latencies of the CIFAR-10 export, from its result file."""
    text = output("benchmarks/results/exports.txt | CIFAR-10: the winner")
    cells = [
        [c.strip() for c in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line
    ]
    body = [(c[0], c[2], c[3], c[6], c[7]) for c in cells]
    return markdown(("format", "size", "test accuracy", "same class", "latency, one image"), body)


def strategies() -> str:
    """Returns the table of search strategies."""
    body = [
        (f"`{s.name}`", s.summary, f"[{s.paper}](https://arxiv.org/abs/{s.paper})" * bool(s.paper))
        for s in STRATEGIES
    ]
    return markdown(("`--strategy`", "how candidates are chosen", "arXiv"), body)


def formats() -> str:
    """Returns the table of export formats."""
    body = [
        (f"`{f.name}`", f.title, f.summary, f"`{f.file('float32')}`", ", ".join(f.quantizations))
        for f in FORMATS
    ]
    return markdown(("`--format`", "format", "for", "file", "`--quantize`"), body)


def objectives() -> str:
    """Returns the table of objectives."""
    body = [(f"`{each.name}`", str(each.__doc__).splitlines()[0]) for each in OBJECTIVES]
    return markdown(("`--objective`", ""), body)


def replay() -> str:
    """Returns the regret of strategies on NAS-Bench-Macro, from its result file."""
    path = ROOT / "benchmarks/replay/nas_bench_macro.json"
    steps = ("10", "20", "50", "100")
    found = json.loads(path.read_text("utf-8"))["results"].items()
    ranked = sorted(found, key=lambda item: item[1]["regret"]["20"])
    body = [(f"`{name}`", *_list_regrets(r, steps), str(r["seeds"])) for name, r in ranked]
    return markdown(("strategy", *(f"after {n}" for n in steps), "to 0.3 points", "seeds"), body)


def _list_regrets(found: Mapping[str, Any], steps: tuple[str, ...]) -> tuple[str, ...]:
    regrets = (found["regret"].get(n) for n in steps)
    close = f"{found[TO_BEST]:g}" if found[TO_BEST] < max(map(int, found["regret"])) else "more"
    return (*("" if r is None else f"{r:.2f}" for r in regrets), close)


def scaling() -> str:
    """Returns what scaling one dimension or all three gave, from its result file."""
    data = json.loads((ROOT / "benchmarks/results/compound_scaling.json").read_text("utf-8"))
    scores: dict[str, list[float]] = {name: [] for name in data["networks"]}
    for trained in data["trained"]:
        scores[trained["scaled"]].append(100 * trained["val_accuracy"])
    body = [
        (name, f"{data['networks'][name]['macs'] / 1e6:.2f}M", f"{mean(s):.1f}% ± {stdev(s):.1f}")
        for name, s in sorted(scores.items(), key=lambda item: -mean(item[1]))
    ]
    return markdown(("scaled", "MACs", "validation accuracy"), body)


def reordering() -> str:
    """Returns what the export's order of the operators saves, from its result file."""
    lines = (ROOT / "benchmarks/devices/reordering.txt").read_text("utf-8").splitlines()
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines]
    header = ("space", "networks", "of these lower", "mean saving", "largest saving")
    header += ("best order known", "reached")
    body = [(f"`{row[0]}`", *row[1:]) for row in rows[1:]]
    return markdown(header, body)


TABLES: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "spaces": spaces,
        "tiny": tiny,
        "published": networks,
        "exports": exports,
        "scaling": scaling,
        "reordering": reordering,
        "strategies": strategies,
        "replay": replay,
        "formats": formats,
        "objectives": objectives,
    }
)


def main() -> None:
    """Refreshes every page, or with ``--check`` lists those that are out of date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--capture", nargs="+", choices=CAPTURES, default=[], metavar="GROUP")
    options = parser.parse_args()
    for group in options.capture:
        capture(group)
    stale = []
    for page in pages():
        text = page.read_text("utf-8")
        new = refresh(text)
        if new != text and options.check:
            stale += list(difflib.unified_diff(text.splitlines(), new.splitlines(), str(page.name)))
        elif new != text:
            page.write_text(new, "utf-8")
    if stale:
        sys.exit("\n".join(["Out of date; run docs/refresh.py:", *stale]))


if __name__ == "__main__":
    main()
