"""The settings of stacks: read from files or passed by Pulumi, with those that they have of other stacks."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakery.errors import InputError, Problem, Severity
from bakery.redaction import hide
from bakery.settings import deprecated, files
from bakery.settings.files import PROJECT
from bakery.settings.model import ARGUMENT, GROUPS, KEYS, Settings, parse
from bakery.settings.source_stack import problem, with_source

if TYPE_CHECKING:
    import pulumi


def from_file(root: Path, stack: str, config_file: str = "", decrypt: files.Decrypt = files.refuse) -> Settings:
    """Return the settings of a stack, which the engine would pass to its program, read without an engine.

    Without a file for the stack they are the project's, or the defaults. ``config_file`` is another file than the
    stack's own; ``decrypt`` asks the engine for all values, if one is a secret.
    """
    return _joined(_from_file(root, stack, config_file, decrypt))


def _from_file(root: Path, stack: str, config_file: str, decrypt: files.Decrypt) -> Settings:
    found = files.find(root, stack, config_file)
    values, secrets = files.values(found, decrypt)
    hide(secrets)
    settings = parse(_set(values), found.stack, root, found.file, found.namespace)
    return with_unread(replace(settings, source=found.file, secrets=secrets), files.keys(found), found.project)


def with_unread(settings: Settings, keys: Iterable[str], project: str) -> Settings:
    """Return the settings with a warning for each of the stack's ``keys`` that is meant as one and is not read.

    A single key with ``image-bakery:`` leaves those with the project's name to the program. If all of these have names
    of settings, the program hardly has settings of its own.
    """
    mine = {key.removeprefix(f"{project}:").removeprefix("config:") for key in keys if key.startswith(f"{project}:")}
    if settings.namespace == project or not {key.partition(".")[0] for key in mine} <= {*KEYS, *GROUPS}:
        return settings
    text, hint = f"is not read, as another setting begins with {PROJECT}:", "begin all of them with the same word"
    unread = [problem(replace(settings, namespace=project), text, hint, key) for key in sorted(mine)]
    warnings = (replace(one, severity=Severity.WARNING) for one in unread)
    return replace(settings, warnings=(*settings.warnings, *warnings))


def from_pulumi(
    config: pulumi.Config, stack: str, root: Path, given: Iterable[str] = (), secret: Collection[str] = ()
) -> Settings:
    """Return the settings of the stack that Pulumi runs, for the program or the plugin's configure call.

    The name of ``config`` is what their keys begin with. ``given`` are the keys of the stack's whole configuration,
    whose unknown ones are errors; ``secret`` are the keys of secret ones.
    """
    project = getattr(config, "name", PROJECT)
    mine = f"{project}:"
    keys = {key.removeprefix(mine) for key in given if key.startswith(mine)}
    values = {key: config.get(key) for key in (*KEYS, *GROUPS, *deprecated.keys(), *sorted(keys))}
    secrets = files.texts(values, [key for key in values if f"{mine}{key}" in secret])
    hide(secrets)
    return _joined(replace(parse(_set(values), stack, root, project=project), secrets=secrets))


def from_mapping(
    values: Mapping[str, Any], stack: str, root: Path, place: tuple[Path, int], secret: Collection[str] = ()
) -> Settings:
    """Return the settings that a program passes in ``place``, the file and line that problems name.

    ``values`` are those of the stack's file without a prefix, as :func:`plain` returns them. ``secret`` are texts that
    a value must not show. Raises InputError.
    """
    file, line = place

    def placed(problems: Iterable[Problem]) -> tuple[Problem, ...]:
        return tuple(replace(one, line=line) if one.file == file.name else one for one in problems)

    secrets = {path: text for path, text in files.texts(values, values).items() if any(one in text for one in secret)}
    hide(secrets)
    try:
        settings = parse(_set(values), stack, root, file, ARGUMENT)
        return _joined(replace(settings, source=file, secrets=secrets, warnings=placed(settings.warnings)))
    except InputError as error:
        raise InputError(placed(error.problems)) from None


def plain(values: object, place: tuple[Path, int]) -> dict[str, Any]:
    """Return the settings that a program passes, as JSON has them; paths are texts. Raises InputError with all faults.

    ``place`` is the file and line that passes them.
    """
    problems: list[Problem] = []

    def converted(value: object, key: str) -> Any:
        if isinstance(value, Mapping):
            return {
                str(name): converted(one, f"{key}{'.' if ':' in key else ':'}{name}") for name, one in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [converted(one, f"{key}[{index}]") for index, one in enumerate(value)]
        text = os.fspath(value) if isinstance(value, os.PathLike) else value
        if not (text is None or isinstance(text, (str, int, float))):
            hint = "pass texts, numbers, flags, paths, lists and mappings; an Output is not known yet"
            problems.append(Problem(place[0].name, place[1], f"{key} is of the type {type(value).__name__}", hint))
        return text

    made = converted(values, ARGUMENT)
    if not problems and not isinstance(made, dict):
        hint = "pass a mapping with the keys of docs/settings.md"
        problems.append(Problem(place[0].name, place[1], f"{ARGUMENT} is {values!r}", hint))
    if problems:
        raise InputError(problems)
    return dict(made)


def _joined(settings: Settings) -> Settings:
    """Return the settings with those that they have of other stacks: the infrastructure, and the source of images."""
    settings = _inside(settings)
    return with_source(settings, partial(_other, settings.root)) if settings.from_stack else settings


def _other(root: Path, stack: str) -> Settings:
    """Return the settings of a stack whose library another one reads, without those that are secret."""
    found = files.find(root, stack)
    settings = parse(_set(files.public_values(found)), found.stack, root, found.file, found.namespace)
    return _inside(replace(settings, source=found.file))


def _inside(settings: Settings) -> Settings:
    """Return the settings with the infrastructure of the stack that they name."""
    name = settings.google.infrastructure
    if not name:
        return settings
    other = _from_file(settings.root, name, "", files.refuse)
    if not other.google.project:
        hint = f"name a stack with google.project, as in {other.file}"
        key = f"google.infrastructure is {name!r}, which has no infrastructure of its own"
        raise InputError([Problem(settings.file, 1, key, hint)])
    if other.google.project in settings.google.copies:
        key, hint = f"google.copies.{other.google.project} is the project of {name}", "name another project"
        raise InputError([Problem(settings.file, 1, f"{settings.namespace}:{key}", hint)])
    return replace(settings, google=settings.google.inside(other.google))


def _set(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are set: the engine passes a key without a value as an empty text."""
    return {key: value for key, value in values.items() if value not in (None, "") or key not in (*KEYS, *GROUPS)}
