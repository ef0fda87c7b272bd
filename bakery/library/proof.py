"""Proof: whether an image and its ancestors passed the tests that a promotion requires."""

from collections.abc import Callable, Iterable, Mapping

from bakery.library.base import ImageRecord, ImageState, Library, Proof, Revocation
from bakery.library.derived import content
from bakery.library.revocation import in_force

ANY_TESTS = "*"  # instead of a digest: the last verdict counts, whatever the tests


def look_up(library: Library, required: Mapping[str, str]) -> str:
    """Return what :func:`missing_proof` says of the library's present records. Raises Uncertain."""
    records = [record for name in required if (record := library.find(name)) is not None]
    revoked = in_force(library.revocations(), library.now())
    return missing_proof(required, records, library.proofs(records), revoked)


def missing_proof(
    required: Mapping[str, str],
    records: Iterable[ImageRecord],
    tested: Mapping[str, str],
    revoked: Mapping[str, Revocation],
) -> str:
    """Return the first image without proof and what is missing ("a-1 is untested"), or "".

    ``required`` maps images, parents first, to the digest of their tests or its beginning, to ANY_TESTS, or to "" for
    an image without tests. ``records`` are those that the library has; ``tested`` maps images to the tests of their
    last verdict, as :meth:`~bakery.library.base.Library.proofs` does; ``revoked`` is from
    :func:`~bakery.library.revocation.in_force`.
    """
    known = {record.name: record for record in records}
    for name, tests in required.items():
        if revocation := revoked.get(content(name)):
            return f"{name} is revoked: {revocation.reason}"
        if why := _doubt(known.get(name), tests, tested.get(name, "")):
            return f"{name} {why}"
    return ""


def _doubt(image: ImageRecord | None, tests: str, tested: str) -> str:
    if image is None:
        return "is not in the library"
    if not tests or (image.proof is Proof.PASSED and same_tests(tests, tested)):
        return ""
    if image.proof is Proof.UNTESTED:
        return "is untested"
    return "failed its tests" if same_tests(tests, tested) else "was tested by other tests"


def same_tests(digest: str, other: str) -> bool:
    """Return whether both are the same digest or its beginning; a library may keep fewer characters than a plan."""
    return digest == ANY_TESTS or (bool(other) and (digest.startswith(other) or other.startswith(digest)))


def line_of(name: str, find: Callable[[str], ImageRecord | None]) -> list[ImageRecord]:
    """Return an image and those of its ancestors that can still be used, the oldest first.

    ``find`` returns None for what is not in the library. From OBSOLETE images, Compute Engine makes none.
    """
    line: dict[str, ImageRecord] = {}
    while name not in line and (record := find(name)) is not None:
        if line and record.state is ImageState.OBSOLETE:
            break
        line[name] = record
        name = record.parent
    return [*reversed(line.values())]


def of_line(line: Iterable[ImageRecord]) -> dict[str, str]:
    """Map the images of a line to what :func:`missing_proof` requires if the recipes are not known.

    The last one needs a passed test. An ancestor that was never tested has none: its child was promoted.
    """
    images = [*line]
    return {one.name: "" if one.proof is Proof.UNTESTED and one is not images[-1] else ANY_TESTS for one in images}
