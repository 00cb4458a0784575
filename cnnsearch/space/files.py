"""Locations of space files: shipped ones by name, others by path."""

from pathlib import Path

from cnnsearch.errors import SpaceError, suggest

ENDINGS = (".yaml", ".yml", ".json")
FILE_HINT = "a file needs its ending, such as .yaml"


def is_file_name(name: str) -> bool:
    """Whether ``name`` is that of a file, rather than of a space or network that ships."""
    return name.endswith(ENDINGS) or "/" in name


def list_folders() -> list[Path]:
    """Returns the folders of shipped spaces: inside the installed package, or in the checkout."""
    here = Path(__file__).resolve().parents[1]
    return [f for f in (here / "search_spaces", here.parent / "search_spaces") if f.is_dir()]


def list_spaces() -> dict[str, Path]:
    """Returns the shipped spaces by name, without the published networks."""
    files = [file for folder in list_folders()[:1] for file in folder.glob("*.yaml")]
    return {file.stem: file for file in sorted(files)}


def list_published_files() -> dict[str, Path]:
    """Returns the files of the published networks, by name."""
    files = [file for folder in list_folders()[:1] for file in folder.glob("published/*/*.yaml")]
    return {file.stem: file for file in sorted(files)}


def find_space(space: str) -> Path:
    """Returns the file of a space given by name or by path.

    Raises:
        SpaceError: there is none; suggests similar names.
    """
    if is_file_name(space):
        if not Path(space).is_file():
            raise SpaceError(f"{space}: there is no such space file")
        return Path(space)
    if space in (named := {**list_published_files(), **list_spaces()}):
        return named[space]
    hint = suggest(space, named) or f" (there are {', '.join(list_spaces())}; {FILE_HINT})"
    raise SpaceError(f"there is no space named {space!r}{hint}")
