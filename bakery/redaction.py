"""Keeps the values of secret settings out of everything that is printed or stored."""

import json
import re
from collections.abc import Mapping

_MARK = r"\[secret ([^\]]+)\]"
_marks: dict[str, str] = {}  # value: the text that is shown in its place


def hide(secrets: Mapping[str, str]) -> None:
    """Show the values of ``secrets`` as ``[secret <path>]`` from now on; so are the user and password of an address."""
    for path, value in secrets.items():
        login = value.partition("://")[2].partition("/")[0].rpartition("@")[0]
        for text in (value, json.dumps(value)[1:-1], *([login] if login else [])):
            _marks[text] = f"[secret {path}]"


def redacted(text: str) -> str:
    """Return the text without secrets."""
    for value in sorted(_marks, key=len, reverse=True):
        text = text.replace(value, _marks[value])
    return text


def restored(text: str, values: Mapping[str, str]) -> str:
    """Return a redacted JSON text with its secrets, and hide these; ``values`` are the texts of all settings."""
    hide({path: values[path] for path in re.findall(_MARK, text) if path in values})
    return re.sub(_MARK, lambda mark: json.dumps(values[mark[1]])[1:-1] if mark[1] in values else mark[0], text)
