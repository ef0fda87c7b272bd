"""Changes of a stack's file as text: comments, order and all other settings stay as they are.

The engine can do it too (``pulumi config set --path``), but it needs its backend, the stack and the passphrase, which a
reviewer's checkout or a machine that prepares a roll-back may not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from bakery.errors import BakeryError
from bakery.settings.yaml import load, plain

Pair = tuple[yaml.Node, yaml.Node]


def with_entry(text: str, setting: str, entries: Mapping[str, str], name: str, value: str) -> str:
    """Return the text of a stack's file in which ``setting`` has ``value`` for ``name``, or no ``name`` if it is "".

    ``setting`` has its namespace, as in ``image-bakery:pins``; ``entries`` is what it is now, perhaps by another file.
    Raises BakeryError, with what to write, if the text has a form that cannot be changed.
    """
    wanted = {**entries, name: value} if value else {key: entry for key, entry in entries.items() if key != name}
    before = _config(text)
    namespace, _, bare = setting.partition(":")
    key = next((key for key in (bare, f"{namespace}:config:{bare}") if key in before), setting)
    after = _changed(text, key, wanted, name)
    others = {other: entry for other, entry in before.items() if other != key}
    if not _says(after, others | ({key: wanted} if wanted else {})):
        block = "".join(f"\n  {line}" for line in _lines(key, wanted)) if wanted else f" no {key}"
        raise BakeryError("the stack's file has a form that cannot be changed", hint=f"write below config:{block}")
    return after


def _config(text: str) -> dict[str, Any]:
    return (load(text.encode()) or {}).get("config") or {}


def _says(text: str, config: Mapping[str, Any]) -> bool:
    try:
        return _config(text) == config
    except yaml.YAMLError:
        return False


def _changed(text: str, key: str, wanted: Mapping[str, str], name: str) -> str:
    config = _pair(yaml.compose(text, yaml.SafeLoader), "config")
    own = _pair(config[1], key) if config else None
    if config is None:
        return _inserted(text, len(text), ["config:", *(f"  {line}" for line in _lines(key, wanted))])
    if own is not None and wanted and isinstance(own[1], yaml.MappingNode) and not own[1].flow_style:
        entry, line = _pair(own[1], name), _line(name, wanted.get(name, ""))
        if entry is None:
            return _inserted(text, _end(text, own[1]), [" " * own[1].start_mark.column + line])
        if name not in wanted:
            return text[: _start(text, entry[0])] + text[_end(text, entry[1]) :]
        return text[: entry[0].start_mark.index] + line + text[entry[1].end_mark.index :]
    if own is not None:
        text = text[: _start(text, own[0])] + text[_end(text, own[1]) :]
        config = _pair(yaml.compose(text, yaml.SafeLoader), "config") or config
    if not wanted:
        return text
    indent, value = "  ", config[1]
    if value.value and isinstance(value, yaml.MappingNode):
        indent = " " * value.start_mark.column
    else:  # {} or nothing
        text = text[: value.start_mark.index] + text[value.end_mark.index :]
    return _inserted(text, _end(text, config[1 if value.value else 0]), [indent + line for line in _lines(key, wanted)])


def _pair(node: yaml.Node | None, key: str) -> Pair | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((pair for pair in pairs if pair[0].value == key), None)


def _lines(key: str, entries: Mapping[str, str]) -> list[str]:
    return [f"{key}:", *(f"  {_line(name, value)}" for name, value in entries.items())]


def _line(name: str, value: str) -> str:
    return f"{_scalar(name)}: {_scalar(value)}"


def _scalar(text: str) -> str:
    return text if plain(text) == text else f'"{text}"'


def _inserted(text: str, at: int, lines: list[str]) -> str:
    head = text[:at] if not at or text[:at].endswith("\n") else f"{text[:at]}\n"
    return head + "".join(f"{line}\n" for line in lines) + text[at:]


def _start(text: str, node: yaml.Node) -> int:
    """Return where the line begins in which the node begins."""
    return text.rfind("\n", 0, node.start_mark.index) + 1


def _end(text: str, node: yaml.Node) -> int:
    """Return where the line ends in which the node's last scalar ends: a mapping ends only before what follows it."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    end = len(text[: node.end_mark.index].rstrip())
    return text.find("\n", end) + 1 or len(text)
