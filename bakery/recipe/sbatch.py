"""The options of sbatch(1) that determine the size of a job."""

import re
from collections.abc import Sequence

NODES = "--nodes"
_SHORT = {"-N": NODES, "-n": "--ntasks", "-c": "--cpus-per-task"}
_KNOWN = frozenset((*_SHORT.values(), "--ntasks-per-node"))
_RANGE = re.compile(r"([0-9]{1,9})([km]?)(?:-([0-9]{1,9})([km]?))?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20}


def options(given: Sequence[str]) -> dict[str, str]:
    """Return the options among the words, by their long names; the last of several counts."""
    values: dict[str, str] = {}
    waiting = ""
    for word in given:
        if waiting:
            values[waiting], waiting = word, ""
            continue
        name, equals, value = word.partition("=")
        if not word.startswith("--") and word[:2] in _SHORT:
            name, equals, value = _SHORT[word[:2]], word[2:], word[2:].removeprefix("=")
        if name in _KNOWN:
            values[name] = value
            waiting = "" if equals else name
    return values


def node_range(text: str) -> tuple[int, int] | None:
    """Return the least and the most nodes of ``--nodes``; None for another form. ``2k`` are 2,048."""
    if (match := _RANGE.fullmatch(text)) is None:
        return None
    least = int(match[1]) * _UNITS[match[2].lower()]
    return least, int(match[3]) * _UNITS[match[4].lower()] if match[3] else least
