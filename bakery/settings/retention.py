"""Retention settings: how long the images of a family are kept, and which."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from bakery.settings.reader import Reader

EVERY_FAMILY = "*"
LONGEST = 1_000_000  # days


class Retention(NamedTuple):
    """The rule of a family.

    An image becomes OBSOLETE ``days`` after it was deprecated. The ``keep`` newest proven images besides the promoted
    one, and images that have all of ``labels`` (if there are any), are never deleted. On ``obsolete_on`` all images
    that were baked before become OBSOLETE, whatever else holds; it is RFC 3339 in UTC, or empty.
    """

    days: int = 30
    keep: int = 1
    labels: Mapping[str, str] = MappingProxyType({})
    obsolete_on: str = ""


def read(top: Reader, days: int) -> Mapping[str, Retention]:
    """Return the rules below ``retention`` by family, with one for EVERY_FAMILY; ``days`` is its default."""
    group = top.group("retention")
    every = _rule(group.group(EVERY_FAMILY), Retention(days))
    rules = {family: _rule(group.group(family), every) for family in group.values if family != EVERY_FAMILY}
    return {EVERY_FAMILY: every, **rules}


def _rule(reader: Reader, default: Retention) -> Retention:
    rule = Retention(
        days=reader.count("days", default.days, most=LONGEST),
        keep=reader.count("keep", default.keep),
        labels=reader.texts("labels") or default.labels,
        obsolete_on=reader.take("obsoleteOn", default.obsolete_on, _time, "a date as '2030-01-31', or a time"),
    )
    reader.done()
    return rule


def _time(value: object) -> str:
    from datetime import UTC, datetime  # most stacks have no such rule

    time = datetime.fromisoformat(str(value))
    time = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")
