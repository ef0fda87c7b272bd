"""What a stack believes in and the library no longer has."""

from __future__ import annotations

from bakery.operations.recover import lost

STATE = {
    "resources": [
        {"type": "pulumi:pulumi:Stack"},
        {"type": "pulumi-python:dynamic/bakery:BakedImage", "outputs": {"name": "a-1", "family": "a"}},
        {"type": "pulumi-python:dynamic/bakery:FluidRunTest", "outputs": {"image": "a-1"}},
        {"type": "pulumi-python:dynamic/bakery:PromotedImage", "outputs": {"image": "a-1", "family": "a"}},
    ]
}


def test_nothing_is_lost_while_image_and_family_are_there() -> None:
    assert lost(STATE, ["a-1", "b-1"], {"a": "a-1"}) == []


def test_a_family_that_points_elsewhere_is_somebodys_wish() -> None:
    assert lost(STATE, ["a-1", "a-2"], {"a": "a-2"}) == []


def test_an_image_and_a_family_that_are_gone_are_named() -> None:
    assert lost(STATE, [], {}) == ["the image a-1", "the family a"]


def test_an_empty_stack_has_lost_nothing() -> None:
    assert lost({}, [], {}) == []
