"""New pins of base images as the head of a request: each base, and what changed in it."""

from collections.abc import Iterator, Mapping

from bakery.lock.model import LockedBase


def render(newer: Mapping[str, tuple[LockedBase, LockedBase]]) -> str:
    """Return Markdown with a line for each base that has a newer image; "" for none."""
    return "".join(f"{line}\n" for line in _lines(newer))


def _lines(newer: Mapping[str, tuple[LockedBase, LockedBase]]) -> Iterator[str]:
    if newer:
        yield from ("| base | pinned | newest |", "|---|---|---|")
        yield from (f"| {key} | `{before.name}` | `{now.name}` |" for key, (before, now) in newer.items())
        yield ""
