"""What :mod:`bakery.recipe.cache` stores about a checked package.

An entry is JSON in three parts. Every plan reads the first one. The others, the checked package and the digests of its
files, are parsed only when a recipe is built from them. JSON can hold only values, so reading it runs no code.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from bakery.errors import Problem, Severity

if TYPE_CHECKING:
    from bakery.recipe.model import CheckedPackage, Json

BORDER = b"\t"  # between the parts; JSON writes this character as \t
_encoder = json.JSONEncoder(separators=(",", ":"), default=vars)


class Entry:
    """A stored package: whether a plan can use it, the families that it sets, its problems, and all of it, unparsed.

    ``others`` are the paths of ``CheckedPackage.others``, with the digests of their contents.
    """

    def __init__(
        self,
        usable: bool,
        families: tuple[str, ...],
        problems: tuple[Problem, ...],
        others: Mapping[str, str],
        content: bytes,
    ) -> None:
        self.usable = usable
        self.families = families
        self.problems = problems
        self.others = others
        self.content = content

    @cached_property
    def checked(self) -> CheckedPackage:
        """The checked package."""
        from bakery.recipe.check.checked_package import checked_from_json

        return checked_from_json(json.loads(self.content.split(BORDER)[1]), self.problems)

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """The package's files: path below its folder to SHA-256 of the content, in hex."""
        digests: dict[str, str] = json.loads(self.content.split(BORDER)[2])
        return digests


def to_bytes(checked: CheckedPackage, digests: Mapping[str, str], others: Mapping[str, str]) -> bytes:
    """Encode a checked package, the digests of its files, and those of its others."""
    from bakery.recipe.templating import FAMILY

    given = (checked.substitutions, *(variant.substitutions for variant in checked.variants))
    families = [values[FAMILY] for values in given if FAMILY in values]
    problems = problems_to_json(checked.problems)
    fields = {name: value for name, value in vars(checked).items() if name not in ("problems", "calls")}
    parts = ([checked.usable, families, problems, others], fields, digests)
    return BORDER.join(_encoder.encode(part).encode() for part in parts)


def from_bytes(contents: Sequence[bytes]) -> list[Entry]:
    """Decode outputs of :func:`to_bytes`."""
    # One list of all heads: one call of the parser takes a tenth of the time of a thousand calls.
    heads = json.loads(b"[%b]" % b",".join(content[: content.index(BORDER)] for content in contents))
    return [
        Entry(usable, tuple(families), problems_from_json(problems), others, content)
        for (usable, families, problems, others), content in zip(heads, contents, strict=True)
    ]


def problems_to_json(problems: Iterable[Problem]) -> list[list[Json]]:
    """Return problems as plain values."""
    return [[p.file, p.line, p.message, p.hint, p.severity.value] for p in problems]


def problems_from_json(values: Iterable[list[Json]]) -> tuple[Problem, ...]:
    """Return the problems of :func:`problems_to_json`."""
    return tuple(Problem(f, line, m, h, Severity(s)) for f, line, m, h, s in values)
