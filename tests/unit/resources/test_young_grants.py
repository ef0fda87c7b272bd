"""What Google refuses because of a new grant is tried again, and nothing else; the engine: tests/gcp."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest
from pulumi.runtime import settings

from bakery.host import propagation
from bakery.resources import young_grants
from bakery.resources.young_grants import YoungGrants
from tests.support.clock import Clock

BUCKET = (
    "googleapi: Error 403: Permission denied on Cloud KMS key. Please ensure that your Cloud Storage service account"
)
DATASET = "Cloud KMS Error: Permission 'cloudkms.cryptoKeyVersions.useToEncrypt' denied on resource 'k'"
TOPIC = "Error 400: Please verify that a was granted the Cloud KMS CryptoKey Encrypter/Decrypter role for the project"
REPOSITORY = "Error waiting to create Repository: Error code 7, message: Permission denied on Cloud KMS key."
SERVICE = "googleapi: Error 403: Compute Engine API has not been used in project 1 before or it is disabled."


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (propagation, young_grants):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=made))
    return made


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def young(tmp_path: Path, clock: Clock, said: list[str]) -> YoungGrants:
    async def sleep(seconds: float) -> None:
        clock.pass_(seconds)

    def say(urn: str, text: str) -> None:
        said.append(f"{urn} {text}")

    return YoungGrants(tmp_path / "grants.json", sleep, say, say)


def again(young: YoungGrants, *errors: str, operation: str = "create") -> bool:
    """Whether an operation that failed with these errors, newest first, is tried again."""
    error = pulumi.ErrorHookArgs("urn", "id", "name", "gcp:x", failed_operation=operation, errors=list(errors))
    loop = asyncio.new_event_loop()  # not asyncio.run, after which this thread has none: Pulumi's own tests need one
    try:
        return loop.run_until_complete(young.failed(error))
    finally:
        loop.close()


def granted(young: YoungGrants) -> None:
    created: Any = None
    young.note(created)


@pytest.mark.parametrize("why", [BUCKET, DATASET, TOPIC, REPOSITORY, SERVICE])
def test_a_refusal_is_tried_again_while_what_this_up_made_is_young(
    young: YoungGrants, clock: Clock, said: list[str], why: str
) -> None:
    assert not again(young, why), "this up granted and enabled nothing"
    assert clock.passed == 0
    said.clear()
    granted(young)
    assert again(young, why)
    assert said == [f"urn waiting until new grants take effect, which takes minutes: {why}"]
    assert clock.passed == young_grants.FIRST_PAUSE
    errors = [why]
    while again(young, *errors):
        errors.append(why)
    assert propagation.YOUNG_SECONDS <= clock.passed < propagation.YOUNG_SECONDS + propagation.LONGEST_PAUSE
    assert len(errors) < 25, "the engine tries a hundred times at most"


def test_a_grant_of_an_up_before_is_young_as_well(young: YoungGrants, clock: Clock) -> None:
    propagation.note(young.grants, ["one"])
    assert again(young, BUCKET)
    clock.pass_(10_000)
    assert not again(young, BUCKET)


@pytest.mark.parametrize(
    ("why", "todo"),
    [
        ("Error 412: 'us' violates constraint 'constraints/gcp.resourceLocations'", "google.region to a location"),
        ("Error 403: Quota 'NETWORKS' exceeded.  Limit: 5.0 globally.", "ask for more quota"),
        ("Error 400: You can't create a role_id (r) which has been marked for deletion.", "google.roleSuffix"),
        ("Error 409: it exists already", ""),
    ],
)
def test_what_to_do_about_another_refusal_is_shown(young: YoungGrants, said: list[str], why: str, todo: str) -> None:
    assert not again(young, why)
    assert len(said) == bool(todo)
    assert todo in "".join(said)


@pytest.mark.parametrize("why", ["googleapi: Error 409: it exists already", "Error 403: Quota 'NETWORKS' exceeded."])
def test_what_no_grant_would_change_is_not_tried_again(young: YoungGrants, clock: Clock, why: str) -> None:
    granted(young)
    assert not again(young, why)
    assert clock.passed == 0


def test_an_engine_without_hooks_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings, "monitor_supports_feature", lambda _feature: False)
    assert young_grants.wait(tmp_path / "grants.json") is False
