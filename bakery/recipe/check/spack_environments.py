"""A package's Spack environments against the provisioners that set what they are filled with."""

import posixpath
from collections.abc import Mapping

from bakery.errors import Severity
from bakery.recipe.check import packer_template, spack_environment
from bakery.recipe.check.spack_installer import INSTALLER, PLACEHOLDERS, Installer
from bakery.recipe.parse import Document, Findings, Where
from bakery.recipe.templating import declared


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
    found = [name for name in sorted(contents) if posixpath.basename(name) == "spack.yaml"]
    given = _given(template) if template and found else set(PLACEHOLDERS)
    own = declared(template.value).get("spack_ref") if template else None
    # A template with spack_ref bakes with that Spack; what another installer accepts is not known.
    severity = Severity.WARNING if own is None else Severity.ERROR
    for name in found:
        filled = given.union(installer.settles)
        spack_environment.check(contents[name], findings.at(name), spack_ref or own or "", filled, severity)
    if template is None or not found:
        return
    missing = [name for name in installer.needs if name not in given]
    for where in _runs(template):
        for name in missing:  # _SYSTEM_COMPILER is often forgotten
            hint = f"pass _{name} of cloudbuild.yaml on to environment_vars"
            template.warn(f"{INSTALLER} needs {name}, which is not set", hint, *where)


def _runs(template: Document) -> list[Where]:
    """The places where a provisioner names the installer."""
    named = packer_template.named(template)
    return [where for where, path in named if isinstance(path, str) and posixpath.basename(path) == INSTALLER]


def _given(template: Document) -> set[str]:
    """What the provisioners that run the installer set; all of them, where it has another name."""
    runs = {where[1] for where in _runs(template) if where[0] == "provisioners"}
    return packer_template.environment(template, runs or None)
