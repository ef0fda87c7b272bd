"""The options of the calls of Packer: those that it does not know, and those that leave nothing to bake.

Source: Packer, ``command/cli.go`` and ``packer/core.go`` (1.6 to 1.15): with ``-only`` of no builder it ends with 0; of
a folder it reads the files of HCL2 templates only.
"""

import posixpath
import re
from collections.abc import Collection, Mapping
from typing import Any

from bakery.recipe.check.cloud_build import find
from bakery.recipe.folders import HCL2, TEMPLATE
from bakery.recipe.model import BuildCalls
from bakery.recipe.parse import Document, Where, quoted
from bakery.recipe.substitutions import substitute, substitutions_in
from bakery.recipe.templating import BAKED, builder_name, declared, references

# What no digest can have: a bake of the bakery has a build, but no commit, and two bakes of an image differ in them.
OF_THE_BUILD = frozenset(["BUILD_ID", "COMMIT_SHA", "REVISION_ID", "SHORT_SHA", "BRANCH_NAME", "REF_NAME", "TAG_NAME"])


def check(template: Document, build: Document, calls: BuildCalls) -> None:
    """Check the calls of Packer that bake ``template``."""
    for word in dict.fromkeys(word for call in calls.calls for word in call.refused):
        hint = "fix its name, or remove it: see packer build -help"
        build.error(f"packer build has no option {word}", hint, *find(build, ("steps",), re.escape(word)))
    if "hcl2" not in template.value:
        _chosen(template, build, calls)
    _of_the_build(template, build, calls)


def called_file(
    build: Document | None, calls: BuildCalls, values: Mapping[str, str], package: str, paths: Collection[str]
) -> str:
    """Return the file at the top of a package that the calls read; "" for all of HCL2 there.

    ``paths`` are the files of the package, ``values`` the substitutions. What only the build knows is left out.
    """
    files = {name for name in paths if name == TEMPLATE or (name.endswith(HCL2) and "/" not in name)}
    usual = TEMPLATE if TEMPLATE in files else ""
    named: dict[str, str] = {}
    for call in calls.calls if files - {TEMPLATE} else ():
        path = posixpath.normpath(substitute(call.template, values))
        if call.template and "$" not in path:
            named.setdefault(_file_of(path), path)
    if build is None or not named:
        return usual
    for name, path in named.items():
        above = posixpath.basename(posixpath.dirname(path) if name else path)
        if name not in {*files, ""} or above not in (package, "", "."):
            hint = f"name the folder of the package, or one of {', '.join(sorted(files))} in it"
            message = f"packer build reads {quoted(path)}, which is not a template of this package"
            build.error(message, hint, *_place_of(build, path))
            return usual
    if len(named) > 1:
        one, other, *_ = named.values()
        message = f"packer build reads {quoted(one)} in one call and {quoted(other)} in another"
        build.error(message, "name the same in all, or make a package of each", *_place_of(build, other))
    return next(iter(named))


def _file_of(path: str) -> str:
    """Return the name of the file that Packer reads for a template's path; "" for a folder."""
    return posixpath.basename(path) if path.endswith((".json", *HCL2)) else ""


def _place_of(build: Document, path: str) -> Where:
    return find(build, ("steps",), rf"(^|[\s/\"'])({re.escape(posixpath.basename(path))}|\.)($|[\s\"'])")


def check_folder(build: Document, calls: BuildCalls, values: Mapping[str, str], package: str, file: str) -> None:
    """Check that no call names the folder of ``package``, whose template is the JSON ``file``.

    ``values`` are the substitutions.
    """
    for text in dict.fromkeys(call.template for call in calls.calls if call.template):
        path = posixpath.normpath(substitute(text, values))
        if posixpath.basename(path) in (posixpath.basename(package), "."):
            hint = f"write {posixpath.join(path, file)}"
            message = f"Packer does not read {file} of the folder {quoted(path)}, only *.pkr.hcl and *.pkr.json"
            build.error(message, hint, *find(build, ("steps",), rf"(^|[\s/\"']){re.escape(posixpath.basename(text))}"))


def _chosen(template: Document, build: Document, calls: BuildCalls) -> None:
    """Check that the calls do not leave out every builder that is baked."""
    types: dict[str, list[str]] = {kind: [] for kind in BAKED}
    for _, entry in template.entries("builders", "builders"):
        types.get(str(entry.get("type")), []).append(builder_name(entry))
    names = next(filter(None, types.values()), [])
    if not names or not calls.calls or any(calls.bakes(name) for name in names):
        return
    call = calls.calls[0]
    option, value = ("only", call.only) if call.only else ("except", call.exclude)
    hint = f"remove it, or write -only={names[0]}"
    message = f"-{option}={','.join(value)} leaves no builder that is baked: Packer bakes nothing and reports no error"
    build.error(message, hint, *find(build, ("steps",), rf"^--?{option}\b|\s--?{option}\b"))


def _of_the_build(template: Document, build: Document, calls: BuildCalls) -> None:
    """Say which variables of provisioners have values that no digest has."""
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
