"""New pins of base images as the head of a request: each base, and which packages differ."""

from collections.abc import Iterator, Mapping, Sequence

from bakery.operations.lock import Newer

LIMIT = 4_000  # characters of the packages: the request has the plan, too


def render(newer: Mapping[str, Newer]) -> str:
    """Return Markdown with a line for each base that has a newer image, and its packages; "" for none."""
    return "".join(f"{line}\n" for line in _lines(newer))


def _lines(newer: Mapping[str, Newer]) -> Iterator[str]:
    if newer:
        yield from ("| base | pinned | newest |", "|---|---|---|")
        yield from (f"| {key} | `{one.before.name}` | `{one.after.name}` |" for key, one in newer.items())
        yield ""
    for key, one in newer.items():
        if one.packages is None:
            yield from (f"Which packages differ in {key} is not known: its publisher does not list them.", "")
        else:
            yield from (f"<details><summary>{len(one.packages)} packages differ in {key}</summary>", "")
            yield from _cut(one.packages, LIMIT // len(newer))
            yield from ("", "</details>", "")


def _cut(packages: Sequence[str], limit: int) -> Iterator[str]:
    """Yield the packages as a list, and how many there was no room for."""
    for number, line in enumerate(packages):
        limit -= len(line) + 5
        if limit < 0:
            yield f"- and {len(packages) - number} more"
            return
        yield f"- `{line}`"
