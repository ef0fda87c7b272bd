"""``packer.json``: its shape, its variables, and the files it hands to the machine.

Source: Packer's reference of JSON templates (root keys, user variables), of the ``file``, ``shell`` and ``ansible``
provisioners, and of the googlecompute builder.
"""

import posixpath
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from bakery.recipe.parse import Document, Where, listed, quoted
from bakery.recipe.templating import REFERENCE, fill

_KEYS = """
builders description min_packer_version post-processors provisioners variables sensitive-variables
error-cleanup-provisioner
"""
_ROOT = frozenset(_KEYS.split())
# Options whose values are files of the workspace, for all provisioners alike; `direction: download` is the other way.
_FILES = ("script", "source", "playbook_file", "requirements_file", "galaxy_file", "manifest_file", "playbook_dir")
_LISTS = ("scripts", "sources", "playbook_files", "playbook_paths", "role_paths")
_BUILDER = ("startup_script_file",)
_PARTS: tuple[tuple[str, Any], ...] = (("variables", {}), ("builders", []), ("provisioners", []))


def check(template: Document) -> None:
    """Check the template alone: its shape and its variables."""
    for key in template.value:
        if key not in _ROOT and not key.startswith("_"):
            template.error(f"unknown key {key}", "remove it; a comment's key begins with _", key)
    builders = template.entries("builders", "builders")
    if not builders:
        template.error("has no builder", 'add one of the type "googlecompute"', "builders")
    for key, entries in (("builders", builders), ("provisioners", template.entries("provisioners", "provisioners"))):
        for index, entry in entries:
            if not isinstance(entry.get("type"), str):
                template.error(f"{key} {index + 1} has no type", "write its type", key, index)
    _variables(template)


def _variables(template: Document) -> None:
    declared = template.group("variables")
    for name, value in declared.items():
        if isinstance(value, (dict, list)):
            template.error(f"variable {name} is {quoted(value)}", "write a string", "variables", name)
    used: set[str] = set()
    for where, text in template.strings:
        for name in REFERENCE.findall(text) if "{{" in text else ():
            used.add(name)
            if name not in declared:
                hint = f'declare it below variables: "{name}": ""'
                template.error(f"{{{{user `{name}`}}}} is an undeclared variable", hint, *where)
    for name in declared:
        if name not in used:
            template.warn(f"variable {name} is not used", "remove it, or use it", "variables", name)


def check_required(template: Document, given: Mapping[str, str]) -> None:
    """Variables without a default (null) that nothing sets."""
    for name, value in template.group("variables").items():
        if value is None and name not in given:
            hint = "give it a default, or pass it with -var in cloudbuild.yaml"
            template.error(f"variable {name} has no value", hint, "variables", name)


def named(template: Document) -> Iterator[tuple[Where, str]]:
    """Every file that the template names, as written, with its place."""
    for index, entry in template.entries("provisioners", "provisioners"):
        if entry.get("direction") == "download" or entry.get("generated") is True:
            continue
        for key in _FILES:
            if key in entry:
                yield ("provisioners", index, key), entry[key]
        for key in _LISTS:
            found = entry.get(key)
            for number, text in enumerate(found if isinstance(found, list) else []):
                yield ("provisioners", index, key, number), text
    for index, entry in template.entries("builders", "builders"):
        for key in _BUILDER:
            if key in entry:
                yield ("builders", index, key), entry[key]


def check_files(template: Document, variables: Mapping[str, str], exists: Callable[[str], bool]) -> None:
    """Check that the named files exist in the workspace; ``exists`` takes a workspace path of a file or folder."""
    for where, text in named(template):
        _check_file(template, where, text, variables, exists)


def _check_file(
    template: Document, where: Where, text: Any, variables: Mapping[str, str], exists: Callable[[str], bool]
) -> None:
    if not isinstance(text, str):
        template.error(f"{where[-1]} is {quoted(text)}", "write a path", *where)
        return
    path = fill(text, variables)
    key = next(str(part) for part in reversed(where) if isinstance(part, str))
    if "{{" in path or "$" in path:
        hint = "use pkg_path or common_path, so that a change of the file causes a new bake"
        template.warn(f"{key} {quoted(path)} is only known in the bake", hint, *where)
    elif path.startswith(("/", "~", "\\")) or path[1:2] == ":":
        hint = "put the file into the package: files outside it are not in the digest"
        template.error(f"{key} {quoted(path)} is outside the package and common", hint, *where)
    elif not path or not exists(posixpath.normpath(path)):
        hint = "add it, or fix the path; paths start at the workspace, see docs/recipe.md"
        template.error(f"{key} {quoted(path)} does not exist", hint, *where)


def usable(template: Document) -> bool:
    """Whether the plan can work with the template: its parts are what they should be."""
    value = template.value
    variables, builders, provisioners = (value.get(key) or default for key, default in _PARTS)
    return (
        isinstance(variables, dict)
        and not any(isinstance(entry, (dict, list)) for entry in variables.values())
        and _typed(builders)
        and _typed(provisioners)
        and bool(builders)
        and all(isinstance(entry.get("image_labels") or {}, dict) for entry in builders)
    )


def _typed(entries: Any) -> bool:
    return isinstance(entries, list) and all(
        isinstance(entry, dict) and isinstance(entry.get("type"), str) for entry in entries
    )


def environment(template: Document, provisioners: Collection[str | int] | None = None) -> set[str]:
    """Return the names of all environment variables that the provisioners with these indices set (default: all)."""
    found: set[str] = set()
    for index, entry in template.entries("provisioners", "provisioners"):
        if provisioners is not None and index not in provisioners:
            continue
        found.update(str(text).partition("=")[0].strip() for text in listed(entry.get("environment_vars")))
        env = entry.get("env")
        found.update(env if isinstance(env, dict) else ())
    return found
