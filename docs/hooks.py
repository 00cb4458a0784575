"""MkDocs hooks: pages made from the code and from the repository's own files.

`on_files` adds the reference of the command line (from the Typer program), the Python reference
(mkdocstrings directives for `cnnsearch.__all__`), and CONTRIBUTING.md and CHANGELOG.md as pages.
`on_post_page` refuses a page that would load anything from the internet.
"""

import enum
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import cnnsearch
from cnnsearch.architecture.architecture import Architecture
from cnnsearch.architecture.drawing import draw
from cnnsearch.blocks import FAMILIES
from cnnsearch.cli import app
from cnnsearch.cli.common import DataCommand
from cnnsearch.cli.help import describe_parameter
from cnnsearch.data.loading import DATA_FORMS
from cnnsearch.data.sources import describe_forms
from cnnsearch.engine.declaration import read_option
from cnnsearch.engine.settings import GROUPS
from cnnsearch.space.reference import find_example, list_entries

ROOT = Path(__file__).parents[1]
MARKERS = re.compile(r"<!-- /?[a-z]+(?::[^>]*)? -->")
FETCHED = re.compile(
    r"<(?:script|img|iframe|link(?=[^>]*stylesheet))[^>]*(?:src|href)=\"?https?:[^>]*>"
)
OPTIONS = {model.__name__: model for model in GROUPS.values()}
PYTHON_GROUPS = {
    "Describe a space": ("SearchSpace", "Architecture", "TrainingRecipe", "CompoundScaling"),
    "Count": ("count", "Cost", "Budget"),
    "Search, train, measure": ("search", "train_final", "fidelity", "compare_spaces", "hypermodel"),
    "Data": ("describe", "DataReport"),
    "Export and report": ("export", "write_report"),
    "Errors": ("CnnsearchError",),
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages."""
    made: dict[str, str | bytes] = {
        **blocks(),
        "reference/command-line.md": command_line(),
        "reference/python.md": python(),
        "contributing.md": repository_file("CONTRIBUTING.md"),
        "changelog.md": repository_file("CHANGELOG.md"),
    }
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Drops the markers that docs/refresh.py fills in between."""
    return MARKERS.sub("", markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Refuses what a reader's browser would fetch from another host."""
    if fetched := FETCHED.search(output):
        raise PluginError(f"{page.file.src_uri} loads from the internet: {fetched[0]}")
    return output


def repository_file(name: str) -> str:
    """Returns a Markdown file of the repository's root, its links relative to docs/."""
    text = re.sub(r"\]\(docs/", "](", (ROOT / name).read_text("utf-8"))
    return "\n".join(indent(text.splitlines()))


def indent(lines: list[str]) -> Iterator[str]:
    """Yields lines, what belongs to a numbered item indented by the four columns MkDocs wants."""
    in_item = False
    for line in lines:
        if line[:1].strip():
            in_item = re.match(r"\d+\. ", line) is not None
        yield f" {line}" if in_item and line.startswith("   ") else line


def python() -> str:
    """Returns the reference of the package's public names, as mkdocstrings directives."""
    grouped = [name for names in PYTHON_GROUPS.values() for name in names]
    others = sorted({*cnnsearch.__all__} - {*grouped, *OPTIONS, "__version__"})
    public = {title: [f"cnnsearch.{n}" for n in names] for title, names in PYTHON_GROUPS.items()}
    groups = {
        **public,
        "Others": [f"cnnsearch.{name}" for name in others],
        "Result classes": returned(),
    }
    parts = ["# Python reference", "Import these names from `cnnsearch` itself."]
    for title, paths in groups.items():
        parts += [f"## {title}"] * bool(paths)
        parts += [f"::: {path}\n    options:\n      heading_level: 3" for path in paths]
        parts += list(settings()) if title.startswith("Search") else []
    return "\n\n".join(parts)


def settings() -> Iterator[str]:
    """Yields the settings of a search, group by group, from their models."""
    yield "## Settings of a search"
    yield (
        "Keyword arguments of `search`, and fields of four classes: "
        "`search(..., trials=60)` is `search(..., search=SearchOptions(trials=60))`."
    )
    for name, model in OPTIONS.items():
        yield f"### {name} {{ #cnnsearch.{name} }}"
        yield str(model.__doc__).splitlines()[0]
        rows = [
            (
                f"`{field}`",
                f"`{info.default!r}`",
                cell(str(info.description).replace(DATA_FORMS, describe_forms())),
            )
            for field, info in model.model_fields.items()
            if not read_option(info).internal
        ]
        yield table(("field", "default", ""), rows)


def returned() -> list[str]:
    """Returns the paths of classes that public functions return and that are not exported."""
    package = griffe.load("cnnsearch", search_paths=[str(ROOT)])
    homes = {name: package[name] for name in cnnsearch.__all__}
    exported = {each.final_target.path for each in homes.values() if each.is_alias}
    annotations = [getattr(each, "returns", None) for each in homes.values() if each.is_function]
    paths = [getattr(each, "canonical_path", "") for each in annotations]
    return [path for path in paths if path.startswith("cnnsearch.") and path not in exported]


def command_line() -> str:
    """Returns the reference of all commands, in alphabetical order."""
    program = typer.main.get_command(app)
    commands: dict[str, Any] = program.commands  # type: ignore[attr-defined]
    parts = [
        "# Command-line reference",
        "Made from the program itself; `cnnsearch COMMAND --help` prints the same. Amounts are"
        " written `300K`, `1M`, `1.5G`, times `90s`, `45m`, `2h`. Exit codes: 0 done, 1 finished"
        " with a problem that the output names, 2 a mistake in the command or its input, 130"
        " interrupted.",
        table(
            ("command", ""),
            [(f"[`{n}`](#{n.replace(' ', '-')})", summary(c)) for n, c in sorted(commands.items())],
        ),
    ]
    for name, command in sorted(commands.items()):
        if isinstance(command, DataCommand):
            command.complete_help()
        parts += section(name, command)
    return "\n\n".join(parts)


def blocks() -> dict[str, str | bytes]:
    """Returns the reference of blocks, layers and sections, and a picture of each block."""
    files: dict[str, str | bytes] = {}
    parts = [
        "# Blocks, layers and sections",
        "Made from the program itself; `cnnsearch blocks NAME` prints the same. A picture shows a"
        " network of one block with its defaults, of 64 channels behind a map of 32x32x32.",
    ]
    models = {model.model_fields["type"].default: model for f in FAMILIES.values() for model in f}
    for entry in list_entries():
        anchor = f"{entry.kind}-{entry.name}"
        parts += [f"## {entry.name} ({entry.kind}) {{ #{anchor} }}", cell(entry.summary)]
        parts += [cell(entry.details)] if entry.details else []
        rows = [
            (f"`{o.name}`", cell(o.values), f"`{o.default}`", cell(o.text)) for o in entry.options
        ]
        parts += [table(("option", "values", "default", ""), rows)] if rows else ["No options."]
        network = find_example(models[entry.name]) if entry.name in models else None
        if network is not None:
            parts.append(f"![A network of one {entry.name} block](blocks/{entry.name}.svg)")
            files[f"reference/blocks/{entry.name}.svg"] = picture(network)
    return {**files, "reference/blocks.md": "\n\n".join(parts)}


def picture(network: Architecture) -> bytes:
    """Returns a drawing of a network."""
    with tempfile.TemporaryDirectory() as folder:
        return draw(network, Path(folder) / "block.svg").read_bytes()


def section(name: str, command: Any) -> Iterator[str]:
    """Yields heading, usage, description and parameters of one command."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    usage = " ".join(["cnnsearch", name, *map(usage_of, arguments), "[OPTIONS]"])
    yield f"## {name}"
    yield f"    {usage}"
    yield cell(command.help)
    if arguments:
        yield table(("argument", ""), [(f"`{usage_of(p)}`", describe(p)) for p in arguments])
    yield table(("option", ""), [(spell(p), describe(p)) for p in options])


def summary(command: Any) -> str:
    """Returns the first line of a command's help."""
    return cell(str(command.help).splitlines()[0])


def usage_of(argument: Any) -> str:
    """Returns an argument as a usage line shows it."""
    name = argument.name.upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def spell(option: Any) -> str:
    """Returns an option with its values: ``--by layer|block|stage``."""
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    if option.is_bool_flag:
        return names
    names += f" `{option.metavar}`" if option.metavar else ""
    kind = option.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        names += " " + " ".join(f"`{each.value}`" for each in kind)
    return names + (" (repeatable)" if option.multiple else "")


def describe(parameter: Any) -> str:
    """Returns a parameter's help and default."""
    return cell(describe_parameter(parameter))


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Returns a Markdown table."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(text: str | None) -> str:
    """Returns help text as Markdown that may stand in a cell: flags as code, brackets literal."""
    escaped = re.sub(r"([|\[\]*_<])", r"\\\1", text or "")
    return re.sub(r"(?<![\w`])(--[a-z][a-z-]+)", r"`\1`", escaped)
