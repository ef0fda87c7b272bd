"""Staged roll-outs: how long families wait for a new image, and which partitions do not."""

from collections.abc import Mapping
from typing import NamedTuple

from bakery.settings.reader import Reader

LONGEST = 1_000_000  # hours


class Rollout(NamedTuple):
    """A family waits for ``hours``. If it is a channel, the partitions ``first`` use its recipe's family meanwhile."""

    hours: int
    first: tuple[str, ...] = ()


def read(top: Reader) -> Mapping[str, Rollout]:
    """Return the rules below ``rollout`` by the pattern of families: hours, or a mapping with ``first``, too."""
    group = top.group("rollout")
    return {pattern: _rule(group, pattern, value) for pattern, value in group.values.items()}


def _rule(group: Reader, pattern: str, value: object) -> Rollout:
    if not isinstance(value, Mapping):
        return Rollout(group.count(pattern, 0, most=LONGEST))
    rule = group.group(pattern)
    found = Rollout(rule.count("hours", 24, most=LONGEST), rule.words("first", least=1))
    rule.done()
    return found
