"""Settings that have another name now. The old name is read with a warning, until a later minor version removes it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bakery.errors import Problem, Severity
from bakery.settings.files import PROJECT_FILE

if TYPE_CHECKING:
    import yaml


class DeprecatedSetting(NamedTuple):
    """A setting was called ``old`` before the version ``since``; the version ``removed`` does not know that name.

    Both names are a key, or a group and a key with a dot between them. The value stays what it was.
    """

    old: str
    new: str
    since: str
    removed: str


DEPRECATED: tuple[DeprecatedSetting, ...] = ()


def keys() -> tuple[str, ...]:
    """Return the old names at the top of a stack's settings, groups included."""
    return tuple(dict.fromkeys(one.old.partition(".")[0] for one in DEPRECATED))


def renamed(values: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[DeprecatedSetting, ...]]:
    """Return the values by their new names, and what was set by an old one. A value that is set by both is the new."""
    found = dict(values)
    taken = {one: _taken(found, one.old) for one in DEPRECATED}
    used = {one: value for one, value in taken.items() if value not in (None, "")}
    for one, value in used.items():
        _put(found, one.new, value)
    return found, tuple(used)


def warnings(used: Iterable[DeprecatedSetting], file: Path, project: str) -> tuple[Problem, ...]:
    """Return a warning for each old name: its line in the stack's ``file``, or in the Pulumi.yaml beside it."""
    return tuple(_warning(one, file, project) for one in used)


def _warning(one: DeprecatedSetting, file: Path, project: str) -> Problem:
    lines = ((place.name, _line(place, project, one.old)) for place in (file, file.with_name(PROJECT_FILE)))
    name, line = next(((name, line) for name, line in lines if line), (file.name, 1))
    text = f"{project}:{one.old} is deprecated since version {one.since}, and version {one.removed} will not know it"
    return Problem(name, line, text, f"write {project}:{one.new} with the same value", Severity.WARNING)


def _taken(values: dict[str, Any], path: str) -> Any:
    """Remove a value and return it; None without one."""
    group, _, key = path.rpartition(".")
    if not group:
        return values.pop(key, None)
    inner = _mapping(values.get(group))
    if inner and key in inner:
        values[group] = {name: value for name, value in inner.items() if name != key}
        return inner[key]
    return None


def _put(values: dict[str, Any], path: str, value: Any) -> None:
    group, _, key = path.rpartition(".")
    if not group:
        values.setdefault(key, value)
    elif (inner := _mapping(values.get(group, {}))) is not None:  # else it is a problem, which the reader notes
        values[group] = {key: value, **inner}


def _mapping(value: Any) -> dict[str, Any] | None:
    """Return a mapping, which may be JSON text, as Pulumi passes it; None for anything else."""
    if isinstance(value, str):
        with suppress(ValueError):
            value = json.loads(value)
    return value if isinstance(value, dict) else None


def _line(file: Path, project: str, path: str) -> int:
    """Return the line of a setting in a file of the stack; 0 if it is not in it."""
    import yaml  # here and not above: most stacks have no deprecated settings

    try:
        config = _entry(yaml.compose(file.read_text(encoding="utf-8"), yaml.SafeLoader), "config")
    except (OSError, ValueError, yaml.YAMLError):
        return 0
    group, _, key = path.rpartition(".")
    for prefix in (f"{project}:", f"{project}:config:", ""):
        found = _entry(config and config[1], f"{prefix}{path}") or _entry(config and config[1], f"{prefix}{group}")
        if found:
            inner = _entry(found[1], key)
            return int((inner or found)[0].start_mark.line) + 1
    return 0


def _entry(node: yaml.Node | None, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    pairs = getattr(node, "value", ()) if getattr(node, "id", "") == "mapping" else ()
    return next((pair for pair in pairs if pair[0].value == key), None)
