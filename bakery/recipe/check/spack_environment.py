"""``spack.yaml``: placeholders that nothing fills, and what the pinned Spack rejects.

Sources: Spack's ``lib/spack/spack/schema/env.py`` and ``merged.py`` of 0.18 to 1.2 (no other key than these;
``concretization`` is gone since 0.19) and ``schema/config.py`` (``install_tree`` as a string is gone since 1.1).
"""

import difflib
import re
from collections.abc import Collection, Mapping
from typing import Any

from bakery.errors import Severity
from bakery.recipe.check.spack_installer import PLACEHOLDERS
from bakery.recipe.parse import Document, Findings, text
from bakery.recipe.parse import yaml as yaml_parser

NEWEST = (99,)  # an unknown or empty ref: today's Spack
# The keys of an environment: from which version on, and before which one, Spack takes them.
_ALWAYS = """
bootstrap cdash compilers concretizer config container definitions develop include mirrors modules packages repos specs
upstreams view
"""
_TAKEN: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    **dict.fromkeys(_ALWAYS.split(), ((0,), (100,))),
    "ci": ((0, 20), (100,)),
    "concretization": ((0,), (0, 19)),
    "env_vars": ((1, 0), (100,)),
    "gitlab-ci": ((0,), (0, 23)),
    "include_concrete": ((0, 22), (100,)),
    "toolchains": ((1, 0), (100,)),
}
_PLACEHOLDER = re.compile(r"@([A-Z][A-Z0-9_]*)@")
_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.\d+)*(?:[-.]?\w+)*")


def version(ref: str) -> tuple[int, ...]:
    """The version that a tag (v0.23.1, releases/v0.22) names; NEWEST for a commit, a branch or nothing."""
    match = _VERSION.fullmatch(ref.rpartition("/")[2])
    return (int(match[1]), int(match[2])) if match else NEWEST


def check(content: bytes, findings: Findings, ref: str, given: Collection[str], rejected: Severity) -> None:
    """One environment; ``given`` are the environment variables that some provisioner sets.

    ``rejected`` is how bad it is that the Spack of ``ref`` won't take it.
    """
    written = text(content, findings)
    if written is None:
        return
    said: set[str] = set()
    for number, line in enumerate(written.splitlines(), 1):
        for name in _PLACEHOLDER.findall(line.partition("#")[0]):
            _placeholder(name, number, findings, given, said)
    document = yaml_parser.parse_yaml_text(_PLACEHOLDER.sub(r"placeholder-\1", written), findings)
    if document is not None:
        _accepted(document, version(ref), ref or "today's", rejected)


def _placeholder(name: str, line: int, findings: Findings, given: Collection[str], said: set[str]) -> None:
    """Once for each name and file."""
    if name in said:
        return
    said.add(name)
    if name not in PLACEHOLDERS:
        known = " ".join(f"@{known}@" for known in PLACEHOLDERS)
        findings.error(line, f"nothing fills @{name}@", f"use one of {known}, or write the value")
    elif name not in given:
        hint = f"add {name}=... to environment_vars of the provisioner that runs spack-install.sh"
        findings.warn(line, f"@{name}@ is replaced by nothing: no provisioner sets {name}", hint)


def _accepted(document: Document, spack: tuple[int, ...], named: str, severity: Severity) -> None:
    if not isinstance(document.value, dict) or not isinstance(document.value.get("spack"), dict):
        document.error("has no mapping below spack:", "begin with spack: and the environment", "spack")
        return
    environment = document.value["spack"]
    for key in environment:
        first, end = _TAKEN.get(key, ((100,), (100,)))
        if not first <= spack < end:
            hint = _instead(key, environment, end)
            document.note(severity, f"{key}: is rejected by {named} Spack", hint, "spack", key)
    config = environment.get("config")
    if isinstance(config, dict) and isinstance(config.get("install_tree"), str) and spack >= (1, 1):
        hint = "write install_tree: {root: ...}, or pin Spack 1.0 or older"
        where = ("spack", "config", "install_tree")
        document.note(severity, f"install_tree as a string is rejected by {named} Spack", hint, *where)


def _instead(key: str, environment: Mapping[str, Any], end: tuple[int, ...]) -> str:
    """What to write for a key that Spack does not take, ``end`` being the first version that takes it no more."""
    if key == "concretization":
        unify = {"together": "true", "separately": "false"}.get(str(environment[key]), "false")
        return f"write concretizer: {{unify: {unify}}}, or pin Spack 0.18"
    if key in _TAKEN:
        return "remove it, or pin an older Spack" if end < NEWEST else "remove it, or pin a newer Spack"
    close = difflib.get_close_matches(key, _TAKEN, n=1)
    return f"write {close[0]}:" if close else "remove it, or write it where it belongs"
