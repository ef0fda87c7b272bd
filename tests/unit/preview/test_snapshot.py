from __future__ import annotations

from bakery.library.base import Want
from bakery.preview.snapshot import LibrarySnapshot
from tests.unit.preview.test_decide import CHILD, PARENT, plan_of

MINE, OTHER = "p/dev", "p/other"


def given_up(*wants: Want, **families: str) -> dict[str, str]:
    snapshot = LibrarySnapshot(families=families, wants=wants)
    return snapshot.given_up(MINE, [image.family for image in plan_of(PARENT, CHILD).images])


def test_a_family_that_no_package_makes_any_more_is_given_up() -> None:
    wants = (Want(MINE, "base", "base-1", "t"), Want(MINE, "old", "old-1", "t"))
    assert given_up(*wants, base="base-1", old="old-1") == {"old": "old-1"}


def test_a_family_that_another_stack_wants_or_that_was_moved_stays() -> None:
    old = Want(MINE, "old", "old-1", "t")
    assert given_up(old, Want(OTHER, "old", "old-1", "t"), old="old-1") == {}
    assert given_up(old, old="old-2") == {}
    assert given_up(old) == {}
    assert given_up(Want(OTHER, "old", "old-1", "t"), old="old-1") == {}
