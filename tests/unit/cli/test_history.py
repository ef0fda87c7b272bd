"""``bakery history``, and approvals that only count from owners who did not write the change."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from bakery.host.google import Google
from bakery.library.base import Proof
from bakery.library.history import HistoryEntry, HistoryEvent
from bakery.library.local.library import LocalLibrary
from bakery.settings import from_file
from tests.fake_google.server import FakeServer
from tests.support.checkout import Checkout
from tests.support.schemas import published

ANN, BOB, EVE = "ann@example.com", "bob@example.com", "eve@example.com"


def git(checkout: Checkout, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=checkout.root, check=True, capture_output=True, text=True).stdout.strip()


def become(checkout: Checkout, address: str) -> None:
    git(checkout, "config", "user.name", "somebody")
    git(checkout, "config", "user.email", address)


def commit(checkout: Checkout, address: str) -> str:
    become(checkout, address)
    git(checkout, "add", "packages")
    git(checkout, "commit", "-q", "-m", "a change")
    return git(checkout, "rev-parse", "HEAD")


def entries(checkout: Checkout, family: str, *arguments: str) -> list[dict[str, Any]]:
    """What ``bakery history --json`` prints, which follows the schema."""
    done = checkout.run("history", family, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    jsonschema.validate(report, published("history"))
    assert report["family"] == family
    return list(report["entries"])


@pytest.fixture
def library(checkout: Checkout) -> LocalLibrary:
    git(checkout, "init", "-q")
    checkout.suite("app", "out")
    checkout.settings(oven="fake", approval=["app"])
    return LocalLibrary(from_file(checkout.root, "dev"))


def proven(checkout: Checkout, library: LocalLibrary, text: str, author: str) -> str:
    """Bake an image of ``app`` at a commit of ``author``; it passes its tests. Return its name."""
    (checkout.root / "packages/app/install.sh").write_text(f"#!/bin/bash\necho {text}\n", encoding="utf-8")
    commit(checkout, author)
    assert checkout.run("bake", "app").returncode == 0
    planned = json.loads(checkout.run("plan", "--json").stdout)["images"]
    (mine,) = [image for image in planned if image["family"] == "app"]
    library.record_test(mine["name"], Proof.PASSED, mine["tests"])
    return str(mine["name"])


def test_what_commands_did_is_in_the_history_with_who_when_why_and_the_commit(
    checkout: Checkout, library: LocalLibrary
) -> None:
    first = proven(checkout, library, "one", BOB)
    library.promote(first, "app", why="the image of its recipe")
    second = proven(checkout, library, "two", ANN)
    head = git(checkout, "rev-parse", "HEAD")
    for words in (
        ("approve", "app", "--why", "ticket 7"),
        ("promote", "app", second[:8], "--why", "for the demo"),
        ("promote", "app"),
        ("report-failure", second, "--reason", "node 12 hangs"),
        ("revoke", second, "--reason", "bad key"),
        ("revoke", second, "--undo", "--reason", "it was another one"),
    ):
        done = checkout.run(*words)
        assert done.returncode == 0, done.stderr
    found = entries(checkout, "app")
    assert [(one["event"], one["image"], one["why"]) for one in found][1:] == [
        ("approved", second, "ticket 7"),
        ("pinned", second, "for the demo"),
        ("unpinned", "", ""),
        ("failure reported", second, "node 12 hangs"),
        ("revoked", second, "bad key"),
        ("revocation withdrawn", second, "it was another one"),
    ]
    assert {(one["who"], one["stack"], one["revision"]) for one in found[1:]} == {(ANN, "dev", head)}
    table = checkout.run("history", "app").stdout.splitlines()
    assert table[0].split() == ["time", "event", "image", "before", "who", "stack", "commit", "why"]
    row = rf"20\d\d-\d\d-\d\d \d\d:\d\d +approved +{second} +- +{ANN} +dev +{head[:12]} +ticket 7"
    assert re.fullmatch(row, table[2])
    assert len(table) == len(found) + 1


def test_a_roll_back_is_recorded_with_what_it_goes_back_from(checkout: Checkout, library: LocalLibrary) -> None:
    names = [proven(checkout, library, text, BOB) for text in ("one", "two")]
    for name in names:
        library.promote(name, "app")
    assert checkout.run("rollback", "app", "--why", "slow").returncode == 0
    last = entries(checkout, "app")[-1]
    assert [last[key] for key in ("event", "image", "previous", "why")] == ["rolled back", *names, "slow"]
    assert checkout.run("rollback", "app", "--to", names[1]).returncode == 0
    assert [(one["event"], one["image"]) for one in entries(checkout, "app")][-1] == ("rolled back", names[1])


def test_nothing_is_recorded_of_a_family_that_nobody_touched(checkout: Checkout) -> None:
    assert entries(checkout, "app") == []
    done = checkout.run("history", "app")
    assert (done.returncode, done.stdout) == (0, "")
    assert "nothing is recorded of a family app" in done.stderr
    assert not (checkout.root / ".bakery" / "library").exists(), "a look makes no library"
    assert checkout.run("promote", "app", "--why", "x" * 1001).returncode == 2


def test_an_image_is_approved_by_an_owner_who_did_not_write_the_change(
    checkout: Checkout, library: LocalLibrary
) -> None:
    (checkout.root / "packages/app/recipe.yaml").write_text(f"owners: [cfd, {ANN}, {BOB}]\n", encoding="utf-8")
    image = proven(checkout, library, "one", BOB)
    asks = f"waits for approval by {ANN} or {BOB}: bakery approve app"
    assert asks in checkout.run("plan").stdout

    become(checkout, EVE)
    done = checkout.run("approve", "app")
    assert (done.returncode, f"app is approved by {ANN} or {BOB}; you are {EVE}" in done.stderr) == (1, True)
    become(checkout, BOB)
    done = checkout.run("approve", "app")
    assert (done.returncode, f"{image} has changes of app by {BOB}, who can't approve it" in done.stderr) == (1, True)
    assert f"ask another owner: {ANN}" in done.stderr
    assert from_file(checkout.root, "dev").approved == {}
    assert entries(checkout, "app") == []

    checkout.settings(oven="fake", approval=["app"], approved={"app": image})
    assert asks in checkout.run("plan").stdout, "a line in the settings is not enough"
    become(checkout, ANN)
    done = checkout.run("approve", "app", "--why", "read it")
    assert (done.returncode, "waits" in done.stdout) == (0, False), done.stderr
    (entry,) = entries(checkout, "app")
    assert (entry["event"], entry["image"], entry["who"], entry["why"]) == ("approved", image, ANN, "read it")
    assert "waits" not in checkout.run("plan").stdout

    library.promote(image, "app")
    newer = proven(checkout, library, "two", ANN)
    assert checkout.run("approve", "app", newer).returncode == 1
    become(checkout, BOB)
    assert checkout.run("approve", "app", newer).returncode == 0, "what was promoted is not part of the change"


def test_an_approval_of_another_stack_or_image_does_not_count(checkout: Checkout, library: LocalLibrary) -> None:
    (checkout.root / "packages/app/recipe.yaml").write_text(f"owners: [{ANN}]\n", encoding="utf-8")
    image = proven(checkout, library, "one", BOB)
    become(checkout, ANN)
    checkout.settings(oven="fake", approval=["app"], approved={"app": image})
    other = LocalLibrary(replace(from_file(checkout.root, "dev"), stack="prod"))
    other.history.record(HistoryEntry("app", HistoryEvent.APPROVED, image))
    library.history.record(HistoryEntry("app", HistoryEvent.APPROVED, "app-000000000000"))
    library.history.record(HistoryEntry("app", HistoryEvent.PINNED, image))
    assert f"waits for approval by {ANN}" in checkout.run("plan").stdout
    library.history.record(HistoryEntry("app", HistoryEvent.APPROVED, image))
    assert "waits" not in checkout.run("plan").stdout


def test_the_history_of_a_gcp_stack_is_in_its_bucket(checkout: Checkout, cloud: FakeServer) -> None:
    library = Google(from_file(checkout.root, "gcp").google)
    assert library.principal == ""
    assert checkout.run("promote", "app", "--stack", "gcp", "--why", "no pin any more").returncode == 0
    (entry,) = entries(checkout, "app", "--stack", "gcp")
    assert (entry["event"], entry["why"], entry["who"]) == ("unpinned", "no pin any more", "")
    assert any("/o/history/app/" in key for key in cloud.cloud.items)
    del cloud.cloud.items["storage/storage/v1/b/p-bakery-artifacts"]
    done = checkout.run("promote", "app", "--stack", "gcp")
    assert done.returncode == 0
    assert "app: unpinned is not in the history" in done.stderr
