"""What ``bakery revoke`` did, as lines for people."""

from collections.abc import Iterator

from bakery.library.revocation import Enforced, utc
from bakery.operations.revoke import Revoked


def lines(done: Revoked) -> Iterator[str]:
    """Yield a line for each image that is revoked, each family that was moved, and each image that became OBSOLETE."""
    for one in done.recorded:
        origin = f", baked from {one.cause}" if one.image != one.cause else ""
        later = utc(one.at) > utc(one.recorded)
        yield f"{one.image}: {f'will be revoked at {one.at}' if later else 'revoked'}{origin}"
    yield from enforced_lines(done.enforced)
    yield from map(str, done.copies.steps)
    yield "next: change what they are baked from, see `bakery plan`, and run `pulumi up`"


def enforced_lines(done: Enforced) -> Iterator[str]:
    """Yield a line for each family that was moved away from a revoked image, and each image that became OBSOLETE."""
    for family, (before, after) in sorted(done.moved.items()):
        yield f"family {family}: {before} -> {after or 'no image'}"
    for image in done.obsolete:
        yield f"{image}: OBSOLETE"
