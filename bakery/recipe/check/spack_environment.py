"""A package's Spack environments: placeholders that nothing fills, and what the pinned Spack rejects.

Sources: Spack's ``lib/spack/spack/schema/env.py`` and ``merged.py`` of 0.18 to 1.2 (no other key than these;
``concretization`` is gone since 0.19) and ``schema/config.py`` (``install_tree`` as a string is gone since 1.1);
``::``, ``+:`` and ``-:`` say how a value is merged (spack#10550, spack#11602).
"""

import difflib
import re
from collections.abc import Collection, Mapping
from typing import Any

from bakery.errors import Severity
from bakery.recipe.check import packer_template
from bakery.recipe.check.spack_installer import INSTALLER, PLACEHOLDERS, Installer
from bakery.recipe.parse import Document, Findings, Where, yaml
from bakery.recipe.templating import declared

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
_PLACEHOLDER = re.compile(rb"@([A-Z][A-Z0-9_]*)@")
_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.\d+)*(?:[-.]?\w+)*")


def version(ref: str) -> tuple[int, ...]:
    """Return the version that a tag (v0.23.1, releases/v0.22) names; NEWEST for a commit, a branch or ""."""
    match = _VERSION.fullmatch(ref.rpartition("/")[2])
    return (int(match[1]), int(match[2])) if match else NEWEST


def check(
    template: Document | None,
    contents: Mapping[str, bytes],
    installer: Installer,
    spack_ref: str,
    findings: Findings,
) -> None:
    """Every ``spack.yaml`` of ``contents``; ``installer`` is ``common/spack-install.sh``.

    Without a ``template`` it is not known what provisioners set, and that is not checked.
    """
    found = [name for name in sorted(contents) if f"/{name}".endswith("/spack.yaml")]
    runs = _runs(template) if template and found else []
    given = _given(template, runs) if template and found else set(PLACEHOLDERS)
    own = declared(template.value).get("spack_ref") if template else None
    # A template with spack_ref bakes with that Spack; what another installer accepts is not known.
    severity = Severity.WARNING if own is None else Severity.ERROR
    for name in found:
        filled = given.union(installer.settles)
        _check(contents[name], findings.at(name), spack_ref or own or "", filled, severity)
    if template is None:
        return
    missing = [name for name in installer.needs if name not in given]
    for where in runs:
        for name in missing:  # _SYSTEM_COMPILER is often forgotten
            hint = f"pass _{name} of cloudbuild.yaml on to environment_vars"
            template.warn(f"{INSTALLER} needs {name}, which is not set", hint, *where)


def _runs(template: Document) -> list[Where]:
    """Return the places where a provisioner names the installer."""
    named = packer_template.named(template)
    return [where for where, path in named if isinstance(path, str) and f"/{path}".endswith(f"/{INSTALLER}")]


def _given(template: Document, runs: Collection[Where]) -> set[str]:
    """Return the variables that the installer's provisioners set; those of all provisioners if it has another name."""
    own = {where[1] for where in runs if where[0] == "provisioners"}
    return packer_template.environment(template, own or None)


def _check(content: bytes, findings: Findings, ref: str, given: Collection[str], rejected: Severity) -> None:
    """One environment; ``given`` are the environment variables that some provisioner sets.

    ``rejected`` is how bad it is that the Spack of ``ref`` won't take it.
    """
    lines: dict[str, int] = {}  # of each placeholder the first one
    for number, line in enumerate(content.splitlines() if b"@" in content else (), 1):
        for name in _PLACEHOLDER.findall(line.partition(b"#")[0]):
            lines.setdefault(name.decode(), number)
    for name, number in lines.items():
        if name not in PLACEHOLDERS:
            known = " ".join(f"@{known}@" for known in PLACEHOLDERS)
            findings.error(number, f"nothing fills @{name}@", f"use one of {known}, or write the value")
        elif name not in given:
            hint = f"add {name}=... to environment_vars of the provisioner that runs spack-install.sh"
            findings.warn(number, f"@{name}@ is replaced by nothing: no provisioner sets {name}", hint)
    document = yaml.parse_yaml(_PLACEHOLDER.sub(rb"x\1x", content), findings)  # of the same length
    if document is not None:
        _accepted(document, version(ref), ref or "today's", rejected)


def _accepted(document: Document, spack: tuple[int, ...], named: str, severity: Severity) -> None:
    if not isinstance(document.value, dict) or not isinstance(document.value.get("spack"), dict):
        document.error("has no mapping below spack:", "begin with spack: and the environment", "spack")
        return
    environment = document.value["spack"]
    for key in environment:
        first, end = _TAKEN.get(_plain(key), ((100,), (100,)))
        if not first <= spack < end:
            hint = _instead(key, environment, end)
            document.note(severity, f"{key}: is rejected by {named} Spack", hint, "spack", key)
    for section, value in environment.items() if spack >= (1, 1) else ():
        for key in _install_trees(section, value):
            hint = "write install_tree: {root: ...}, or pin Spack 1.0 or older"
            what = f"install_tree as a string is rejected by {named} Spack"
            document.note(severity, what, hint, "spack", section, key)


def _plain(key: str) -> str:
    """Return a key without the sign that tells how Spack merges its value (``view::``, ``specs+:``)."""
    return key.removesuffix(":").removesuffix("+").removesuffix("-")


def _install_trees(section: str, value: Any) -> list[str]:
    """Return the keys of a section that give Spack's install tree as a string."""
    given = value.items() if _plain(section) == "config" and isinstance(value, dict) else ()
    return [key for key, entry in given if _plain(key) == "install_tree" and isinstance(entry, str)]


def _instead(key: str, environment: Mapping[str, Any], end: tuple[int, ...]) -> str:
    """Return what to write instead of a key that Spack does not accept; ``end`` is the first version without it."""
    if key == "concretization":
        unify = {"together": "true", "separately": "false"}.get(str(environment[key]), "false")
        return f"write concretizer: {{unify: {unify}}}, or pin Spack 0.18"
    if key in _TAKEN:
        return "remove it, or pin an older Spack" if end < NEWEST else "remove it, or pin a newer Spack"
    close = difflib.get_close_matches(key, _TAKEN, n=1)
    return f"write {close[0]}:" if close else "remove it, or write it where it belongs"
