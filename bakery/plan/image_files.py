"""Which files reach an image, and which ones its tests use.

A file reaches the image when a provisioner or the builder hands it, or a folder that holds it, to the machine. Only
these are staged for a bake, so a recipe that takes anything else along fails instead of baking an image that its
digest does not describe.
"""

import posixpath
from collections.abc import Iterable, Iterator, Mapping

from bakery.plan.template import builder, disk_options
from bakery.recipe.expressions import Function, fill
from bakery.recipe.model import Json, Recipe, SourceFile, Suite
from bakery.recipe.parse.document import texts
from bakery.recipe.provisioners import BUILDER_FILES, after, takes_package, template_functions
from bakery.recipe.shell import shell_words
from bakery.recipe.templating import NOT_FOLLOWED, in_workspace

# Values of a provisioner that are not files of the workspace: commands, settings, paths on the machine.
NO_FILES = frozenset({"type", "inline", "environment_vars", "execute_command", "destination", "remote_folder", "only"})
DOWNLOAD = "download"
PATHS = ("script", "scripts", "source", "sources")
SCRIPTS = ("script", "scripts")


def image_files(recipe: Recipe, variables: Mapping[str, str], more: Iterable[str] = ()) -> tuple[SourceFile, ...]:
    """Return the files that reach the image, sorted by path; ``variables`` are Packer's, filled in.

    ``more`` are paths of files that the command line names.
    """
    named = _named(recipe.template, variables, recipe.workspace_path, recipe.common_path)
    found = {file.path: file for file in (*recipe.files, *recipe.other_files)} if None in named else {}
    paths = [path for path in named if path is not None]
    return _below(recipe, (*paths, *more), found)


def _not_followed(template: Json, variables: Mapping[str, str]) -> bool:
    """Whether what reaches the image has an expression of HCL2 that only Packer can evaluate: it may read any file."""
    parts = texts([template.get("provisioners"), disk_options(template)]) if "hcl2" in template else ()
    return any(NOT_FOLLOWED in fill(text, variables) for text in parts)


def _below(recipe: Recipe, paths: Iterable[str], found: dict[str, SourceFile]) -> tuple[SourceFile, ...]:
    """``found`` and the files of these workspace paths, folders with all that is below them, sorted by path."""
    found |= {file.path: file for file in _at(paths, (*recipe.files, *recipe.common, *recipe.other_files))}
    return tuple([found[path] for path in sorted(found)])


def _at(paths: Iterable[str], files: Iterable[SourceFile]) -> list[SourceFile]:
    """Return those of the files that are one of the workspace paths or below it."""
    wanted = {posixpath.normpath(path) for path in paths}
    folders = tuple(path + "/" for path in wanted)
    return [file for file in files if file.path in wanted or file.path.startswith(folders)]


def _named(template: Json, variables: Mapping[str, str], folder: str, common: str = "") -> set[str | None]:
    """Every text of the template that may be a path; None stands for the whole package, staged at ``folder``.

    ``common`` is where the shared files are staged, if that is known.
    """
    found: set[str | None] = set()
    functions = template_functions(folder)
    common = common or posixpath.normpath(variables.get("common_path") or "common")
    for entry in template.get("provisioners") or []:
        if not isinstance(entry, Mapping) or entry.get("direction") == DOWNLOAD:
            continue
        taken = {key: value for key, value in entry.items() if key not in NO_FILES}
        paths = list(_paths(taken, variables, functions))
        found.update(paths)
        unknown = any("{{" in path for path in paths) and any(
            "{{" in path for path in _paths([entry.get(key) for key in PATHS], variables, functions)
        )
        if takes_package(entry) or unknown:
            found.add(None)
            named = (fill(text, variables, functions) for text in texts(entry))
            if unknown or any(f"{common}/" in text for text in named):
                found.add(common)
    options = builder(template)
    scripts = [entry.get(key) for entry in after(template) for key in SCRIPTS]
    found.update(_paths([*(options.get(key) for key in BUILDER_FILES), *scripts], variables, functions))
    found.update(template.get("hcl2", {}).get("files", ()))
    if _not_followed(template, variables):
        found.add(None)
    return found


def _paths(value: Json, variables: Mapping[str, str], functions: Mapping[str, Function]) -> Iterator[str]:
    for text in texts(value):
        path = fill(text, variables, functions)
        if path and "\n" not in path and not path.startswith("/"):
            yield path


def folders(template: Json, variables: Mapping[str, str], files: Iterable[SourceFile], folder: str) -> tuple[str, ...]:
    """Return the workspace paths of the folders that the template uploads whole; ``files`` are those of the image."""
    named = {posixpath.normpath(path) for path in _named(template, variables, folder) if path is not None}
    paths = [file.path for file in files]
    return tuple(sorted(path for path in named if any(one.startswith(path + "/") for one in paths)))


def handed_over(
    provisioners: Iterable[Json], variables: Mapping[str, str], folder: str, files: Iterable[SourceFile]
) -> tuple[SourceFile, ...]:
    """Return those of an image's ``files`` that these provisioners hand over; ``folder`` is that of the template."""
    named = _named({"provisioners": [*provisioners]}, variables, folder)
    return tuple(files if None in named else _at([path for path in named if path is not None], files))


def uses_whole_package(template: Json, variables: Mapping[str, str], folder: str) -> bool:
    """Whether any file of the package may reach the image, as a provisioner runs on the machine that bakes."""
    return None in _named(template, variables, folder)


def test_files(recipe: Recipe, suite: Suite) -> tuple[SourceFile, ...]:
    """The files that the jobs use, sorted: the recipe's ``test/`` and whatever a job's command names."""
    words = {word for job in suite.jobs for word in shell_words(job.execution_command)}
    paths = {in_workspace(word) for word in words if "/" in word}
    return _below(recipe, {f"{recipe.workspace_path}/test", *paths}, {})
