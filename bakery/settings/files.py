"""A stack's configuration as the engine reads it from ``Pulumi.yaml`` and the stack's file, without an engine.

The rules are those of ``sdk/go/common/workspace`` and ``pkg/workspace/config.go`` in pulumi/pulumi; a test compares the
result with ``pulumi config --json``. Only the engine can decrypt secrets, so it is asked if the stack has any.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from bakery import yaml_cache
from bakery.errors import BakeryError, InputError, Problem

PROJECT = "image-bakery"
PROJECT_FILE = "Pulumi.yaml"
SHORTEST = 4  # characters of a secret; shorter ones would be found everywhere
Values = Mapping[str, Any]
Decrypt = Callable[[], Values]
_COERCED = r"[-+]?[1-9]\d*|0|true|false"


class StackFiles(NamedTuple):
    """Where the settings of a stack are; ``shared`` are those of Pulumi.yaml. ``stack`` has no organization.

    ``namespace`` is what their keys begin with, see :func:`namespace_of`.
    """

    stack: str
    project: str
    file: Path
    shared: Values
    namespace: str = PROJECT


def namespace_of(keys: Iterable[str], project: str) -> str:
    """Return what the keys of the settings begin with, of all ``keys`` of a stack's configuration.

    It is the project's name, unless a key begins with ``image-bakery:``: then the program has other resources, too,
    and the keys of its project are theirs.
    """
    return PROJECT if any(key.startswith(f"{PROJECT}:") for key in keys) else project


def refuse() -> Values:
    """Raise BakeryError: no engine is at hand."""
    raise BakeryError("a setting is a secret, which only the engine can decrypt", hint="use pulumi or bakery")


def find(root: Path, stack: str, config_file: str = "") -> StackFiles:
    """Return the files of a stack, which may be given as ``organization/project/stack``.

    Raises InputError for invalid YAML, and for a stack of another project.
    """
    content = _read(root / PROJECT_FILE)
    project, shared = str(content.get("name") or PROJECT), content.get("config") or {}
    *qualifiers, name = stack.split("/")
    if qualifiers[1:] not in ([], [project]):
        hint = f"use a stack of the project {project}, which is that of {PROJECT_FILE}"
        raise InputError([Problem("--stack", 1, f"{stack} is a stack of another project", hint)])
    folder, shared = (shared, {}) if isinstance(shared, str) else (str(content.get("stackConfigDir") or ""), shared)
    own = root / folder.lstrip("/") / f"Pulumi.{name}.yaml"  # the engine joins them, as Go does
    file = Path(config_file).absolute() if config_file else own
    keys = (*(_read(file).get("config") or {}), *shared)
    return StackFiles(name, project, file, shared, namespace_of(keys, project))


def values(files: StackFiles, decrypt: Decrypt) -> tuple[Values, Mapping[str, str]]:
    """Return the stack's values by key (without the project), and the texts of secret ones by path.

    A value is a text, a list or a mapping. ``decrypt`` returns all values of the stack from the engine, by full key; it
    is called only if one is a secret or the stack imports environments. Raises InputError and what ``decrypt`` raises.
    """
    content = _read(files.file)
    given = _mine(files, content.get("config") or {})
    secret = [key for key, value in given.items() if _secure(value)]
    if not content.get("environment") and not secret:
        _add_shared(files, given)
        return given, {}
    decrypted = _mine(files, decrypt())
    return decrypted, texts(decrypted, secret)


def keys(files: StackFiles) -> tuple[str, ...]:
    """Return the keys of the whole configuration of stack and project, with their namespaces. Raises InputError."""
    given = (*(_read(files.file).get("config") or {}), *files.shared)
    return tuple(key if ":" in key else f"{files.project}:{key}" for key in given)


def public_values(files: StackFiles) -> Values:
    """Return the stack's values by key without those that are secret, or hold a secret. Raises InputError."""
    config = _read(files.file).get("config") or {}
    given = _mine(files, {name: value for name, value in config.items() if not _secure(value)})
    _add_shared(files, given)
    return given


def texts(values: Values, keys: Iterable[str]) -> dict[str, str]:
    """Return the texts below ``keys`` by path (``spack.source``): the engine says of a whole key that it is secret."""
    return {path: text for key in keys for path, text in _texts(values.get(key), key)}


def _read(file: Path) -> dict[str, Any]:
    """Return the mapping in a file; {} if there is no file."""
    try:
        content = yaml_cache.parsed(file.read_bytes(), "settings/2", partial(_parse, file.name)) or {}
    except FileNotFoundError:
        return {}
    kinds = (dict, str) if file.name == PROJECT_FILE else dict  # a text there is the folder of the stacks' files
    if not isinstance(content, dict) or not isinstance(content.get("config") or {}, kinds):
        message = "has no mapping below config:"
        raise InputError([Problem(file.name, 1, message, "write config: and the settings")])
    return content


def _parse(name: str, content: bytes) -> Any:
    import yaml  # not needed while the file is in the cache

    from bakery.settings.yaml import load

    try:
        return load(content)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        why = getattr(error, "problem", None)
        text = f"invalid YAML: {why}" if why else "invalid YAML"
        raise InputError([Problem(name, mark.line + 1 if mark else 1, text, "fix the syntax")]) from error


def _mine(files: StackFiles, config: Values) -> dict[str, Any]:
    """Return the values of the project by key, as the engine passes them: texts, lists and mappings."""
    return {key: _written(value) for name, value in config.items() if (key := _key(files, name))}


def _key(files: StackFiles, name: str) -> str:
    """Return the key of a setting of the bakery; "" for another one. A bare name is one of the project."""
    *namespace, key = name.split(":")
    return key if (namespace or [files.project]) in ([files.namespace], [files.namespace, "config"]) else ""


def _written(value: Any) -> Any:
    if isinstance(value, (str, list, dict)):
        return value
    return "" if value is None else json.dumps(value)


def _add_shared(files: StackFiles, given: dict[str, Any]) -> None:
    """Add the project's values that the stack does not have; a key there may be a path (``local.cores``)."""
    for name, entry in sorted(files.shared.items()):
        value = entry.get("default", entry.get("value")) if isinstance(entry, dict) else entry
        steps, text = _steps(_key(files, name)), _written(value)
        if value is None or not steps:
            continue
        coerced = steps[1:] and isinstance(text, str) and re.fullmatch(_COERCED, text)
        try:
            _put(given, steps, json.loads(text.lstrip("+")) if coerced else text)
        except TypeError:
            fault = f"{name} has no place among the values of {files.file.name}"
            raise InputError([Problem(PROJECT_FILE, 1, fault, "fix the path, or write the whole value")]) from None


def _steps(key: str) -> list[str | int]:
    """Return the steps of a path: ``channels.stable[0]``, ``pins["a.b"]``."""
    found = re.finditer(r"\[(\d+)\]|\[\"((?:[^\"\\]|\\.)*)\"\]|([^.\[]+)", key)
    return [int(match[1]) if match[1] else match[3] or re.sub(r"\\(.)", r"\1", match[2]) for match in found]


def _put(at: Any, steps: list[str | int], value: Any) -> None:
    """Set a value unless there is one; a number is a place in a list. Raises TypeError if the path cannot be."""
    step, *rest = steps
    if isinstance(step, int):
        if not isinstance(at, list) or step > len(at):
            raise TypeError
        if step == len(at):
            at.append(_empty(rest) if rest else value)
    elif not isinstance(at, dict):
        raise TypeError
    elif rest and not isinstance(at.get(step), (dict, list)):
        at[step] = _empty(rest)
    elif not rest:
        at.setdefault(step, value)
    if rest:
        _put(at[step], rest, value)


def _empty(steps: list[str | int]) -> dict[str, Any] | list[Any]:
    return [] if isinstance(steps[0], int) else {}


def _secure(value: Any) -> bool:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (isinstance(value, dict) and set(value) == {"secure"}) or any(map(_secure, children))


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and value.startswith(("{", "[")):
        with suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, (dict, list)):
        for step, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(child, f"{path}.{step}")
    elif isinstance(value, str) and len(value) >= SHORTEST:
        yield path, value
