"""The types of values in ``packer.json`` that Packer decodes before it bakes: wrong ones end it.

Source: Packer, ``template/parse.go`` (the root, what all provisioners and post-processors have) and
``provisioner/shell``; Go, ``time.ParseDuration``.
"""

import re
from collections.abc import Mapping
from typing import Any

from bakery.recipe.check.plugin_options import post_processors, provisioners
from bakery.recipe.parse import Document, Where, quoted
from bakery.recipe.plugins import SHELL_LISTS

_DURATION = re.compile(r"[+-]?(?:0|(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|ms|s|m|h))+)")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_CODE = re.compile(r"[+-]?(?:0[box])?[0-9a-f_]+", re.IGNORECASE)
_VERSION = re.compile(r"v?[0-9]+(?:\.[0-9]+)*(?:[-+~].*)?")
_CLEANUP = "error-cleanup-provisioner"


def check(template: Document) -> None:
    """Check the root, the provisioners and the post-processors of a template whose root keys are in lower case."""
    _root(template)
    for where, entry in provisioners(template):
        _provisioner(template, entry, where)
    for where, entry in post_processors(template):
        if isinstance(entry, dict) and not isinstance(entry.get("keep_input_artifact", False), bool):
            _refuse(template, entry, where, "keep_input_artifact", "write true or false, without quotes")


def _root(template: Document) -> None:
    root = template.value
    for key in ("description", "min_packer_version"):
        if not isinstance(root.get(key, ""), (str, type(None))):
            _refuse(template, root, (), key, "write a string")
    version = root.get("min_packer_version")
    if isinstance(version, str) and version and not _VERSION.fullmatch(version):
        _refuse(template, root, (), "min_packer_version", "write a version, such as 1.6.6")
    hidden = root.get("sensitive-variables") or []
    if not isinstance(hidden, list) or not all(isinstance(name, str) for name in hidden):
        _refuse(template, root, (), "sensitive-variables", "write a list of names")
    if not isinstance(root.get("post-processors") or [], list):
        _refuse(template, root, (), "post-processors", "write a list")
    cleanup = root.get(_CLEANUP)
    if cleanup is not None and not (isinstance(cleanup, dict) and isinstance(cleanup.get("type"), str)):
        _refuse(template, root, (), _CLEANUP, "write one provisioner, with its type")


def _provisioner(template: Document, entry: Mapping[str, Any], where: Where) -> None:
    for key in ("pause_before", "timeout"):
        if key in entry and not _fits(entry[key], _DURATION):
            _refuse(template, entry, where, key, "write a duration, such as 30s or 10m")
    if "max_retries" in entry and not _fits(entry["max_retries"], _WHOLE):
        _refuse(template, entry, where, "max_retries", "write a whole number")
    override = entry.get("override")
    if isinstance(override, dict) and [one for one in override.values() if not isinstance(one, (dict, type(None)))]:
        _refuse(template, entry, where, "override", "write an object for each builder")
    if entry.get("type") in ("shell", "shell-local"):
        _shell(template, entry, where)


def _shell(template: Document, entry: Mapping[str, Any], where: Where) -> None:
    for key in sorted(SHELL_LISTS):
        given = entry.get(key)
        texts = given if isinstance(given, list) else [given]
        if [one for one in texts if isinstance(one, (list, dict))]:
            _refuse(template, entry, where, key, "write a list of strings")
    codes = entry.get("valid_exit_codes")
    if [one for one in (codes if isinstance(codes, list) else [codes]) if not (_fits(one, _CODE) or one is True)]:
        _refuse(template, entry, where, "valid_exit_codes", "write a list of whole numbers")


def _fits(value: Any, pattern: re.Pattern[str]) -> bool:
    if isinstance(value, str):
        return pattern.fullmatch(value) is not None
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _refuse(template: Document, holder: Mapping[str, Any], where: Where, key: str, hint: str) -> None:
    template.error(f"{key} is {quoted(holder[key], 40)}", f"{hint}: Packer refuses others", *where, key)
