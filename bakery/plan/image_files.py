"""Which files reach an image, and which ones its tests use.

A file reaches the image when a provisioner or the builder hands it, or a folder that holds it, to the machine. Only
these are staged for a bake, so a recipe that takes anything else along fails instead of baking an image that its
digest does not describe.
"""

import posixpath
from collections.abc import Iterable, Iterator, Mapping

from bakery.plan.template import builder, disk_options
from bakery.recipe.model import Json, Recipe, SourceFile, Suite
from bakery.recipe.parse.document import strings
from bakery.recipe.templating import NOT_FOLLOWED, fill, in_workspace, shell_words

# What a provisioner says that is no file of the workspace: commands, settings, paths on the machine.
NO_FILES = frozenset({"type", "inline", "environment_vars", "execute_command", "destination", "remote_folder", "only"})
# These run on the machine that bakes and may read any file of the recipe.
RUNS_HERE = frozenset({"shell-local"})
DOWNLOAD = "download"
FILE_OPTIONS = ("startup_script_file", "metadata_files")


def image_files(recipe: Recipe, variables: Mapping[str, str]) -> tuple[SourceFile, ...]:
    """Return the files that reach the image, sorted by path; ``variables`` are Packer's, filled in."""
    named = _named(recipe.template, variables)
    found = {file.path: file for file in recipe.files} if None in named else {}
    return _below(recipe, (path for path in named if path is not None), found)


def _not_followed(template: Json, variables: Mapping[str, str]) -> bool:
    """Whether what reaches the image has an expression of HCL2 that only Packer can evaluate: it may read any file."""
    parts = strings([template.get("provisioners"), disk_options(template)]) if "hcl2" in template else ()
    return any(NOT_FOLLOWED in fill(text, variables) for _, text in parts)


def _below(recipe: Recipe, paths: Iterable[str], found: dict[str, SourceFile]) -> tuple[SourceFile, ...]:
    """``found`` and the files of these workspace paths, folders with all that is below them, sorted by path."""
    wanted = {posixpath.normpath(path) for path in paths}
    folders = tuple(path + "/" for path in wanted)
    for file in (*recipe.files, *recipe.common):
        if file.path in wanted or file.path.startswith(folders):
            found[file.path] = file
    return tuple([found[path] for path in sorted(found)])


def _named(template: Json, variables: Mapping[str, str]) -> set[str | None]:
    """Every text of the template that may be a path; None stands for the whole package."""
    found: set[str | None] = set()
    for entry in template.get("provisioners") or []:
        if not isinstance(entry, Mapping) or entry.get("direction") == DOWNLOAD:
            continue
        if entry.get("type") in RUNS_HERE:
            found.add(None)
        taken = {key: value for key, value in entry.items() if key not in NO_FILES}
        found.update(_paths(taken, variables))
    options = builder(template)
    found.update(_paths([options.get(key) for key in FILE_OPTIONS], variables))
    found.update(template.get("hcl2", {}).get("files", ()))
    if _not_followed(template, variables):
        found.add(None)
    return found


def _paths(value: Json, variables: Mapping[str, str]) -> Iterator[str]:
    for _, text in strings(value):
        path = fill(text, variables)
        if path and "\n" not in path and not path.startswith("/"):
            yield path


def folders(template: Json, variables: Mapping[str, str], files: Iterable[SourceFile]) -> tuple[str, ...]:
    """Return the workspace paths of the folders that the template uploads whole; ``files`` are those of the image."""
    named = {posixpath.normpath(path) for path in _named(template, variables) if path is not None}
    paths = [file.path for file in files]
    return tuple(sorted(path for path in named if any(one.startswith(path + "/") for one in paths)))


def uses_whole_package(template: Json, variables: Mapping[str, str]) -> bool:
    """Whether any file of the package may reach the image, as a provisioner runs on the machine that bakes."""
    return None in _named(template, variables)


def test_files(recipe: Recipe, suite: Suite) -> tuple[SourceFile, ...]:
    """The files that the jobs use, sorted: the recipe's ``test/`` and whatever a job's command names."""
    words = {word for job in suite.jobs for word in shell_words(job.execution_command)}
    paths = {in_workspace(word) for word in words if "/" in word}
    return _below(recipe, {f"{recipe.workspace_path}/test", *paths}, {})
