"""Proof: which image lacks the tests that a promotion requires, and why; over real libraries in the contract."""

from __future__ import annotations

import pytest

from bakery.library.base import ImageRecord, Proof, Revocation
from bakery.library.proof import missing_proof

FULL = "0123456789abcdef" * 4


def record(name: str, proof: Proof) -> ImageRecord:
    return ImageRecord(name, "d", "a", "", "a", "2026-01-01T00:00:00Z", proof=proof)


@pytest.mark.parametrize("required", [FULL[:12], FULL])
@pytest.mark.parametrize("recorded", [FULL[:12], FULL[:32], FULL])
def test_a_digest_may_be_shortened_on_either_side(required: str, recorded: str) -> None:
    assert missing_proof({"a-1": required}, [record("a-1", Proof.PASSED)], {"a-1": recorded}, {}) == ""


def test_a_verdict_without_its_tests_proves_nothing() -> None:
    found = missing_proof({"a-1": FULL}, [record("a-1", Proof.PASSED)], {}, {})
    assert found == "a-1 was tested by other tests"


def test_the_first_of_the_ancestors_is_named() -> None:
    records = [record("base-1", Proof.FAILED), record("a-1", Proof.UNTESTED)]
    required = {"base-1": FULL, "a-1": FULL}
    assert missing_proof(required, records, {"base-1": FULL}, {}) == "base-1 failed its tests"


def test_nothing_is_required_of_an_image_without_tests_whatever_was_recorded() -> None:
    assert missing_proof({"a-1": ""}, [record("a-1", Proof.FAILED)], {"a-1": FULL}, {}) == ""


def test_nothing_required_is_proven() -> None:
    assert missing_proof({}, [], {}, {}) == ""


def test_a_revoked_image_is_not_proven_whatever_it_passed_and_under_whatever_name() -> None:
    revocation = Revocation("b-1", "b-1", "a weak key", "2030-01-01T00:00:00Z", "2030-01-01T00:00:00Z")
    found = missing_proof({"a-1": FULL}, [record("a-1", Proof.PASSED)], {"a-1": FULL}, {"1": revocation})
    assert found == "a-1 is revoked: a weak key"
