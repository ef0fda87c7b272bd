from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.plan import image_labels
from bakery.recipe import image_names
from tests.support.every import every

LABEL = re.compile(r"[a-z0-9_-]{0,63}")
NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


@pytest.mark.parametrize("family", ["a", "rcc-debian", "a" * 50, "x1-2"])
def test_legal_families_give_legal_names(family: str) -> None:
    assert image_names.family_fault(family) is None
    assert NAME.fullmatch(image_names.image_name(family, "0" * 64))


@pytest.mark.parametrize("family", ["", "A", "1a", "a-", "a_b", "a.b", "ä", "a" * 51, "a\n"])
def test_faults_are_said_with_what_to_do(family: str) -> None:
    fault = image_names.family_fault(family)
    assert fault is not None
    assert every(fault)


@given(st.text())
def test_any_text_becomes_a_label(text: str) -> None:
    assert LABEL.fullmatch(image_labels.label(text))


@given(st.from_regex(NAME, fullmatch=True).filter(lambda family: image_names.family_fault(family) is None))
def test_every_accepted_family_gives_a_legal_name(family: str) -> None:
    assert NAME.fullmatch(image_names.image_name(family, "f" * 64))


def test_labels_leave_out_what_is_empty_and_shorten_the_digest() -> None:
    found = image_labels.image_labels(
        package="OpenFOAM", variant="", family="f", digest="ab" * 32, parent="gcc@12 base", revision=""
    )
    assert found == {
        "bakery-digest": "ab" * 16,
        "bakery-recipe": "openfoam",
        "bakery-family": "f",
        "bakery-parent": "gcc-12-base",
    }
