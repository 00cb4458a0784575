"""Brings the generated parts of README.md up to date; ``--check`` only says whether they are.

    .venv/bin/python docs/refresh.py

Generated are what stands between ``<!-- NAME -->`` and ``<!-- /NAME -->`` for the names in PARTS.
"""

import sys
from pathlib import Path

from cnnsearch.space.published import HEADER, published, table
from cnnsearch.space.search_space import SearchSpace, shipped

README = Path(__file__).parents[1] / "README.md"


def rows(header: tuple[str, ...], body: list[tuple[str, ...]]) -> str:
    """Returns a Markdown table."""
    lines = [header, ("---",) * len(header), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def spaces() -> str:
    """Returns the table of the spaces that ship."""
    loaded = [SearchSpace.load(name) for name in shipped()]
    body = [(f"`{s.name}`", f"{s.size:,}", s.description) for s in loaded]
    return rows(("space", "discrete points", "what it holds"), body)


def tiny() -> str:
    """Returns the smallest space's file."""
    return f"```yaml\n{shipped()['tiny'].read_text('utf-8').rstrip()}\n```"


def networks() -> str:
    """Returns the table of published networks."""
    exact = sum(network.exact for network in published())
    return f"{exact} of {len(published())} are exact.\n\n{rows(HEADER, table())}"


PARTS = {"spaces": spaces, "tiny": tiny, "published": networks}


def refreshed(text: str) -> str:
    """Returns ``text`` with every generated part made anew."""
    for name, make in PARTS.items():
        before, rest = text.split(f"<!-- {name} -->")
        after = rest.split(f"<!-- /{name} -->")[1]
        text = f"{before}<!-- {name} -->\n\n{make()}\n\n<!-- /{name} -->{after}"
    return text


def main() -> None:
    """Writes README.md, or with ``--check`` ends with 1 where it is not up to date."""
    text = README.read_text("utf-8")
    new = refreshed(text)
    if "--check" in sys.argv:
        sys.exit(0 if new == text else "README.md: generated parts are old; run docs/refresh.py")
    README.write_text(new, "utf-8")


if __name__ == "__main__":
    main()
