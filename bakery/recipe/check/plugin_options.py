"""Options of builders and provisioners that their plugins do not know, and what Packer's own provisioners need.

Source: ``Prepare`` in ``provisioner/shell`` and ``provisioner/file`` of Packer 1.6 to 1.16, and in ``shell-local`` of
packer-plugin-sdk. The table of tests drives the real Packer with each rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from bakery.errors import errors_among
from bakery.recipe.parse import Document, Where, listed, quoted
from bakery.recipe.plugins import BUILDERS, OTHER_PROVISIONERS, PROVISIONERS, Plugin
from bakery.recipe.templating import NOT_FOLLOWED

_RUNS = {"shell": ("inline", "script", "scripts"), "shell-local": ("command", "inline", "script", "scripts")}
_SOURCES = ("source", "sources", "content")
_DIRECTIONS = ("upload", "download")


def check(template: Document) -> None:
    """Check the builders that are baked, and the provisioners of Packer itself: other plugins are not known here."""
    for index, options in template.entries("builders", "builders"):
        kind = str(options.get("type"))
        if plugin := BUILDERS.get(kind):
            _options(template, kind, options, plugin, ("builders", index))
    # Of an HCL2 template with errors, options may be missing whose values these are about.
    known = "hcl2" not in template.value or not errors_among(template.findings.problems)
    for where, entry in provisioners(template):
        kind = str(entry.get("type"))
        if plugin := PROVISIONERS.get(kind):
            _options(template, kind, entry, plugin, where)
            for name, own in _overrides(entry):
                _options(template, kind, own, plugin, (*where, "override", name))
            if known:
                _needs(template, kind, entry, where)
        elif kind not in OTHER_PROVISIONERS and "type" in entry and "hcl2" not in template.value:
            _unknown(template, kind, where)


def _unknown(template: Document, kind: str, where: Where) -> None:
    """Report a type of provisioners that is not known. HCL2 may name its plugin, which JSON can't."""
    names = {*PROVISIONERS, *OTHER_PROVISIONERS}
    if kind.lower() in names:
        template.error(f"Packer has no provisioner {quoted(kind)}", f"write {kind.lower()}", *where, "type")
        return
    near = get_close_matches(kind, names, 1)
    hint = f"write {near[0]}" if near else "use an image with its plugin for the step that runs Packer"
    template.warn(f"Packer has no provisioner {quoted(kind)} of its own", hint, *where, "type")


def provisioners(template: Document) -> Iterator[tuple[Where, Mapping[str, Any]]]:
    """Yield the provisioners of a template with their places, and the one for errors."""
    for index, entry in template.entries("provisioners", "provisioners"):
        yield ("provisioners", index), entry
    cleanup = template.value.get("error-cleanup-provisioner")
    if isinstance(cleanup, dict):
        yield ("error-cleanup-provisioner",), cleanup


def post_processors(template: Document) -> Iterator[tuple[Where, Any]]:
    """Yield the entries of ``post-processors`` and of the sequences in it, of any type, with their places."""
    for index, chain in enumerate(listed(template.value.get("post-processors"))):
        if isinstance(chain, list):
            for number, entry in enumerate(chain):
                yield ("post-processors", index, number), entry
        else:
            yield ("post-processors", index), chain


def _overrides(entry: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    override = entry.get("override")
    for name, own in override.items() if isinstance(override, dict) else ():
        if isinstance(own, dict):
            yield name, own


def _options(template: Document, kind: str, entry: Mapping[str, Any], plugin: Plugin, where: Where) -> None:
    """Warn about options that the plugin, or one of its blocks, does not have."""
    for name, value in entry.items():
        if block := plugin.blocks.get(name):
            for place, inner in _mappings(value, (*where, name)):
                _options(template, f"{kind} {name}", inner, block, place)
        elif name in plugin.mappings and not isinstance(value, dict) and NOT_FOLLOWED not in str(value):
            template.error(f"{name} is {quoted(value)}", "write a mapping", *where, name)
        elif name not in plugin.options and not name.startswith("_"):  # comments are errors already
            near = get_close_matches(name, {*plugin.options, *plugin.blocks}, 1)
            hint = f"write {near[0]}, or remove it" if near else "remove it, or see the reference of the plugin"
            message = f"{kind} has no option {name} {plugin.version}: Packer refuses the template"
            template.warn(message, hint, *where, name)


def _mappings(value: Any, where: Where) -> Iterator[tuple[Where, Mapping[str, Any]]]:
    """Yield the mappings of an option that is one, or a list of them."""
    if isinstance(value, dict):
        yield where, value
    for number, entry in enumerate(listed(value)):
        if isinstance(entry, dict):
            yield (*where, number), entry


def _needs(template: Document, kind: str, entry: Mapping[str, Any], where: Where) -> None:
    """Check that a provisioner has something to run or to copy, and one thing only."""
    own, given = _given([entry]), _given([entry, *(own for _, own in _overrides(entry))])
    if kind in _RUNS:
        names = [name for name in _RUNS[kind] if name in own]
        if not given.intersection(_RUNS[kind]):
            template.error(f"{kind} has nothing to run", f"add one of {', '.join(_RUNS[kind])}", *where)
        elif names[1:]:
            hint = "make a provisioner of each: Packer refuses both"
            template.error(f"{kind} has both {names[0]} and {names[1]}", hint, *where, names[1])
        for number, text in enumerate(listed(entry.get("environment_vars"))):
            if isinstance(text, str) and "{{" not in text and text.find("=") < 1:
                template.error(
                    f"{quoted(text)} is not a variable", "write NAME=value", *where, "environment_vars", number
                )
    elif kind == "file":
        _file(template, entry, given, where)


def _file(template: Document, entry: Mapping[str, Any], given: set[str], where: Where) -> None:
    if not given.intersection(_SOURCES):
        # Packer 1.6 refuses that; 1.15 writes an empty file.
        template.warn("file has nothing to copy", f"add one of {', '.join(_SOURCES)}", *where)
    if "destination" not in given:
        template.error("file has no destination", "add: destination", *where)
    direction = entry.get("direction") or _DIRECTIONS[0]
    if direction not in _DIRECTIONS and "{{" not in str(direction):
        hint = f"write {' or '.join(_DIRECTIONS)}"
        template.error(f"direction is {quoted(direction)}", hint, *where, "direction")


def _given(entries: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the names of the options that are not empty."""
    return {name for entry in entries for name, value in entry.items() if value not in ("", [], None)}
