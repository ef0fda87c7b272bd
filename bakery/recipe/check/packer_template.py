"""``packer.json``: its shape, its variables, and the files it hands to the machine.

Source: Packer's reference of JSON templates (root keys, user variables), of the ``file``, ``shell`` and ``ansible``
provisioners, and of the googlecompute builder.
"""

import posixpath
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from bakery.recipe.check import packer_functions, packer_types
from bakery.recipe.check.packer_keys import ROOT
from bakery.recipe.check.plugin_options import post_processors
from bakery.recipe.expressions import ALL, fill, references
from bakery.recipe.parse import Document, Findings, Where, json, listed, quoted
from bakery.recipe.provisioners import BUILDER_FILES, is_generated, takes_package, template_functions
from bakery.recipe.templating import BAKED, GOOGLE_BUILDER, builder_name

# Options whose values are files of the workspace, for all provisioners alike; `direction: download` is the other way.
_FILES = ("script", "source", "playbook_file", "requirements_file", "galaxy_file", "manifest_file", "playbook_dir")
_LISTS = ("scripts", "sources", "playbook_files", "playbook_paths", "role_paths")
_PARTS: tuple[tuple[str, Any], ...] = (("variables", {}), ("builders", []), ("provisioners", []))
_CHOICES = ("only", "except")
_ADD = 'add one of the type "googlecompute"'


def check(template: Document, given: Collection[str] = ()) -> None:
    """Check the template alone: its shape and its variables; ``given`` are those that the build passes."""
    for key, value in template.value.items():
        if key.startswith("_"):
            if not isinstance(value, str):
                template.error(f"comment {key} is {quoted(value)}", "write a string: Packer refuses others", key)
        elif key not in ROOT:
            template.error(f"unknown key {key}", "remove it; a comment's key begins with _", key)
    builders = template.entries("builders", "builders")
    if not builders:
        template.error("has no builder", _ADD, "builders")
    elif not set(BAKED).intersection(types := [str(entry.get("type")) for _, entry in builders]):
        template.error(f"has no googlecompute or qemu builder, only {', '.join(types)}", _ADD, "builders")
    for key, entries in (("builders", builders), ("provisioners", template.entries("provisioners", "provisioners"))):
        for index, entry in entries:
            _entry(template, entry, f"{key} {index + 1}", (key, index))
    _builder_names(template, builders)
    _variables(template, given)
    packer_types.check(template)
    packer_functions.check(template)


def _entry(template: Document, entry: Mapping[str, Any], title: str, where: Where) -> None:
    if not isinstance(entry.get("type"), str):
        template.error(f"{title} has no type", "write its type", *where)
    for key in entry:
        if key.startswith("_"):
            hint = "move the comment to the top of the file, below a key that begins with _"
            template.error(f"{title} has the unknown key {key}", hint, *where, key)


def _builder_names(template: Document, builders: list[tuple[int, dict[str, Any]]]) -> None:
    """Check that builders have different names, and that only names of builders are named elsewhere."""
    names: dict[str, int] = {}
    for index, entry in builders:
        name = builder_name(entry)
        if names.setdefault(name, index) != index:
            template.error(f"duplicate builder {name}", "give each builder a name of its own", "builders", index)
    for where, entry in _choosers(template):
        if entry.get("only") and entry.get("except"):
            template.error("has both only and except", "keep one of them: Packer refuses both", *where, "except")
        for key in (*_CHOICES, "override"):
            for name in entry.get(key) or () if isinstance(entry.get(key), (list, dict)) else ():
                if name not in names:
                    hint = f"use one of: {', '.join(names)}"
                    template.error(f"{key} names the builder {quoted(name)}, which does not exist", hint, *where, key)


def _choosers(template: Document) -> Iterator[tuple[Where, dict[str, Any]]]:
    """Yield what may be for some builders only, with its place."""
    for index, entry in template.entries("provisioners", "provisioners"):
        yield ("provisioners", index), entry
    for where, entry in post_processors(template):
        if isinstance(entry, dict):
            if not isinstance(entry.get("type"), str):
                template.error("a post-processor has no type", "write its type", *where)
            yield where, entry
        elif not isinstance(entry, str):
            template.error(f"a post-processor is {quoted(entry)}", "write its type, or a mapping", *where)


def _variables(template: Document, given: Collection[str]) -> None:
    declared = template.group("variables")
    for name, value in declared.items():
        if value is not None and not isinstance(value, str):
            template.error(f"variable {name} is {quoted(value)}", "write a string", "variables", name)
    used = {name for text in template.texts if "{{" in text for name in references(text)}
    known = {*declared, *given, ALL}
    for where, text in template.strings if not used <= known else ():
        for name in sorted(references(text)):
            if name not in known and not _is_of_other_builder(template, where):
                known.add(name)  # report it once
                hint = f'declare it below variables: "{name}": ""'
                template.error(f"{{{{user `{name}`}}}} is an undeclared variable", hint, *where)
    for name in declared:
        if name not in used and ALL not in used:
            template.warn(f"variable {name} is not used", "remove it, or use it", "variables", name)


def _is_of_other_builder(template: Document, where: Where) -> bool:
    """Whether a place is in a builder that is not baked, since there is a googlecompute one."""
    if where[0] != "builders":
        return False
    types: dict[str | int, Any] = {index: one.get("type") for index, one in template.entries("builders", "builders")}
    return GOOGLE_BUILDER in types.values() and types.get(where[1]) != GOOGLE_BUILDER


def variable_file(content: bytes, findings: Findings) -> dict[str, str] | None:
    """Return the values of a file for ``-var-file``, or None with an error."""
    document = json.parse_json(content, findings)
    if document is None or not isinstance(document.value, dict):
        if document is not None:
            document.error(f"is {quoted(document.value)}", "write a mapping of variables")
        return None
    for name, value in document.value.items():
        if value is not None and not isinstance(value, str):
            document.error(f"variable {name} is {quoted(value)}", "write a string: Packer refuses others", name)
    return {name: value if isinstance(value, str) else "" for name, value in document.value.items()}


def check_required(template: Document, given: Mapping[str, str]) -> bool:
    """Whether every variable without a default (null) is set."""
    missing = [name for name, value in template.group("variables").items() if value is None and name not in given]
    file = ", or set it in a file *.auto.pkrvars.hcl" if "hcl2" in template.value else ""
    for name in missing:
        hint = f"give it a default, or pass it with -var in cloudbuild.yaml{file}"
        template.error(f"variable {name} has no value", hint, "variables", name)
    return not missing


def named(template: Document) -> list[tuple[Where, Any]]:
    """Return every file that the template names for its googlecompute builder, as written, with its place."""
    return template.once(_named_files)


def _named_files(template: Document) -> list[tuple[Where, Any]]:
    return list(_each_named_file(template))


def _each_named_file(template: Document) -> Iterator[tuple[Where, Any]]:
    builders = template.entries("builders", "builders")
    google = [(index, entry) for index, entry in builders if entry.get("type") == GOOGLE_BUILDER]
    names = {builder_name(entry) for _, entry in google or builders}
    for index, entry in template.entries("provisioners", "provisioners"):
        if entry.get("direction") == "download" or is_generated(entry) or _skipped(entry, names):
            continue
        override = entry.get("override")
        own = {key: value for key, value in override.items() if key in names} if isinstance(override, dict) else {}
        overrides = [value for value in own.values() if isinstance(value, dict)]
        replaced = {key for value in overrides for key in value} if len(names) == 1 else set()
        yield from _named(("provisioners", index), {key: value for key, value in entry.items() if key not in replaced})
        for name, value in own.items():
            yield from _named(("provisioners", index, "override", name), value if isinstance(value, dict) else {})
    cleanup = template.value.get("error-cleanup-provisioner")
    yield from _named(("error-cleanup-provisioner",), cleanup if isinstance(cleanup, dict) else {})
    for where, entry in _choosers(template):
        if where[0] == "post-processors" and not _skipped(entry, names):
            yield from _named(where, {key: value for key, value in entry.items() if key in ("script", "scripts")})
    for index, entry in google or builders:
        for key in BUILDER_FILES:
            value = entry.get(key, {})
            if isinstance(value, (dict, list)):
                paths = value.items() if isinstance(value, dict) else enumerate(value)
                yield from ((("builders", index, key, name), path) for name, path in paths)
            else:
                yield ("builders", index, key), value


def seen_at(template: Document, variables: Mapping[str, str], folders: Sequence[str], paths: Collection[str]) -> str:
    """Return the first of ``folders`` that a named path begins with, if the file is there; else the first one.

    Paths start at the checkout, wherever that begins; ``folders`` are names of one folder, ``paths`` its files.
    """
    named_texts = [fill(text, variables) for _, text in named(template) if isinstance(text, str)]
    named_paths = [posixpath.normpath(text) for text in named_texts if text]
    for folder in folders:
        below = [text.removeprefix(f"{folder}/") for text in named_paths if text.startswith(f"{folder}/")]
        if any(path in paths or any(one.startswith(f"{path}/") for one in paths) for path in below):
            return folder
    return folders[0]


def _skipped(entry: Mapping[str, Any], names: Collection[str]) -> bool:
    if isinstance(entry.get("only"), list) and entry["only"]:
        return not set(names).intersection(map(str, entry["only"]))
    return isinstance(entry.get("except"), list) and set(names) <= set(map(str, entry["except"]))


def _named(where: Where, entry: Mapping[str, Any]) -> Iterator[tuple[Where, Any]]:
    for key in _FILES:
        if key in entry:
            yield (*where, key), entry[key]
    for key in _LISTS:
        found = entry.get(key)
        for number, text in enumerate(found if isinstance(found, list) else []):
            yield (*where, key, number), text


def check_files(template: Document, variables: Mapping[str, str], exists: Callable[[str], bool], folder: str) -> None:
    """Check that the named files exist in the workspace; ``exists`` takes a workspace path of a file or folder.

    The package is staged at ``folder``. Provisioners that may read any file of it are named in a warning.
    """
    filled = partial(fill, variables=variables, functions=template_functions(folder))
    for where, text in named(template):
        if isinstance(text, str):
            _check_file(template, where, filled(text), exists, folder)
        else:
            template.error(f"{where[-1]} is {quoted(text)}", "write a path", *where)
    for index, entry in template.entries("provisioners", "provisioners"):
        if takes_package(entry):
            what = f"the provisioner {quoted(entry.get('type'))} may read any file: the whole package counts"
            template.warn(what, "use shell or file where that is too much", "provisioners", index)
            break


def _check_file(template: Document, where: Where, path: str, exists: Callable[[str], bool], folder: str) -> None:
    key = next(str(part) for part in reversed(where) if isinstance(part, str))
    if "{{" in path or "$" in path:
        hint = "use pkg_path or common_path to name one file"
        what = f"{key} {quoted(path)} is only known in the bake: the whole package counts"
        template.warn(what, hint, *where)
    elif path.startswith(("/", "~", "\\")) or path[1:2] == ":":
        hint = "put the file into the package: files outside it are not in the digest"
        template.error(f"{key} {quoted(path)} is outside the package and common", hint, *where)
    elif not path or not exists(posixpath.normpath(path)):
        beside = posixpath.normpath(f"{folder}/{path}")
        hint = "add it, or fix the path; paths start at the workspace, see docs/recipe.md"
        if path and exists(beside):
            root = "${path.root}" if "hcl2" in template.value else "{{template_dir}}"
            hint = f"write {root}/{path}: paths start at the workspace, not at the template"
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
