"""The book of refusals: the fake refuses what Google refuses, in Google's words, and says where they are known from."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.fake_google import compute
from tests.fake_google.refusals import RULES
from tests.fake_google.refusals.rule import RPC_CODES, Rule
from tests.fake_google.server import FakeServer, serve

Json = Any
MOST_ASSUMED = 4  # rules for which no source was found; the number may only fall
MACHINE = {
    "name": "m",
    "machineType": "zones/us-central1-a/machineTypes/e2-standard-2",
    "disks": [{"boot": True, "initializeParams": {}}],
    "networkInterfaces": [{"subnetwork": "projects/p/regions/us-central1/subnetworks/bakery"}],
    "shieldedInstanceConfig": {"enableSecureBoot": True},
    "labels": {"bakery": "test"},
}


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serve() as running:
        large = {"name": "large", "diskSizeGb": "50"}
        for image in (large, {"name": "arm", "architecture": "ARM64"}):
            compute.add_image(running.cloud, "compute/compute/v1/projects/p/global/images", image)
        yield running


def send(server: FakeServer, rule: Rule, body: Json) -> tuple[int, Json]:
    """The fake's answer to a rule's request."""
    data = None if body is None else json.dumps(body).encode()
    service = rule.methods[0].partition(".")[0]
    request = urllib.request.Request(f"{server.url}/{service}{rule.example.path}", data, method=rule.example.method)
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def body(rule: Rule, changes: Mapping[str, Any] | None) -> Json:
    """A request that breaks no rule, with ``changes``."""
    if rule.example.method == "GET":
        return None
    return ({**MACHINE} if rule.example.path.endswith("/instances") else {}) | dict(changes or {})


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_what_breaks_a_rule_is_refused_in_googles_words(server: FakeServer, rule: Rule) -> None:
    for name, value in rule.example.switch.items():
        setattr(server.cloud.conditions, name, value)
    status, answer = send(server, rule, body(rule, rule.example.body))
    if rule.operation:
        assert status == 200
        assert "error" not in answer, "an operation fails later"
        server.cloud.hurry()
        (ended,) = [item for key, item in server.cloud.items.items() if "/operations/" in key]
        if rule.methods[0].startswith("compute."):
            assert (answer["kind"], answer["status"]) == ("compute#operation", "RUNNING")
            assert ended["error"]["errors"][0]["code"] == rule.operation
            assert ended["error"]["errors"][0]["message"]
            assert ended["httpErrorStatusCode"] == rule.status
        else:  # google.longrunning.Operation: an error in place of the response
            assert "done" not in answer and ended["done"] is True and "response" not in ended
            assert ended["error"]["code"] == RPC_CODES[rule.operation] and ended["error"]["message"]
    else:
        assert (status, answer["error"]["code"]) == (rule.status, rule.status)
        assert answer["error"]["message"]
        for error in answer["error"].get("errors", []):
            assert (error["reason"], error["message"]) == (rule.reason, answer["error"]["message"])


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if "compute.instances.insert" in rule.methods], ids=lambda r: r.name
)
def test_what_breaks_no_rule_is_not_refused(server: FakeServer, rule: Rule) -> None:
    status, answer = send(server, rule, body(rule, {}) or None)
    assert status == 200
    assert "error" not in answer
    server.cloud.hurry()
    assert not [item for key, item in server.cloud.items.items() if "/operations/" in key and "error" in item]


def test_every_rule_has_a_source_of_its_own_name() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES) >= 45
    for rule in RULES:
        dated = re.search(r"https://\S+|discovery document|recordings", rule.source)
        assert dated, f"{rule.name} has no source"
    assumed = [rule.name for rule in RULES if rule.assumed]
    assert len(assumed) <= MOST_ASSUMED, assumed
