"""Makes a repository for images of one's own: a Pulumi project that uses the installed bakery."""

import re
import shutil
from importlib import metadata
from pathlib import Path

from bakery import __version__, paths
from bakery.errors import InputError, Problem
from bakery.host.files import write_atomic

TEMPLATE = Path(__file__).parent / "repository"
SUFFIX = ".tmpl"  # so that no tool takes the template's files for the bakery's own
KEPT = frozenset({"README.md", ".gitignore"})  # what a new repository has already
_PLACE = re.compile(r"@[A-Z]+@")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")


def init(folder: Path, name: str = "") -> tuple[str, ...]:
    """Write a new repository into ``folder`` and return the paths of its files, relative to it, sorted.

    ``name`` is the Pulumi project's, by default made from the folder's. Nothing is overwritten: README.md and
    .gitignore are kept. Raises InputError with every other file that exists, and for an invalid name.
    """
    name = name or re.sub(r"[^a-z0-9-]+", "-", folder.name.lower()).strip("-")
    lock = paths.shipped() / "bakery.lock"  # with it the shipped images are those that were tested
    files = {_target(file): file for file in sorted(TEMPLATE.rglob(f"*{SUFFIX}"))}
    files = {path: file for path, file in files.items() if path not in KEPT or not (folder / path).exists()}
    taken = [path for path in (*files, lock.name) if (folder / path).exists()]
    hint = "choose an empty folder, or move the file"
    problems = [Problem(str(folder / path), 1, "exists already", hint) for path in taken]
    if not _NAME.fullmatch(name):
        hint = "write --name with lower-case letters, digits and -, a letter first"
        problems.append(Problem("command line", 1, f"the project's name is {name!r}", hint))
    if problems:
        raise InputError(problems)
    values = {"@NAME@": name, "@VERSION@": __version__, "@ENGINE@": metadata.version("pulumi")}
    for path, file in files.items():
        text = _PLACE.sub(lambda match: values[match[0]], file.read_text(encoding="utf-8"))
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / path, text.encode(), mode=0o777 if path.endswith(".sh") else 0o666)
    shutil.copyfile(lock, folder / lock.name)
    return tuple(sorted((*files, lock.name)))


def _target(file: Path) -> str:
    """Return the path in the repository of a file of the template, where ``dot_`` stands for a leading dot."""
    return file.relative_to(TEMPLATE).as_posix().removesuffix(SUFFIX).replace("dot_", ".")
