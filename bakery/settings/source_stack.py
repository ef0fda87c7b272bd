"""The setting ``from``: a stack that bakes nothing, and takes the images that another stack has proven.

The other stack, the source, is read from its file beside that of the first one. Only its library matters, so settings
of it that are secret are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from bakery.errors import InputError, Problem
from bakery.settings.files import find
from bakery.settings.google import Bucket, Duty, GoogleSettings
from bakery.settings.model import Settings
from bakery.settings.origin import KEY


def with_source(settings: Settings, load: Callable[[str], Settings]) -> Settings:
    """Return the settings with those of the stack that they name; ``load`` returns the settings of a stack.

    Raises InputError if there is no such stack, if stacks take their images from each other, or if there is no way from
    the library of the one to that of the other.
    """
    names, chain = [settings.stack], [settings]
    while name := chain[-1].from_stack:
        if name in names:
            names = [*names[names.index(name) :], name]
            text = f"the stacks take their images from each other: {' from '.join(names)}"
            raise wrong(settings, text, "remove it from the stack that bakes")
        if not find(settings.root, name).file.exists():
            folder = find(settings.root, name).file.parent
            known = sorted(one.name.split(".")[1] for one in folder.glob("Pulumi.*.yaml"))
            hint = f"use another stack; known: {', '.join(known) or 'none'}"
            raise wrong(chain[-1], f"there is no stack {name}, as Pulumi.{name}.yaml does not exist", hint)
        chain.append(load(name))
        names.append(name)
    source = chain[1]
    if fault := _fault(settings, source):
        raise wrong(settings, *fault)
    return replace(settings, source_stack=source)


def _fault(settings: Settings, source: Settings) -> tuple[str, str] | None:
    """Return why images cannot go from the one library to the other, and what to do."""
    mine, theirs = settings.google, source.google
    if settings.in_project != source.in_project:
        near, far = (settings, source) if source.in_project else (source, settings)
        text = f"the images of {near.stack} are on this computer, and those of {far.stack} in a project of Google Cloud"
        return text, "name a stack of the same kind; a file is taken in with: bakery adopt FILE FAMILY"
    if settings.library_place == source.library_place:
        where = f"the project {mine.project}" if settings.in_project else str(settings.state)
        hint = "set google.prefix, or another google.project" if settings.in_project else "set state to another folder"
        return f"{source.stack} has the same library, in {where}", hint
    if not settings.in_project and mine.prefix != theirs.prefix:
        return f"{source.stack} has another google.prefix, and files keep their names", "use the same one"
    if mine.repository:
        hint = "remove it, or move it to the stack that bakes"
        return f"google.repository starts bakes, and images come from {source.stack}", hint
    return None


def wrong(settings: Settings, text: str, hint: str, key: str = KEY) -> InputError:
    """Return the error of a setting, with its place in the stack's file."""
    return InputError([problem(settings, text, hint, key)])


def problem(settings: Settings, text: str, hint: str, key: str = KEY) -> Problem:
    """Return the problem of a setting, with its place in the stack's file."""
    file = settings.source or find(settings.root, settings.stack).file
    return Problem(settings.file, _line(file, key), f"{settings.namespace}:{key}: {text}", hint)


def _line(file: Path, key: str) -> int:
    """Return the line of a key of the configuration; 1 if it is not found."""
    with suppress(OSError, UnicodeDecodeError):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            if re.match(rf"""\s*["']?(?:[^\s"':]+:(?:config:)?)?{re.escape(key)}["']?\s*:""", line):
                return number
    return 1


def missing_role(message: str, who: str, mine: Settings, theirs: Settings) -> str:
    """Return the command that grants what a refusal by the project of ``theirs`` says is missing; "" for others.

    ``message`` is that of the refusal, ``who`` the account that was refused ("": the deploy account of ``mine``).
    """
    project, bucket = theirs.google.project, theirs.google.bucket(Bucket.ARTIFACTS)
    account = who or mine.google.account(Duty.DEPLOY)
    member = f"{'serviceAccount' if account.endswith('.gserviceaccount.com') else 'user'}:{account}"
    if f"/b/{bucket}/" in message:
        command = f"gcloud storage buckets add-iam-policy-binding gs://{bucket}"
        role = "roles/storage.objectViewer"
    elif project != mine.google.project and f"'projects/{project}" in message:
        command, role = f"gcloud projects add-iam-policy-binding {project}", "roles/compute.imageUser"
    else:
        return ""
    return (
        f"run: {command} --member={member} --role={role}; or add the account to google.takers of the stack "
        f"{theirs.stack}; it takes minutes"
    )


def translated(name: str, of: GoogleSettings, to: GoogleSettings) -> str:
    """Return the name that a family, or an image, of a stack has in another one: with the prefix of that one."""
    bare = name.removeprefix(f"{of.prefix}-") if of.prefix else name
    return f"{to.prefix}-{bare}" if to.prefix else bare
