"""Which images a revocation affects, and which one takes their place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bakery.library.base import ImageRecord, ImageState, Proof, Revocation
from bakery.library.revocation import affected, heir, in_force, refusal
from bakery.plan.image_labels import ADOPTED_LABEL


def image(name: str, **changes: Any) -> ImageRecord:
    family, _, digest = name.rpartition("-")
    made = ImageRecord(name, digest * 16, family, "", family, "2030-01-01T00:00:00Z", proof=Proof.PASSED)
    return replace(made, **changes)


IMAGES = [
    image("base-1"),
    image("app-2", parent="base-1"),
    image("base-3"),
    image("app-4", parent="base-3"),
    image("leaf-5", parent="app-2"),
    image("stable-1"),  # the same content as base-1
    image("other-6", parent="stable-1"),
]


def test_all_that_was_baked_from_the_same_content_is_affected_and_nothing_else() -> None:
    assert affected(IMAGES, {"1"}) == dict.fromkeys(("base-1", "stable-1", "app-2", "other-6", "leaf-5"), "1")
    assert affected(IMAGES, {"2"}) == {"app-2": "2", "leaf-5": "2"}
    assert affected(IMAGES, {"9"}) == {}
    assert affected([image("a-1", parent="a-2"), image("a-2", parent="a-1")], {"1"}).keys() == {"a-1", "a-2"}


def test_the_heir_is_the_newest_proven_image_that_boots_and_is_free() -> None:
    images = [
        image("app-1"),
        image("app-2", state=ImageState.DEPRECATED),
        image("app-3", state=ImageState.OBSOLETE),
        image("app-4", proof=Proof.FAILED),
        image("app-5", proof=Proof.UNTESTED),
        image("base-6"),
        image("app-7"),
    ]
    assert heir("app", images, {"app-7"}) == "app-2"
    assert heir("app", images, {"app-7", "app-2", "app-1"}) == ""


def test_a_revocation_releases_neither_what_waits_nor_what_was_adopted_and_never_pinned() -> None:
    adopted = {ADOPTED_LABEL: "golden"}
    images = [image("app-1", family="app"), image("app-2"), image("app-3", labels=adopted)]
    assert heir("app", images, ()) == "app-2"
    assert heir("app", images, (), waits=True) == "app-1"
    assert heir("app", [*images, image("app-4", family="app", labels=adopted)], ()) == "app-4"


def one(image: str, at: str, cause: str = "") -> Revocation:
    return Revocation(image, cause or image, "bad", at, "2029-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("at", "now"),
    [
        ("2030-01-01T00:00:00Z", True),
        ("2030-01-01T00:00:00.001Z", False),
        ("2030-01-01T01:00:00+02:00", True),
        ("2029-12-31T23:30:00-01:00", False),
        ("2030-01-01", True),
    ],
)
def test_it_is_in_force_from_its_time_on_in_any_time_zone(at: str, now: bool) -> None:
    assert bool(in_force([one("a-1", at)], "2030-01-01T00:00:00.000Z")) is now


def test_the_earliest_of_two_counts() -> None:
    late, early = one("b-1", "2029-06-01T00:00:00Z"), one("b-1", "2029-05-01T00:00:00Z", "a-1")
    for both in ([late, early], [early, late]):
        assert in_force(both, "2030-01-01T00:00:00Z") == {"1": early}


def test_the_refusal_says_what_to_change() -> None:
    own, parents = refusal("a-1", one("a-1", "2029")), refusal("b-2", one("b-2", "2029", "a-1"))
    assert own.message == "a-1 is revoked: bad"
    word = "set nonce.a to another word"
    assert own.hint == f"change what a is baked from, or {word}"
    assert parents.message == "b-2 was baked from a-1, which is revoked: bad"
    assert parents.hint == f"{own.hint}; then it is baked again, too"
