"""Coverage-guided fuzzing with atheris (libFuzzer): it keeps the inputs that reach new code.

    pip install -e '.[fuzz]'
    python tests/fuzz/coverage_guided.py spaces -max_total_time=60
    python tests/fuzz/coverage_guided.py images -max_total_time=60

Whatever stands behind the name of the corpus is libFuzzer's: a folder of inputs, its flags.
"""

import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))
# The C libraries are not instrumented, and pydantic needs its modules as they are.
with atheris.instrument_imports(include=["cnnsearch"]):
    from cnnsearch.data.sources.decode import decode_item
    from cnnsearch.errors import CnnsearchError, to_one_line
    from cnnsearch.space.search_space import SearchSpace
    from cnnsearch.utils.safe_yaml import read_yaml

from tests.fuzz.media import FORMATS, picture
from tests.fuzz.spaces import Spaces, check


def try_space(data: bytes) -> None:
    """A space file works, or is refused in one line that names it."""
    text = data.decode("utf-8", "replace")
    try:
        read_yaml(text, "any.yaml")
        check(SearchSpace.from_text(text, "any.yaml"), 2)
    except CnnsearchError as error:
        if not str(error).isprintable() or "any" not in str(error):
            raise ValueError(repr(str(error))) from error


def try_image(data: bytes) -> None:
    """An image is decoded, or there is a reason in one line."""
    found = decode_item(lambda: data, (8, 8), 3)
    if found.pixels is None and not to_one_line(found.reason):
        raise ValueError("no reason")


def seeds(name: str, folder: Path) -> None:
    """Writes what the corpus starts from."""
    import random

    rng = random.Random(0)
    spaces = [text.encode() for text in Spaces().texts]
    starts = spaces if name == "spaces" else [picture(rng, kind) for kind in FORMATS * 3]
    for number, start in enumerate(starts):
        (folder / f"{number}").write_bytes(start)


def main() -> None:
    """Fuzzes until libFuzzer is told to stop."""
    targets: dict[str, Callable[[bytes], None]] = {"spaces": try_space, "images": try_image}
    name, *flags = sys.argv[1:]
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        seeds(name, Path(folder))
        atheris.Setup(
            [sys.argv[0], *flags, "-timeout=10", "-rss_limit_mb=3000", folder], targets[name]
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
