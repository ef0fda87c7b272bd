"""The forms of the setting ``from``: a stack, or a mapping with a stack and the smoke tests of its images."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from bakery.settings.reader import Reader

KEY = "from"
EVERY_JOB = "*"


class Origin(NamedTuple):
    """Where images are taken from: a stack ("" for none), and which jobs of a recipe run here before a promotion."""

    stack: str = ""
    smoke: tuple[str, ...] = ()


def read(top: Reader) -> Origin:
    """Return the setting, with a problem for each wrong part."""
    value = top.values.get(KEY)
    if not isinstance(value, dict) and not (isinstance(value, str) and value.lstrip().startswith("{")):
        return Origin(top.text(KEY))
    group = top.group(KEY)
    smoke = group.take("smoke", (), _jobs, "true, or a list of jobs of fluidrun.yaml")
    origin = Origin(group.text("stack"), smoke)
    if not origin.stack:
        group.wrong("stack", "is missing", "write the name of the stack that bakes")
    group.done()
    return origin


def _jobs(value: Any) -> tuple[str, ...]:
    if value in (True, "true"):
        return (EVERY_JOB,)
    if value in (False, "false"):
        return ()
    names = json.loads(value) if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise TypeError
    return tuple(names)
