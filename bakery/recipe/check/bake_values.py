"""Values that no digest can have, since they differ from build to build or are only known in the bake.

Sources: Cloud Build, "Substituting variable values"; packer-plugin-sdk, ``template/interpolate/funcs.go``.
"""

import re
from collections.abc import Mapping
from typing import Any

from bakery.recipe.check.cloud_build import find
from bakery.recipe.expressions import mentions
from bakery.recipe.model import BuildCalls
from bakery.recipe.parse import Document
from bakery.recipe.substitutions import substitutions_in
from bakery.recipe.templating import declared, references

# A bake of the bakery has a build, but no commit, and two bakes of an image differ in them.
OF_THE_BUILD = frozenset(["BUILD_ID", "COMMIT_SHA", "REVISION_ID", "SHORT_SHA", "BRANCH_NAME", "REF_NAME", "TAG_NAME"])
OF_THE_BAKE = ("isotime", "strftime", "timestamp", "uuid", "vault", "consul_key", "aws_secretsmanager")


def check_functions(template: Document) -> None:
    """Say once which function of a JSON template gives provisioners a value that only the bake knows."""
    if "hcl2" in template.value or not any(name in template.joined for name in OF_THE_BAKE):
        return
    reached = _reached(template.value)
    for where, text in template.strings:
        if where[0] == "provisioners" or (where[0] == "variables" and where[1] in reached):
            name = next((name for name in OF_THE_BAKE if mentions(text, name)), "")
            if name:
                message = f"{{{{{name}}}}} is only known in the bake: its value does not count in the digest"
                template.warn(message, "pass a value that changes with the content, or leave it so", *where)
                return


def check_build(template: Document, build: Document, calls: BuildCalls) -> None:
    """Say which variables of provisioners have values of the build."""
    reached = _reached(template.value)
    for name, text in calls.variables.items():
        used = sorted(OF_THE_BUILD.intersection(substitutions_in(text)))
        if used and name in reached:
            what = f"${used[0]} in the variable {name} does not count in the digest: it differs from build to build"
            hint = "remove it, or pass a substitution of your own that changes with the content"
            build.warn(what, hint, *find(build, ("steps",), rf"(^|[\s=\"']){re.escape(name)}="))


def _reached(template: Mapping[str, Any]) -> set[str]:
    """Return the variables that provisioners use, also through other variables."""
    defaults = declared(template)
    found: set[str] = set()
    left = references(template.get("provisioners"))
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left |= references(defaults.get(name, ""))
    return found
