"""``cloudbuild.yaml``: its substitutions, its timeout, and whether its steps and ``packer.json`` fit together.

Source: Cloud Build, "Build configuration file schema" and "Substituting variable values".
"""

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from bakery.errors import Severity
from bakery.recipe.check import build_schema
from bakery.recipe.model import BuildCalls
from bakery.recipe.parse import Document, Findings, Where, listed, quoted
from bakery.recipe.substitutions import substitutions_in
from bakery.recipe.templating import arguments
from bakery.settings.google import LONGEST_BUILD

_BUILT_IN = """
PROJECT_ID PROJECT_NUMBER BUILD_ID LOCATION TRIGGER_NAME TRIGGER_BUILD_CONFIG_PATH COMMIT_SHA REVISION_ID SHORT_SHA
REPO_NAME REPO_FULL_NAME BRANCH_NAME TAG_NAME REF_NAME SERVICE_ACCOUNT SERVICE_ACCOUNT_EMAIL
"""
_OTHER_NAMES = frozenset({"cloudbuild.yml", "cloudbuild.json"})
TIMEOUT = 3600  # seconds, Cloud Build's own default
BUILT_IN = frozenset(_BUILT_IN.split())
_NAME = re.compile(r"_[A-Z0-9_]+")
_DURATION = re.compile(r"([0-9]{1,9})(\.[0-9]+)?s?")


def substitutions(build: Document) -> dict[str, str]:
    """Return the default substitutions as the text that was written. A value of another type is an error."""
    made: dict[str, str] = {}
    for name, value in build.group("substitutions").items():
        where = ("substitutions", name)
        if not _NAME.fullmatch(name):
            build.warn(f"invalid substitution name {name}", "use _, A-Z and 0-9, and begin with _", *where)
        if isinstance(value, (dict, list)):
            build.error(f"substitution {name} is {quoted(value)}", "write a string", *where)
        else:
            made[name] = value if isinstance(value, str) else build.find_text(where)
    return made


def missing(findings: Findings, paths: Collection[str]) -> None:
    """Say that there is no such file among the ``paths`` of a package, or that it has another name."""
    for name in sorted(_OTHER_NAMES.intersection(paths)):
        findings.at(name).error(1, f"is not read, only {findings.file}", f"rename it to {findings.file}")
        return
    hint = f"add {findings.file} to set them, and how long a build may take"
    findings.warn(1, "missing: the template's own values count", hint)


def timeout(build: Document) -> int:
    """Seconds that a build may take."""
    given = build.value.get("timeout")
    if given is None:
        return TIMEOUT
    match = _DURATION.fullmatch(str(given)) if isinstance(given, (str, int, float)) else None
    if match is None or not 0 < int(match[1]) <= LONGEST_BUILD:
        build.error(f"timeout is {quoted(given)}", f"write seconds as 1800s, at most {LONGEST_BUILD}s", "timeout")
        return TIMEOUT
    return int(match[1])


def check(build: Document, values: Mapping[str, str], calls: BuildCalls) -> None:
    """Check the file alone: Cloud Build takes it, it has steps, and every substitution is set and used."""
    build_schema.check(build)
    _ids(build)
    steps = build.entries("steps", "steps")
    if not calls.calls:
        hint = "add one, or remove the file: then the template's own values count"
        build.warn("has no step that runs packer build", hint, "steps")
    for index, step in steps:
        if not isinstance(step.get("name"), str):
            build.error(f"step {index + 1} has no name", "give it the image that runs it", "steps", index)
    used = {name for text in build.texts for name in substitutions_in(text)}
    unset = used - values.keys() - BUILT_IN
    for where, text in build.strings if unset else ():
        for name in substitutions_in(text):
            if name in unset:
                own = name.startswith("_")
                what = "its variable keeps the value of packer.json" if own else "Cloud Build does not know it"
                build.warn(f"{name} is not set, {what}", f"add {name} to the substitutions", *where)
    for name in () if calls.whole else values:
        if name not in used and _NAME.fullmatch(name):
            build.warn(f"substitution {name} is not used", "remove it, or use it in a step", "substitutions", name)


def _ids(build: Document) -> None:
    """Check the ids of the steps, and that every step waits for steps that exist."""
    known: dict[str, int] = {}
    for index, step in build.entries("steps", "steps"):
        name = step.get("id")
        if isinstance(name, str) and name and known.setdefault(name, index) != index:
            build.error(f"duplicate id {name}: Cloud Build refuses the build", "give each step its own", "steps", index)
    for index, step in build.entries("steps", "steps"):
        for number, name in enumerate(listed(step.get("waitFor"))):
            if name != "-" and name not in known:
                hint = f"use one of {', '.join(known)}, or -" if known else "give that step this id, or write -"
                build.error(
                    f"waits for {quoted(name)}, which is not the id of a step", hint, "steps", index, "waitFor", number
                )


def notes(build: Document, calls: BuildCalls) -> None:
    """Say which steps can't be followed and so count as a whole."""
    for index, reason in calls.whole.items():
        what = f"step {index + 1} {reason}: the step, all substitutions and what it may read count as a whole"
        build.warn(what, "pass plain substitutions with -var to be exact", "steps", index)


def check_arguments(build: Document, passed: Iterable[str], used: Collection[str], *, fatal: bool) -> None:
    """``-var`` arguments of variables that the template neither declares nor uses; in HCL2 these are ``fatal``."""
    for name in passed:
        if name not in used:
            where = find(build, ("steps",), rf"(^|[\s=\"']){re.escape(name)}=")
            hint = "fix the name, or declare it: nothing uses it"
            severity = Severity.ERROR if fatal else Severity.WARNING
            template = "the template" if fatal else "packer.json"
            build.note(severity, f"-var {name}=... sets an undeclared variable of {template}", hint, *where)


def check_folders(build: Document, calls: BuildCalls, paths: Iterable[str]) -> None:
    """Packer in another folder does not find what a template names by ``paths`` from the workspace, unfilled."""
    folders = {call.folder for call in calls.calls if posixpath.normpath(call.folder or ".") != "."}
    moved = [path for path in paths if "template_dir" not in path and not path.startswith("/")] if folders else []
    for folder in sorted(folders) if moved else ():
        hint = "run it in the workspace, or begin the template's paths with {{template_dir}}, in HCL2 with ${path.root}"
        message = f"Packer runs in {quoted(folder)} and does not find {quoted(moved[0])} there"
        build.error(message, hint, *find(build, ("steps",), re.escape(posixpath.basename(folder))))


def find(build: Document, above: Where, pattern: str) -> Where:
    """Return the place of the first text below ``above`` that matches; else ``above``."""
    return next((w for w, text in build.strings if w[: len(above)] == above and re.search(pattern, text)), above)


def options(build: Document, name: str) -> Iterator[tuple[Where, str]]:
    """Yield the values of an option of all steps (``--ci-file=x``, ``--ci-file x``), with their places."""
    if name not in build.joined:
        return
    for index, step in build.entries("steps", "steps"):
        words = arguments(step)
        for number, word in enumerate(words):
            option, equals, value = word.partition("=")
            if option.lstrip("-") == name and word.startswith("-"):
                value = value if equals else next(iter(words[number + 1 :]), "")
                yield find(build, ("steps", index), re.escape(word)), value.strip("\"'")
