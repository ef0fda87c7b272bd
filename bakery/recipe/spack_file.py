"""``spack.yaml``: placeholders that nothing fills, and what the pinned Spack rejects.

Sources: Spack's ``lib/spack/spack/schema/env.py`` (``concretization`` is gone since 0.19, which refuses unknown keys)
and ``schema/config.py`` (``install_tree`` as a string is gone since 1.1).
"""

from __future__ import annotations

import re
from collections.abc import Collection

from bakery.errors import Severity
from bakery.recipe import yaml_file
from bakery.recipe.document import Document, text
from bakery.recipe.findings import Findings
from bakery.recipe.installer import PLACEHOLDERS

NEWEST = (99,)  # an unknown or empty ref: today's Spack
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
    document = yaml_file.parse(_PLACEHOLDER.sub(r"placeholder-\1", written), findings)
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
        findings.warn(line, f"@{name}@ is filled with nothing: no provisioner sets {name}", hint)


def _accepted(document: Document, spack: tuple[int, ...], named: str, severity: Severity) -> None:
    if not isinstance(document.value, dict) or not isinstance(document.value.get("spack"), dict):
        document.error("has no mapping below spack:", "begin with spack: and the environment", "spack")
        return
    environment = document.value["spack"]
    if "concretization" in environment and spack >= (0, 19):
        unify = {"together": "true", "separately": "false"}.get(str(environment["concretization"]), "false")
        hint = f"write concretizer: {{unify: {unify}}}, or pin Spack 0.18"
        document.note(severity, f"concretization: is rejected by {named} Spack", hint, "spack", "concretization")
    config = environment.get("config")
    if isinstance(config, dict) and isinstance(config.get("install_tree"), str) and spack >= (1, 1):
        hint = "write install_tree: {root: ...}, or pin Spack 1.0 or older"
        where = ("spack", "config", "install_tree")
        document.note(severity, f"install_tree as a string is rejected by {named} Spack", hint, *where)
