"""The options of the calls of Packer: those that it does not know, and those that leave nothing to bake.

Source: Packer, ``command/cli.go`` and ``packer/core.go`` (1.6 to 1.15): with ``-only`` of no builder it ends with 0; of
a folder it reads the files of HCL2 templates only.
"""

import posixpath
import re
from collections.abc import Collection, Iterable, Mapping

from bakery.recipe.check import bake_values
from bakery.recipe.check.cloud_build import find
from bakery.recipe.folders import HCL2, TEMPLATE
from bakery.recipe.model import BuildCalls, PackerCall, Variant
from bakery.recipe.packer_call import with_choices
from bakery.recipe.parse import Document, Findings, Where, quoted
from bakery.recipe.substitutions import dynamic, substitute
from bakery.recipe.templating import BAKED, builder_name


def check(
    template: Document,
    build: Document,
    calls: BuildCalls,
    values: Mapping[str, str],
    *,
    package: str,
    variants: Iterable[Variant],
) -> None:
    """Check the calls of Packer that bake ``template``; ``values`` are the substitutions."""
    for word in dict.fromkeys(word for call in calls.calls for word in call.refused):
        hint = "fix its name, or remove it: see packer build -help"
        build.error(f"packer build has no option {word}", hint, *find(build, ("steps",), re.escape(word)))
    chosen = with_choices(calls, build.value, values)
    if "hcl2" not in template.value:
        _chosen(template, build, chosen)
        _folder(build, calls, values, package)
    _several(template, build, chosen, values)
    _same_for_all(build, calls, values, variants)
    bake_values.check_build(template, build, calls)


def called_file(
    build: Document | None,
    calls: BuildCalls,
    values: Mapping[str, str],
    paths: Collection[str],
    findings: Findings,
    *,
    package: str,
) -> str:
    """Return the file at the top of a package that the calls read; "" for all of HCL2 there.

    ``paths`` are the files of the package, ``values`` the substitutions. What only the build knows is left out.
    """
    files = {name for name in paths if name == TEMPLATE or (name.endswith(HCL2) and "/" not in name)}
    usual = TEMPLATE if TEMPLATE in files else ""
    named: dict[str, str] = {}
    for path in (_path(call, values) for call in calls.calls):
        if path and "$" not in path and (files - {TEMPLATE} or _is_other_json(path, package)):
            named.setdefault(_file_of(path), path)
    if build is None or not named:
        for other in sorted(files - {TEMPLATE}) if usual else ():
            hint = "remove one of the two, or name in cloudbuild.yaml what packer build reads"
            findings.at(other).warn(1, f"is not read, since there is a {TEMPLATE}", hint)
        return usual
    for name, path in named.items():
        above = posixpath.basename(posixpath.dirname(path) if name else path)
        if name not in {*files, ""} or above not in (package, "", "."):
            hint = f"name the folder of the package, or one of {', '.join(sorted(files))} in it"
            if name.endswith(".json") and TEMPLATE not in path:
                hint = f"make a package of it, where its name is {TEMPLATE}"
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


def _path(call: PackerCall, values: Mapping[str, str]) -> str:
    """Return the path of the template that a call reads; "" if it names none."""
    return posixpath.normpath(substitute(call.template, values)) if call.template else ""


def _is_other_json(path: str, package: str) -> bool:
    """Whether a path names a JSON template of the package that has not the name which the bakery reads."""
    above, name = posixpath.split(path)
    return posixpath.basename(above) == package and name.endswith(".json") and name != TEMPLATE


def _several(template: Document, build: Document, calls: BuildCalls, values: Mapping[str, str]) -> None:
    """Check that no two steps bake the same image, and that those of an HCL2 template pass the same values."""
    names = _baked(template)
    hint = "remove it, or make variants in recipe.yaml: each has values and an image of its own"
    for at, call in enumerate(calls.calls):
        for before in calls.calls[:at]:
            if before.step == call.step or not _path(call, values) or _path(before, values) != _path(call, values):
                continue
            what = ""
            if "hcl2" not in template.value:
                again = [name for name in names if before.bakes(name) and call.bakes(name)]
                what = f"bakes the builder {again[0]} again" if again else ""
            elif (before.variables, before.files) != (call.variables, call.files):
                what = "passes other values to the same template"
            elif not (before.only or before.exclude) or not (call.only or call.exclude):
                what = "bakes the same sources again"
            if what:
                build.error(f"step {call.step + 1} {what} as step {before.step + 1}", hint, "steps", call.step)


def _same_for_all(build: Document, calls: BuildCalls, values: Mapping[str, str], variants: Iterable[Variant]) -> None:
    """Check that no variant names a template of its own."""
    for call in calls.calls:
        usual = _path(call, dynamic(build.value, values)) if "$" in call.template else ""
        for variant in variants if usual else ():
            own = _path(call, dynamic(build.value, {**values, **variant.substitutions}))
            if own != usual:
                message = f"variant {variant.name} makes packer build read {quoted(own)} instead of {quoted(usual)}"
                build.error(message, "make a package of each", *_place_of(build, call.template))


def _place_of(build: Document, path: str) -> Where:
    return find(build, ("steps",), rf"(^|[\s/\"'])({re.escape(posixpath.basename(path))}|\.)($|[\s\"'])")


def _folder(build: Document, calls: BuildCalls, values: Mapping[str, str], package: str) -> None:
    """Check that no call names the folder of ``package``, whose template is in JSON."""
    for text in dict.fromkeys(call.template for call in calls.calls if call.template):
        path = posixpath.normpath(substitute(text, values))
        if posixpath.basename(path) in (posixpath.basename(package), "."):
            hint = f"write {posixpath.join(path, TEMPLATE)}"
            message = f"Packer does not read {TEMPLATE} of the folder {quoted(path)}, only *.pkr.hcl and *.pkr.json"
            build.error(message, hint, *find(build, ("steps",), rf"(^|[\s/\"']){re.escape(posixpath.basename(text))}"))


def _baked(template: Document) -> list[str]:
    """Return the names of the builders that are baked."""
    types: dict[str, list[str]] = {kind: [] for kind in BAKED}
    for _, entry in template.entries("builders", "builders"):
        types.get(str(entry.get("type")), []).append(builder_name(entry))
    return next(filter(None, types.values()), [])


def _chosen(template: Document, build: Document, calls: BuildCalls) -> None:
    """Check that the calls do not leave out every builder that is baked."""
    names = _baked(template)
    if not names or not calls.calls or any(calls.bakes(name) for name in names):
        return
    call = calls.calls[0]
    option, value = ("only", call.only) if call.only else ("except", call.exclude)
    hint = f"remove it, or write -only={names[0]}"
    message = f"-{option}={','.join(value)} leaves no builder that is baked: Packer bakes nothing and reports no error"
    build.error(message, hint, *find(build, ("steps",), rf"^--?{option}\b|\s--?{option}\b"))
