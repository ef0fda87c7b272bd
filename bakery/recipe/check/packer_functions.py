"""Expressions of ``packer.json`` that Packer refuses: unknown functions, those of other places, and wrong syntax.

Sources: packer-plugin-sdk ``template/interpolate/funcs.go``, ``packer/core.go`` (what variables may call), the
googlecompute plugin's ``template_funcs.go``, and the functions and keywords of Go's ``text/template``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from bakery.recipe import expressions
from bakery.recipe.check.plugin_options import provisioners
from bakery.recipe.parse import Document, Where, quoted
from bakery.recipe.parse.document import strings, texts
from bakery.recipe.plugins import BUILDERS, PROVISIONERS
from bakery.recipe.templating import GOOGLE_BUILDER

_GO = """
and block break call continue define else end eq false ge gt html if index js le len lt ne nil not or print printf
println range slice template true urlquery with
"""
_EVERYWHERE = """
isotime lower packer_version pwd replace replace_all split strftime template_dir timestamp upper user uuid
"""
_OF_VARIABLES = frozenset({"aws_secretsmanager", "aws_secretsmanager_raw", "consul_key", "env", "vault"})
_OF_MACHINES = frozenset({"build"})  # only known when there is a machine
_OF_BAKES = frozenset({"build_name", "build_type"}) | _OF_MACHINES
_KNOWN = frozenset(f"{_GO} {_EVERYWHERE}".split())
_NAMES = frozenset({"clean_resource_name"})  # of the googlecompute builder
_COMMENT = "{{/*"
# What Packer reads before a plugin does; it fills in nothing but variables there.
_OF_CORE = frozenset({"except", "max_retries", "name", "only", "pause_before", "timeout", "type"})


def check(template: Document) -> None:
    """Check the variables, and the options of builders and provisioners that are known."""
    for name, text in template.group("variables").items():
        if isinstance(text, str):
            _text(template, text, _KNOWN | _OF_VARIABLES, ("variables", name))
    for where, options, known in _entries(template):
        for place, text in strings(options) if any("{{" in text for text in texts(options)) else ():
            if place[0] not in _OF_CORE:
                _text(template, text, known, (*where, *place))


def _entries(template: Document) -> Iterator[tuple[Where, Mapping[str, Any], frozenset[str]]]:
    """Yield what plugins fill in, and the functions that each of them has."""
    for index, options in template.entries("builders", "builders"):
        if (kind := str(options.get("type"))) in BUILDERS:
            own = _NAMES if kind == GOOGLE_BUILDER else frozenset()
            yield ("builders", index), options, (_KNOWN | _OF_BAKES | own) - _OF_MACHINES
    for where, entry in provisioners(template):
        if str(entry.get("type")) in PROVISIONERS:
            yield where, entry, _KNOWN | _OF_BAKES


def _text(template: Document, text: str, known: frozenset[str], where: Where) -> None:
    if "{{" not in text or _COMMENT in text:
        return
    bodies, rest = expressions.bodies(text)
    if "{{" in rest:
        hint = "close it with }}, and write a name in ` `; Packer reads {{ everywhere: two braces are {{`{{`}}"
        template.error(f"{quoted(text, 40)} has an expression that does not end", hint, *where)
    for body in bodies:
        if not body.strip():
            template.error("{{}} is an empty expression", "remove it: Packer refuses it", *where)
        for name in expressions.function_names(body):
            if name in known:
                continue
            message = f"{{{{{body}}}}} calls {name}, "
            if name in _OF_VARIABLES:
                hint = "declare a variable with this value, and write {{user `...`}} here"
                template.error(f"{message}which only variables may call", hint, *where)
            elif name in _OF_BAKES | _NAMES:
                hint = "write it where it is used" if where[0] == "variables" else "write what it stands for"
                template.error(f"{message}which is not known here", hint, *where)
            else:
                near = get_close_matches(name, known.difference(_GO.split()), 1)
                hint = f"write {near[0]}" if near else "Packer's functions are in its documentation of templates"
                template.error(f"{message}which Packer does not have", hint, *where)
