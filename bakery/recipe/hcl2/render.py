"""Writes a template model as HCL2 in its JSON syntax, which Packer runs; the expressions that it has to evaluate, too.

Source: HCL JSON syntax specification: every string is a template, so ``${`` in a text is written ``$${``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from bakery.recipe.hcl2.values import SEQUENCE, fill_markers, marker
from bakery.recipe.model import Json
from bakery.recipe.parse import listed
from bakery.recipe.templating import BAKED, NOT_FOLLOWED

_ACTIONS = (
    (re.compile(r"\{\{\s*user [`\"]([^`\"]+)[`\"]\s*\}\}"), r"${var.\1}"),
    (re.compile(r"\{\{build `(\w+)`\}\}"), r"${build.\1}"),
    (re.compile(r"\{\{\s*template_dir\s*\}\}"), "${path.root}"),
    (re.compile(r"\{\{env `(\w+)`\}\}"), r'${env("\1")}'),
)
_INEXACT = re.compile(r"\b(?:any|optional)\b")  # Packer refuses such types; the defaults have been converted
_SCALARS = ("string", "number", "bool")


def is_followed(template: Json) -> bool:
    """Whether Packer has nothing to evaluate that only HCL2 has, so that the model is a JSON template."""
    parts = {key: value for key, value in template.items() if key != "hcl2"}
    return NOT_FOLLOWED not in json.dumps(parts, ensure_ascii=False)


def other_plugins(template: Json) -> dict[str, Json]:
    """Return the required plugins except those of the builders, whose versions the ovens decide."""
    plugins = template.get("hcl2", {}).get("plugins", {})
    return {
        name: plugin
        for name, plugin in plugins.items()
        if isinstance(plugin, dict) and isinstance(plugin.get("source"), str) and name not in BAKED
    }


def to_pkr_json(template: Json) -> Json:
    """Return the template as ``*.pkr.json``; the values of the variables are its defaults."""
    extras = template["hcl2"]
    made: dict[str, Any] = {"variable": _variables(template)}
    if plugins := other_plugins(template):
        made["packer"] = {"required_plugins": plugins}
    if "locals" in extras and not is_followed(template):
        made["locals"] = {name: f"${{{text}}}" for name, text in extras["locals"].items()}
        for kind, name, body in extras["data"]:
            made.setdefault("data", {}).setdefault(kind, {})[name] = body
    build: dict[str, Any] = {"name": extras["build"]} if "build" in extras else {}
    build["sources"] = []
    for builder in template["builders"]:
        kind, name = builder["type"], str(builder.get("name") or builder["type"])
        options = {key: value for key, value in builder.items() if key not in ("type", "name")}
        made.setdefault("source", {}).setdefault(kind, {})[name] = _text(options)
        build["sources"].append(f"source.{kind}.{name}")
    build["provisioner"] = [_step(entry) for entry in template.get("provisioners") or []]
    if "error-cleanup-provisioner" in template:
        build["error-cleanup-provisioner"] = _step(template["error-cleanup-provisioner"])
    for entry in template.get("post-processors") or []:
        steps = [_step(one) for one in (entry if isinstance(entry, list) else [entry])]
        build.setdefault("post-processors", []).append({"post-processor": steps})
    return made | {"build": [build]}


def _variables(template: Json) -> dict[str, Json]:
    extras, hidden = template["hcl2"], template.get("sensitive-variables") or ()
    made: dict[str, Json] = {}
    for name, text in template["variables"].items():
        kind = extras["types"].get(name, "string")
        made[name] = {} if _INEXACT.search(kind) else {"type": kind}
        if text is not None:
            null = text == "" and name in extras.get("null", ())
            made[name]["default"] = None if null else _default(text, kind)
        if name in hidden:
            made[name]["sensitive"] = True
    return made


def _default(text: str, kind: str) -> Json:
    code = kind not in (*_SCALARS, "any") or (kind == "any" and text.startswith(("[", "{")))
    if not code or text.startswith("{{"):
        return _text(text)
    try:
        return json.loads(text)
    except ValueError:
        return f"${{{text}}}"  # -var takes an expression for such a type


def _step(entry: Mapping[str, Json]) -> Json:
    return {entry["type"]: _text({key: value for key, value in entry.items() if key != "type"})}


def _text(value: Json) -> Json:
    if isinstance(value, dict):
        return {SEQUENCE.sub(r"\1\1{", key): _text(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_text(entry) for entry in value]
    if not isinstance(value, str):
        return value
    parts: list[str] = []

    def put_aside(expression: str) -> str:
        parts.append(expression)
        return f"\0{len(parts) - 1}\0"

    written = fill_markers(value, put_aside)
    written = SEQUENCE.sub(r"\1\1{", written)
    for action, expression in _ACTIONS:
        written = action.sub(expression, written)
    return re.sub(r"\0(\d+)\0", lambda match: f"${{{parts[int(match[1])]}}}", written)


def merged(*parts: Json) -> Json:
    """Return the mappings as one, in which the last wins; Packer merges what only it can evaluate."""
    known = [part for part in parts if isinstance(part, Mapping) or _is_left(part)]
    if any(map(_is_left, known)):
        return _call("merge", known)
    return {key: value for part in known for key, value in part.items()}


def joined(given: Json, own: str) -> Json:
    """Return a list with ``own``, sorted; Packer adds it to what only it can evaluate."""
    if _is_left(given):
        return _call("concat", [given, [own]])
    return sorted({*([given] if isinstance(given, str) else listed(given)), own})


def _is_left(value: Json) -> bool:
    return isinstance(value, str) and value.startswith(NOT_FOLLOWED)


def _call(function: str, arguments: Iterable[Json]) -> str:
    texts = (fill_markers(one, str) if isinstance(one, str) else json.dumps(one) for one in arguments)
    return marker(f"{function}({', '.join(texts)})")
