"""Revocation with the real engine: families move, the same inputs are refused, changed ones are baked again."""

from __future__ import annotations

import subprocess

import pytest

from bakery.library.base import ImageState, Revocation
from tests.engine.conftest import Start, edit
from tests.support.root import ROOT
from tests.support.workshop import Workshop


@pytest.fixture
def done(start: Start) -> Workshop:
    """A base that was baked twice, and a child of each."""

    def prepare(workshop: Workshop) -> None:
        workshop.recipe("base")
        workshop.recipe("app", "base")
        workshop.must_up()
        workshop.write("packages/base/install.sh", "#!/bin/bash\necho second\n")
        workshop.must_up()

    return start("two-bases", prepare)


def bakery(workshop: Workshop, *arguments: str, code: int = 0) -> str:
    command = [str(ROOT / ".venv/bin/bakery"), *arguments, "--stack", workshop.stack]
    done = subprocess.run(command, cwd=workshop.folder, env=workshop.env, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_what_was_baked_from_a_revoked_image_goes_back_and_is_baked_again_after_a_change(done: Workshop) -> None:
    new = done.families()
    old = {image.candidate_for: image.name for image in done.library.images() if image.state is ImageState.DEPRECATED}
    said = bakery(done, "revoke", new["base"], "--reason", "a weak key")
    assert f"{new['app']}: revoked, baked from {new['base']}\n" in said
    assert f"family app: {new['app']} -> {old['app']}\n" in said
    assert done.families() == old

    up = done.up()
    assert up.code != 0
    assert f"{new['base']} is revoked: a weak key" in up
    assert "set nonce.base to another word" in up
    assert done.families() == old
    assert f"{new['base']} is revoked: a weak key" in bakery(done, "plan", code=2)
    assert f"{new['app']} was baked from {new['base']}, which is revoked" in bakery(done, "bake", "app", code=2)
    assert "the stack image-bakery/dev wants" in bakery(done, "drift", code=3)

    done.extra = {"nonce": {"base": "2"}}
    done.must_up()
    fresh = done.families()
    assert not {*fresh.values()} & {*new.values(), *old.values()}
    assert done.library.find(fresh["app"]).parent == fresh["base"]  # type: ignore[union-attr]
    states = {image.name: image.state for image in done.library.images()}
    assert [states[name] for name in new.values()] == [ImageState.OBSOLETE] * 2
    assert bakery(done, "drift") == "no drift\n"
    done.must_up("--expect-no-changes")


def test_a_withdrawn_revocation_lets_the_next_up_promote_again(done: Workshop) -> None:
    new, bakes = done.families(), done.bake_logs()
    bakery(done, "revoke", new["base"], "--reason", "a mistake")
    assert "may be used again" in bakery(done, "revoke", new["base"], "--undo")
    done.must_up()
    assert (done.families(), done.bake_logs()) == (new, bakes)


def test_a_revocation_of_the_future_is_enforced_by_the_first_up_after_its_time(done: Workshop) -> None:
    new = done.families()
    said = bakery(done, "revoke", "app", "--reason", "expires", "--at", "2999-01-01")
    assert f"{new['app']}: will be revoked at 2999-01-01T00:00:00Z\n" in said
    done.must_up("--expect-no-changes")
    assert "will be revoked, at 2999-01-01 00:00: expires" in bakery(done, "library")
    bakery(done, "revoke", new["app"], "--undo")
    assert list(done.library.revocations()) == []

    # The recipe's image is another one, which waits for its approval, so that no promotion looks at the revoked one.
    old = {image.candidate_for: image.name for image in done.library.images() if image.state is ImageState.DEPRECATED}
    done.extra["approval"] = ["app"]
    edit(done, "app")
    done.must_up()
    assert done.families()["app"] == new["app"]
    done.library.revoke(Revocation(new["app"], new["app"], "expired", "2020-01-01T00:00:00Z", "2019-01-01T00:00:00Z"))
    said = f"adopted: waits for approval: bakery approve app; {new['app']} is revoked: expired"
    assert said in done.preview()
    assert f"{new['app']} is revoked: expired" in bakery(done, "plan")
    assert f"{new['app']} is revoked; it points at {old['app']} now" in done.must_up()
    assert done.families()["app"] == old["app"], "not at the newer one, which is proven but not approved"
    assert done.library.find(new["app"]).state is ImageState.OBSOLETE  # type: ignore[union-attr]
    done.must_up("--expect-no-changes")
