"""The fake answers as Google's real APIs did: see :mod:`tests.gcp.recordings` for where the exchanges are."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.fake_google import compute
from tests.fake_google.cloud import Cloud
from tests.fake_google.refusals.quoted import ASSUMED, QUOTED
from tests.fake_google.server import serve
from tests.gcp import methods, recordings
from tests.gcp.recordings import Difference, Exchange, Replay

REPLAYED = 327  # of 340 exchanges: those whose methods the fake serves. May rise only
CALLED = 115  # methods that the bakery calls
MOST_ASSUMED = 13  # of them, those without a recording or a quotation. May fall only
COMPUTE = "compute/compute/v1/projects"
OTHER_WORDS = "no method of ours: the fake has one form of 404 for all of Compute Engine"
NUMBERS = "the request asks for enums as numbers; client libraries take the names that the fake answers, too"
MOCK = "recorded from its authors' mock, as the request's short names in the answer show; fields as in the reference"
KEYS = "keys are made outside of the bakery, which only grants on them"
SERVICES = "an operation's metadata says nothing of it, and nobody reads it"
# Differences that stay: the method, what differs (patterns on both), and why.
KNOWN: tuple[tuple[str, str, str], ...] = (
    (r"compute\.(?!networks\.get|images)\w+\.get", r"(errors\.)?message", OTHER_WORDS),
    (r"iam\..*", r"(errors\.)?message", "two forms are recorded; the fake has the one of 13 recordings"),
    (r"storage\.bucketAccessControls\.delete", r"(errors\.)?message", "no method of ours"),
    (r"cloudresourcemanager\..*", r"status", "the caller may see any project; of tags the bakery knows nothing"),
    (r"cloudkms\..*", r"(primary|versionTemplate|cryptoKeyVersions|purpose).*|destroyScheduledDuration", KEYS),
    (r"cloudkms\..*", r"totalSize|kind", KEYS),
    (r"cloudkms\..*keyHandles\.get", r"message", "the recording masks the same name in two ways"),
    (r"cloudkms\..*", r"status", "services that are off and missing roles are in the book of refusals"),
    (r"(artifactregistry|pubsub)\..*", r"format|mode|.*\.(enablementState|encoding)", NUMBERS),
    (r"artifactregistry\..*", r"response\.(createTime|updateTime)|(response\.)?registryUri", "only a GET has them"),
    (r"cloudresourcemanager\.operations\.get", r"metadata.*|response\.lifecycleState", SERVICES),
    (r"serviceusage\..*", r"metadata.*", SERVICES),
    (r"pubsub\.projects\.schemas\..*", r"revision.*", "no method of ours"),
    (r"compute\.addresses\.get", r"address|description|kind|networkTier|status", "no method of ours"),
    (r"compute\.images\.get.*", r".*", MOCK),
    (r"compute\.instances\.get", r"fingerprint|networkInterfaces\[\]\.name", MOCK),
    (r"compute\.networks\.get", r"mtu", "in the reference, and in what pulumi-gcp reads"),
    (r"compute\.networks\.get", r"enableUlaInternalIpv6|internalIpv6Range", "the bakery's network has no IPv6"),
    (r"bigquery\.datasets\.insert", r"maxTimeTravelHours", "in every GET, only not yet in this answer"),
    (r"bigquery\.tables\..*", r"timePartitioning\.requirePartitionFilter", "the bakery's table does not ask for it"),
    (r"bigquery\.tables\..*", r"schema.*", "of an external table: BigQuery reads its schema from a file"),
    (r"storage\.buckets\.patch", r"(acl|defaultObjectAcl|owner)\b.*", "the bakery's buckets have no ACLs"),
    (r"storage\.objects\.list", r"prefixes.*", "folders that the recorded test made by other means"),
)


def default_network(cloud: Cloud) -> None:
    """The network that a project has from the start."""
    key = f"{COMPUTE}/{recordings.FIXED['projectId']}/global/networks/network-1"
    link = f"https://www.googleapis.com/{key.removeprefix('compute/')}"
    cloud.items[key] = {
        "kind": "compute#network",
        "id": cloud.number(),
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "name": "network-1",
        "description": "Default network for the project",
        "autoCreateSubnetworks": True,
        "networkFirewallPolicyEnforcementOrder": "AFTER_CLASSIC_FIREWALL",
        "selfLink": link,
        "selfLinkWithId": link,
        "subnetworks": [link],
    }


def debian(cloud: Cloud) -> None:
    """A public image."""
    compute.add_image(cloud, f"{COMPUTE}/debian-cloud/global/images", {"name": "debian-11-v1", "family": "debian-11"})


def account(cloud: Cloud) -> None:
    """The account that the recorded request made a second time."""
    project = recordings.FIXED["projectId"]
    address = f"sa-unique1@{project}.iam.gserviceaccount.com"
    cloud.items[f"iam/v1/projects/{project}/serviceAccounts/{address}"] = {"email": address}


# What was there before the recording began.
BEFORE: Mapping[str, tuple[Callable[[Cloud], None], ...]] = {
    "instances/computeinstancebasicexample-direct": (default_network, debian),
    "networks/computefirewall": (default_network,),
    "networks/computerouter-direct": (default_network,),
    "errors/27": (account,),
}


@cache
def recorded() -> Mapping[str, list[Exchange]]:
    if not any(recordings.FOLDER.rglob("*.json")):
        assert not os.environ.get("CI"), f"there are no recordings in {recordings.FOLDER}: set GOOGLE_RECORDINGS"
        pytest.skip("the recordings of Google's APIs are not here: set GOOGLE_RECORDINGS")
    return recordings.read(recordings.FOLDER)


@pytest.mark.parametrize("folder", ["empty", "missing"])
def test_without_recordings_the_replay_fails_in_ci_and_is_skipped_elsewhere(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(recordings, "FOLDER", tmp_path / folder)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="set GOOGLE_RECORDINGS"):
        recorded.__wrapped__()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(AssertionError, match="there are no recordings in"):
        recorded.__wrapped__()


@cache
def replayed() -> tuple[int, tuple[Difference, ...], tuple[str, ...]]:
    """How many exchanges were replayed, how the fake differs, and what it complained of."""
    number, found, complaints = 0, [], []
    for source, exchanges in recorded().items():
        with serve() as server:
            for prepare in BEFORE.get(source, ()):
                prepare(server.cloud)
            replay = Replay(server)
            for exchange in (exchange for exchange in exchanges if exchange.method):
                number += 1
                found += replay.differences(exchange)
            complaints += server.cloud.violations
    return number, tuple(found), tuple(complaints)


def known(difference: Difference) -> str:
    """Why a difference is left as it is; empty for one that nobody knows of."""
    for method, what, reason in KNOWN:
        if re.fullmatch(method, difference.method) and re.fullmatch(what, difference.what):
            return reason
    return ""


def test_every_exchange_that_the_fake_serves_is_replayed() -> None:
    number, _, complaints = replayed()
    assert number >= REPLAYED
    assert complaints == ()


def test_the_fake_answers_as_google_did() -> None:
    unknown = [difference for difference in replayed()[1] if not known(difference)]
    assert [
        f"{d.exchange.source} {d.exchange.number}: {d.method} {d.what}: {d.google}, {d.fake}" for d in unknown
    ] == []


def test_no_known_difference_is_out_of_date() -> None:
    found = replayed()[1]
    used = {
        (method, what)
        for method, what, _ in KNOWN
        if any(re.fullmatch(method, d.method) and re.fullmatch(what, d.what) for d in found)
    }
    assert [(method, what) for method, what, _ in KNOWN if (method, what) not in used] == []


@pytest.mark.parametrize("lie", ["status", "reason", "message", "field", "type", "life"])
def test_a_fake_that_answers_another_way_is_seen(lie: str) -> None:
    error = {"code": 404, "message": "not there", "errors": [{"reason": "notFound"}]}
    life = {"kind": "compute#operation", "status": "RUNNING", "progress": 0}
    google, fake = {
        "status": ((200, {}), (404, {"error": error})),
        "reason": ((404, {"error": error}), (404, {"error": error | {"errors": [{"reason": "invalid"}]}})),
        "message": ((404, {"error": error}), (404, {"error": error | {"message": "gone"}})),
        "field": ((200, {"disks": [{"boot": True}]}), (200, {"disks": [{}]})),
        "type": ((200, {"size": "10"}), (200, {"size": 10})),
        "life": ((200, life), (200, life | {"status": "DONE"})),
    }[lie]
    assert list(recordings.compared(*google, *google)) == []
    assert len(list(recordings.compared(*google, *fake))) == 1


def test_there_is_evidence_for_every_method_that_is_called() -> None:
    recorded_methods = {exchange.method for exchanges in recorded().values() for exchange in exchanges}
    called = methods.called()
    assert len(called) >= CALLED
    assert {method: who for method, who in called.items() if method not in recorded_methods | set(QUOTED)} == {}
    assert set(QUOTED) & recorded_methods == set(), "a recording is better evidence"
    assert set(QUOTED) - set(called) == set(), "nobody calls it"


def test_what_is_assumed_does_not_grow() -> None:
    assert len([method for method, source in QUOTED.items() if source.startswith(ASSUMED)]) <= MOST_ASSUMED
    dated = re.compile(r"assumed: |.*https://\S+, \d{4}-\d\d-\d\d")
    assert [method for method, source in QUOTED.items() if not dated.match(source)] == []


def test_a_call_that_the_code_begins_to_make_is_seen(tmp_path: Path) -> None:
    more = "self.google.change_compute('POST', 'global/images', body)\ngoogle.storage.bucket(b).blob(n).delete()\n"
    (tmp_path / "more.py").write_text(more)
    found = {method for method, _ in methods.by_the_code(tmp_path)}
    assert found == {"compute.images.insert", "compute.globalOperations.get", "storage.objects.delete"}
