"""What a revocation changed, as lines for people."""

from collections.abc import Iterator

from bakery.library.revocation import Enforced


def moves(done: Enforced) -> Iterator[str]:
    """Yield a line for each family that was moved, and for each image that became OBSOLETE."""
    for family, (before, after) in sorted(done.moved.items()):
        yield f"family {family}: {before} -> {after or 'no image'}"
    for image in done.obsolete:
        yield f"{image}: OBSOLETE"
