"""A package's Spack environments against the provisioners that set what they are filled with."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping

from bakery.errors import Severity
from bakery.plan.render import declared
from bakery.recipe import spack_file, template_file
from bakery.recipe.document import Document
from bakery.recipe.findings import Findings
from bakery.recipe.installer import INSTALLER, PLACEHOLDERS


def check(
    template: Document | None,
    contents: Mapping[str, bytes],
    needed: Collection[str],
    spack_ref: str,
    findings: Findings,
) -> None:
    """Every ``spack.yaml`` of ``contents``; ``needed`` are the variables that ``common/spack-install.sh`` wants.

    Without a ``template`` it is not known what provisioners set, and nothing is said of it.
    """
    found = [name for name in sorted(contents) if posixpath.basename(name) == "spack.yaml"]
    given = template_file.environment(template) if template and found else set(PLACEHOLDERS)
    own = declared(template.value).get("spack_ref") if template else None
    # Whoever declares spack_ref bakes with that Spack; what another installer takes is not known.
    severity = Severity.WARNING if own is None else Severity.ERROR
    for name in found:
        spack_file.check(contents[name], findings.at(name), spack_ref or own or "", given, severity)
    if template is None or not found:
        return
    missing = [name for name in needed if name not in given]
    for where, path in template_file.named(template):
        if isinstance(path, str) and posixpath.basename(path) == INSTALLER:
            for name in missing:  # _SYSTEM_COMPILER is often forgotten
                hint = f"pass _{name} of cloudbuild.yaml on to environment_vars"
                template.warn(f"{INSTALLER} needs {name}, which is not set", hint, *where)
