"""Makes a repository for images of one's own: a Pulumi project that uses the installed bakery."""

import os.path
import re
import shutil
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from bakery import paths
from bakery.errors import InputError, Problem
from bakery.host.files import write_atomic
from bakery.host.revision import repository
from bakery.settings.files import PROJECT_FILE
from bakery.version import __version__

TEMPLATE = Path(__file__).parent / "repository"
SUFFIX = ".tmpl"  # so that no tool takes the template's files for the bakery's own
KEPT = frozenset({"README.md", ".gitignore", "bakery.yaml"})  # what a repository may have already
WORKFLOWS = ".github/workflows"  # of which GitHub reads those at the top of a repository
PIPELINE = ".gitlab-ci.yml"  # which GitLab reads at the top, or where that one includes it
GIVEN = {"@DESCRIPTION@": "The VM images of our Slurm clusters", "@RUNTIME@": "python"}
# What `pulumi new` replaces by the name and the description. In YAML it replaces whole values only, so settings have no
# prefix: the engine gives them that of the project. It installs the requirements where the runtime's options say.
ASKED = {
    **{"@DESCRIPTION@": "${DESCRIPTION}", "@NAMESPACE@": ""},
    "@RUNTIME@": "{name: python, options: {virtualenv: .venv}}",
}
NAMED = (PROJECT_FILE, "README.md")  # which have the project's name; in the others it names jobs
QUESTIONS = """\
template:
  description: VM images of Slurm clusters, baked, tested and promoted by the Image Bakery
  config:
    oven:
      description: Where images are baked and tested, local (this computer) or cloud-build (Google Cloud)
      default: local
    shipped:
      description: The packages of the installed bakery that the stack has besides its own, as a JSON list
      default: '["rcc-debian"]'
"""
_PLACE = re.compile(r"@[A-Z]+@")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_PATH = re.compile(r"[\w ./,@&()%=~-]+")  # what means nothing to a shell, in YAML or in a glob of CI


class ProjectFolder(NamedTuple):
    """Where a project is: its path in the git repository, "." at the top."""

    path: str

    def target(self, file: str, name: str) -> str:
        """Return the path of a file from the project's folder; in a subfolder the workflow has the project's name."""
        if self.path == "." or not file.startswith(WORKFLOWS):
            return file
        file = file.replace("images", f"images-{name}")
        return os.path.relpath(file, self.path)

    def values(self, name: str) -> dict[str, str]:
        """Return what workflows say of the place: CI has nothing to do if other folders change."""
        if self.path == ".":
            return {"@FOLDER@": ".", "@PREFIX@": "", "@PATHS@": "", "@CHANGES@": ""}
        paths = [f"{self.path}/**", f"{WORKFLOWS}/images-{name}.yaml", f"{WORKFLOWS}/bakery.yaml"]
        return {
            "@FOLDER@": self.path,
            "@PREFIX@": f"{self.path}/",
            "@PATHS@": "".join(["\n    paths:", *(f"\n    - '{path}'" for path in paths)]),
            "@CHANGES@": f"\n    changes: ['{self.path}/**/*']",
        }


def place(folder: Path) -> ProjectFolder:
    """Return where a folder is in its git repository; it need not exist."""
    return ProjectFolder(folder.relative_to(repository(folder) or folder).as_posix())


def init(folder: Path, name: str = "", *, template: bool = False) -> tuple[str, ...]:
    """Write a new project into ``folder`` and return the paths of its files, relative to it, sorted.

    ``name`` is the Pulumi project's, by default made from the folder's. In a folder of a git repository, workflows of
    GitHub are at its top. With ``template`` it is a template of ``pulumi new``, which asks for the project's name; that
    of CI's jobs is ``name``, by default "images". Nothing is overwritten: README.md, .gitignore and the reusable
    workflow are kept. Raises InputError with every other file that exists, and for an invalid name.
    """
    name = name or ("images" if template else "") or re.sub(r"[^a-z0-9-]+", "-", folder.name.lower()).strip("-")
    lock = paths.shipped() / "bakery.lock"  # with it the shipped images are those that were tested
    inside = ProjectFolder(".") if template else place(folder)
    values = {"@NAME@": name, "@VERSION@": __version__, "@ENGINE@": metadata.version("pulumi"), **inside.values(name)}
    values |= ASKED if template else GIVEN | {"@NAMESPACE@": f"{name}:"}
    files = {inside.target(_target(file), name): file for file in sorted(TEMPLATE.rglob(f"*{SUFFIX}"))}
    targets = {path: Path(os.path.normpath(folder / path)) for path in (*files, lock.name)}  # the folder may be new
    files = {path: file for path, file in files.items() if targets[path].name not in KEPT or not targets[path].exists()}
    taken = [path for path in (*files, lock.name) if targets[path].exists()]
    hint = "choose an empty folder, or move the file"
    problems = [Problem(str(folder / path), 1, "exists already", hint) for path in taken]
    if not _NAME.fullmatch(name):
        hint = "write --name with lower-case letters, digits and -, a letter first"
        problems.append(Problem("command line", 1, f"the project's name is {name!r}", hint))
    if not _PATH.fullmatch(inside.path):
        text = f"CI cannot use the path {inside.path!r} of the folder in its repository"
        problems.append(Problem(str(folder), 1, text, "name it with letters, digits, blanks, ., - and _"))
    if problems:
        raise InputError(problems)
    for path, file in files.items():
        own = {"@NAME@": "${PROJECT}"} if template and path in NAMED else {}
        text = _filled(file, values | own) + (QUESTIONS if template and path == PROJECT_FILE else "")
        targets[path].parent.mkdir(parents=True, exist_ok=True)
        write_atomic(targets[path], text.encode(), mode=0o777 if path.endswith(".sh") else 0o666)
    shutil.copyfile(lock, targets[lock.name])
    return tuple(sorted((*files, lock.name)))


def _filled(file: Path, values: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda match: values[match[0]], file.read_text(encoding="utf-8"))


def _target(file: Path) -> str:
    """Return the path in the repository of a file of the template, where ``dot_`` stands for a leading dot."""
    return file.relative_to(TEMPLATE).as_posix().removesuffix(SUFFIX).replace("dot_", ".")
