"""The Cloud Build oven against the fake Google Cloud, through the real client libraries."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bakery.errors import BakeFailed, BakeryError, InfrastructureFailed, InputError, Interrupted, Uncertain
from bakery.host import propagation
from bakery.host.google import Google
from bakery.library.compute_engine import events as published
from bakery.orders.model import BakeOrder
from bakery.ovens.base import BakeOutcome
from bakery.ovens.cloud_build import watch
from bakery.ovens.cloud_build.oven import CloudBuildOven
from bakery.ovens.cloud_build.request import build_request, packer_template
from bakery.ovens.cloud_build.source import archive
from bakery.paths import StatePaths
from bakery.plan.summary import Base
from bakery.progress.activity import Activity
from bakery.progress.deadline import VARIABLE
from bakery.recipe.model import SourceFile
from bakery.settings import Settings, parse
from tests.fake_google import builds, compute, tokens
from tests.fake_google.builds import Course
from tests.fake_google.cloud import Fault
from tests.fake_google.server import FakeServer, serve
from tests.support.clock import Clock
from tests.support.every import every

TEMPLATE = {
    "variables": {"image_name": "", "zone": ""},
    "builders": [
        {
            "type": "googlecompute",
            "image_name": "{{user `image_name`}}",
            "image_family": "hpcc",
            "source_image_family": "debian-12",
            "disk_size": 20,
        }
    ],
    "provisioners": [{"type": "shell", "script": "packages/hpcc/install.sh"}],
}
BUILD = {
    "steps": [
        {
            "id": "Build Image",
            "name": "hashicorp/packer:latest",
            "args": ["build", "-force", "-var", "image_name=${_IMAGE_NAME}", "packages/hpcc/packer.json"],
            "waitFor": ["-"],
        },
        {"id": "Fluid Run", "name": "gcr.io/research-computing-cloud/fluid-run", "args": ["--save-results"]},
    ]
}


IMAGES = "compute/compute/v1/projects/p/global/images"
TOPIC = "pubsub/v1/projects/p/topics/bakery-events"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serve() as running:
        running.cloud.add_stack_storage()
        yield running
        assert running.cloud.violations == []


def settings(server: FakeServer, **google: object) -> Settings:
    values = {"project": "p", "region": "us-central1", "endpoint": server.url, **google}
    return parse({"oven": "cloud-build", "google": values}, "gcp", Path())


def order(tmp_path: Path, digest: str = "a" * 64) -> BakeOrder:
    source = tmp_path / "install.sh"
    source.write_text("#!/bin/bash\necho hello\n")
    sha = hashlib.sha256(source.read_bytes()).hexdigest()
    return BakeOrder(
        package="hpcc",
        variant="",
        family="hpcc",
        name=f"hpcc-{digest[:12]}",
        digest=digest,
        base=Base("debian-12", "debian-12-v1", "id:1", "debian-cloud"),
        template=TEMPLATE,
        template_path="packages/hpcc/packer.json",
        build=BUILD,
        variables={},
        substitutions={"_COMPILER": "gcc"},
        files=(SourceFile("packages/hpcc/install.sh", 0o755, sha, source),),
        labels={"bakery-digest": digest[:32], "bakery-family": "hpcc"},
        inputs={"packages/hpcc/install.sh": sha[:12]},
        timeout=600,
    )


def oven(server: FakeServer, **google: object) -> CloudBuildOven:
    return CloudBuildOven(settings(server, **google), poll_seconds=0.05)


def calls(server: FakeServer, method: str) -> int:
    return sum(1 for _, name, _ in server.cloud.calls if name.endswith(method))


def test_no_more_builds_at_once_than_the_settings_say(server: FakeServer, tmp_path: Path) -> None:
    builds.script(server.cloud, lambda _build: Course(seconds=0.4))
    limited = oven(server, bakesAtOnce=1)
    orders = [order(tmp_path, letter * 64) for letter in "ab"]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda one: limited.bake(one, Activity()), orders))
    assert [one.outcome for one in done] == [BakeOutcome.BAKED] * 2
    first, second = sorted(server.cloud.below("cloudbuild/v1/projects/p/builds"), key=lambda one: one["createTime"])
    assert first["finishTime"] <= second["createTime"]


POOL = "projects/net/locations/us-central1/workerPools/private"


def test_builds_of_a_private_pool_are_those_of_its_region(server: FakeServer, tmp_path: Path) -> None:
    builds.script(server.cloud, lambda _build: Course(seconds=0.2))
    private = oven(server, workerPool=POOL)
    assert private.bake(order(tmp_path), Activity()).outcome is BakeOutcome.BAKED
    (build,) = server.cloud.below("cloudbuild/v1/projects/p/builds")
    assert build["options"]["pool"] == {"name": POOL}
    assert build["name"].startswith("projects/p/locations/us-central1/builds/")
    asked = {name for _, name, _ in server.cloud.calls if ".builds." in name}
    assert asked >= {"cloudbuild.projects.locations.builds.create", "cloudbuild.projects.locations.builds.list"}
    assert not any(name.startswith("cloudbuild.projects.builds.") for name in asked)


def test_a_build_of_a_private_pool_is_cancelled_there(server: FakeServer, tmp_path: Path) -> None:
    builds.script(server.cloud, lambda _build: Course(seconds=30))
    with pytest.raises(Interrupted):
        oven(server, workerPool=POOL).bake(order(tmp_path), cancelled_while_the_build_runs())
    (build,) = server.cloud.below("cloudbuild/v1/projects/p/builds")
    assert build["status"] == "CANCELLED"
    assert calls(server, "locations.builds.cancel") == 1


def test_bakes_and_then_adopts(server: FakeServer, tmp_path: Path) -> None:
    builds.script(server.cloud, lambda _build: Course(seconds=0.2))
    said: list[str] = []
    baked = oven(server).bake(order(tmp_path), Activity(say=said.append))
    assert (baked.name, baked.outcome) == ("hpcc-aaaaaaaaaaaa", BakeOutcome.BAKED)
    assert "uploading the source" in said
    assert any(phase.startswith("build working") for phase in said)
    record = oven(server).library.find(baked.name)
    assert record is not None
    assert record.family == ""
    assert oven(server).library.manifest(baked.name) == order(tmp_path).inputs
    assert oven(server).bake(order(tmp_path), Activity()).outcome is BakeOutcome.ADOPTED
    assert calls(server, "builds.create") == 1


def test_an_image_that_somebody_marked_as_deleted_is_not_adopted(server: FakeServer, tmp_path: Path) -> None:
    made = oven(server).bake(order(tmp_path), Activity())
    server.cloud.items[f"{IMAGES}/{made.name}"]["deprecated"] = {"state": "DELETED"}
    with pytest.raises(InfrastructureFailed, match=r"is marked as DELETED.*\n.*gcloud compute images delete hpcc-a"):
        oven(server).bake(order(tmp_path), Activity())
    assert calls(server, "builds.create") == 1


def test_a_bucket_that_is_not_there_is_told_with_what_to_do(server: FakeServer, tmp_path: Path) -> None:
    with pytest.raises(
        InfrastructureFailed, match=r"^there is no bucket my-sources\nhint: run pulumi up .*google\.buckets$"
    ):
        oven(server, buckets={"sources": "my-sources"}).bake(order(tmp_path), Activity())


def test_two_families_of_the_same_digest_are_two_bakes(server: FakeServer, tmp_path: Path) -> None:
    builds.script(server.cloud, lambda _build: Course(seconds=0.5))
    orders = [replace(order(tmp_path), family=family, name=f"{family}-aaaaaaaaaaaa") for family in ("one", "two")]
    shared = oven(server)
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda one: shared.bake(one, Activity()), orders))
    assert [(bake.name, bake.outcome) for bake in done] == [(one.name, BakeOutcome.BAKED) for one in orders]


@pytest.mark.parametrize(
    "line",
    [
        "==> googlecompute: Error creating instance: Quota 'CPUS' exceeded.  Limit: 24.0 in region us-central1.",
        "Error creating instance: googleapi: Error 403: Quota 'SSD_TOTAL_GB' exceeded. Limit: 1.0., quotaExceeded",
    ],
)
def test_a_quota_is_no_fault_of_the_recipe(server: FakeServer, tmp_path: Path, line: str) -> None:
    builds.script(server.cloud, lambda _build: Course(status="FAILURE", log=(line,)))
    with pytest.raises(InfrastructureFailed, match="ended as FAILURE"):
        oven(server).bake(order(tmp_path), Activity())


@pytest.mark.parametrize(
    "course",
    [
        Course(status="FAILURE", detail="failed to fetch the source: 403", failure="FETCH_SOURCE_FAILED"),
        Course(
            status="FAILURE", log=("googleapi: Error 403: Required 'compute.instances.create' permission, forbidden",)
        ),
    ],
)
def test_a_grant_that_is_missing_or_too_young_is_no_fault_of_the_recipe(
    server: FakeServer, tmp_path: Path, course: Course
) -> None:
    builds.script(server.cloud, lambda _build: course)
    with pytest.raises(InfrastructureFailed) as caught:
        oven(server).bake(order(tmp_path), Activity())
    assert "some minutes to work" in caught.value.hint
    assert calls(server, "builds.create") == 1, "no grant is young"


def test_a_bake_waits_for_grants_of_the_same_up(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(propagation, "time", SimpleNamespace(time=clock))
    refused = Course(status="FAILURE", detail="failed to fetch the source: 403", failure="FETCH_SOURCE_FAILED")
    builds.script(server.cloud, lambda _build: refused if clock.passed < 120 else Course())
    given = replace(settings(server), state=tmp_path / "state")
    baking = CloudBuildOven(given, Google(given.google), poll_seconds=0.05)
    propagation.note(StatePaths(given.state).grants, ["bakery-bake may read the sources"])
    said: list[str] = []
    assert baking.bake(order(tmp_path), clock.activity(said.append)).outcome is BakeOutcome.BAKED
    assert any("waiting until new grants take effect" in phase for phase in said)
    assert clock.passed >= 120
    assert clock.waited(propagation.FIRST_PAUSE) < 240, "without the polls, whose number depends on the machine"
    assert calls(server, "builds.create") <= 5


def events(server: FakeServer) -> list[tuple[str, str]]:
    """Event and reason of all messages."""
    published.flush()
    bodies = [json.loads(message["data"]) for message in server.cloud.messages.get(TOPIC, [])]
    return [(body["event"], body.get("reason", "")) for body in bodies]


def test_a_bake_is_told_by_who_baked_and_by_nobody_else(server: FakeServer, tmp_path: Path) -> None:
    builds.script(server.cloud, lambda _build: Course(seconds=0.2))
    bake_at_once([oven(server) for _ in range(3)], tmp_path, lambda _phase: None)
    assert oven(server).bake(order(tmp_path), Activity()).outcome is BakeOutcome.ADOPTED
    assert events(server) == [("baked", "")]


def test_a_failed_bake_is_told_once_and_a_zone_without_capacity_is_none(server: FakeServer, tmp_path: Path) -> None:
    builds.script(server.cloud, lambda _build: Course(status="FAILURE", log=("ZONE_RESOURCE_POOL_EXHAUSTED",)))
    with pytest.raises(InfrastructureFailed):
        oven(server).bake(order(tmp_path), Activity())
    builds.script(server.cloud, lambda _build: Course(status="FAILURE", detail="step 1 exited with 1"))
    with pytest.raises(BakeFailed):
        oven(server).bake(order(tmp_path), Activity())
    (first, why), (second, reason) = events(server)
    assert (first, second) == ("failed", "failed")
    assert why.startswith("no zone of us-central1-a")
    assert reason.endswith("step 1 exited with 1")


def test_a_build_waits_its_turn_for_a_day(server: FakeServer, tmp_path: Path) -> None:
    made = build_request(order(tmp_path), settings(server).google, "us-central1-a", "x.tar.gz", "session-1")
    assert made["queueTtl"] == "86400s"


def test_a_key_of_ones_own_encrypts_disk_and_image(server: FakeServer, tmp_path: Path) -> None:
    key = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"
    builder = packer_template(order(tmp_path), settings(server, kmsKey=key).google, "us-central1-b")["builders"][0]
    assert builder["disk_encryption_key"] == builder["image_encryption_key"] == {"kmsKeyName": key}
    plain = packer_template(order(tmp_path), settings(server).google, "us-central1-b")["builders"][0]
    assert not [option for option in plain if "encryption" in option]


def test_the_request_never_forces_and_is_pinned(server: FakeServer, tmp_path: Path) -> None:
    request = build_request(order(tmp_path), settings(server).google, "us-central1-a", "x.tar.gz", "session-1")
    text = json.dumps(request)
    assert "-force" not in text
    assert "latest" not in text
    assert [step["id"] for step in request["steps"]] == ["Fetch Packer", "Build Image"]
    assert request["steps"][1]["waitFor"] == ["Fetch Packer"]
    assert request["serviceAccount"].endswith("bakery-bake@p.iam.gserviceaccount.com")
    assert request["substitutions"]["_COMPILER"] == "gcc"


def test_the_candidate_is_baked_outside_of_its_family(server: FakeServer, tmp_path: Path) -> None:
    builder = packer_template(order(tmp_path), settings(server).google, "us-central1-b")["builders"][0]
    assert "image_family" not in builder
    assert builder["source_image"] == "debian-12-v1"
    assert builder["omit_external_ip"] is True
    assert builder["use_iap"] is True
    assert builder["image_labels"]["bakery-digest"] == "a" * 32
    assert builder["disk_size"] == 20


def test_the_source_is_uploaded_once_per_content(server: FakeServer, tmp_path: Path) -> None:
    maker = oven(server)
    google = maker.settings.google
    assert maker._upload(order(tmp_path), google, "z") == maker._upload(order(tmp_path), google, "z")
    stored = [key for key in server.cloud.media if "p-bakery-sources" in key]
    assert len(stored) == 1
    with tarfile.open(fileobj=io.BytesIO(server.cloud.media[stored[0]])) as tar:
        assert sorted(tar.getnames()) == ["packages/hpcc/install.sh", "packages/hpcc/packer.json"]
        assert tar.getmember("packages/hpcc/install.sh").mode == 0o755


def test_an_edit_during_the_up_is_noticed(tmp_path: Path) -> None:
    made = order(tmp_path)
    (tmp_path / "install.sh").write_text("changed")
    with pytest.raises(InputError, match="changed during the up"):
        archive(made, {})
    (tmp_path / "install.sh").unlink()
    with pytest.raises(InputError, match="can no longer be read"):
        archive(made, {})


def bake_at_once(makers: Sequence[CloudBuildOven], tmp_path: Path, say: Callable[[str], None]) -> list[BakeOutcome]:
    """All makers bake the same order in threads of their own."""
    one = order(tmp_path)
    with ThreadPoolExecutor(len(makers)) as pool:
        return [bake.outcome for bake in pool.map(lambda maker: maker.bake(one, Activity(say=say)), makers)]


def test_joins_a_build_that_runs_for_the_digest(server: FakeServer, tmp_path: Path) -> None:
    builds.script(server.cloud, lambda _build: Course(seconds=3600))
    joined = threading.Semaphore(0)

    def say(phase: str) -> None:
        if phase == "joined a running build":
            joined.release()

    def end_when_all_have_joined() -> None:
        seen = [joined.acquire(timeout=60) for _ in range(3)]
        server.cloud.hurry()  # also when one is missing: the pool waits for all bakes
        assert every(seen)

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(end_when_all_have_joined)
        outcomes = bake_at_once([oven(server) for _ in range(4)], tmp_path, say)
        ended.result()
    assert sorted(outcomes) == [BakeOutcome.BAKED, BakeOutcome.JOINED, BakeOutcome.JOINED, BakeOutcome.JOINED]


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.2])
def test_no_digest_is_baked_twice_however_short_the_build(server: FakeServer, tmp_path: Path, seconds: float) -> None:
    """Builds that end between one look of another maker and the next, in whatever order these come."""
    builds.script(server.cloud, lambda _build: Course(seconds=seconds))
    outcomes = bake_at_once([oven(server) for _ in range(6)], tmp_path, lambda _phase: None)
    assert outcomes.count(BakeOutcome.BAKED) == 1
    ended = [item["status"] for key, item in server.cloud.items.items() if key.startswith("cloudbuild/v1/")]
    assert ended.count("SUCCESS") == 1


def test_a_build_that_ended_before_this_ones_submission_is_joined(server: FakeServer, tmp_path: Path) -> None:
    """The other maker begins and ends between this one's look for the image and its submission."""
    builds.script(server.cloud, lambda _build: Course())
    outcomes: list[BakeOutcome] = []

    def say(phase: str) -> None:
        if phase == "uploading the source" and not outcomes:
            outcomes.append(oven(server).bake(order(tmp_path), Activity()).outcome)

    builds_seen = oven(server).bake(order(tmp_path), Activity(say=say)).outcome
    assert [*outcomes, builds_seen] == [BakeOutcome.BAKED, BakeOutcome.JOINED]


def test_an_image_that_somebody_made_meanwhile_is_adopted(server: FakeServer, tmp_path: Path) -> None:
    """Made by no build at all: Packer says so, and the next look finds it."""
    builds.script(server.cloud, lambda _build: Course(seconds=0.3))

    def say(phase: str) -> None:
        if phase == "uploading the source":
            labels = dict(order(tmp_path).labels)
            compute.add_image(server.cloud, IMAGES, {"name": order(tmp_path).name, "labels": labels})

    assert oven(server).bake(order(tmp_path), Activity(say=say)).outcome is BakeOutcome.ADOPTED


def test_who_joined_a_build_bakes_when_its_maker_cancels_it(server: FakeServer, tmp_path: Path) -> None:
    # The maker's build runs until it is cancelled, the next one is done at once.
    courses = iter([Course(seconds=3600)])
    builds.script(server.cloud, lambda _build: next(courses, Course()))
    maker = Activity()

    def say(phase: str) -> None:
        if phase == "joined a running build":
            maker.cancelled.set()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(oven(server).bake, order(tmp_path), maker)
        while calls(server, "builds.create") == 0:
            time.sleep(0.01)
        second = pool.submit(oven(server).bake, order(tmp_path), Activity(say=say))
        with pytest.raises(Interrupted):
            first.result(60)
        assert second.result(60).outcome is BakeOutcome.BAKED


def test_a_failed_build_quotes_the_last_lines_and_the_log(server: FakeServer, tmp_path: Path) -> None:
    log = tuple(f"line {number}" for number in range(100))
    builds.script(server.cloud, lambda _build: Course(status="FAILURE", log=log, detail="step 1 exited with 1"))
    with pytest.raises(BakeFailed) as caught:
        oven(server).bake(order(tmp_path), Activity())
    assert caught.value.tail == log[-40:]
    assert "step 1 exited with 1" in str(caught.value)
    assert str(caught.value.log).startswith("https://console.cloud.google.com/")
    assert "bakery bake hpcc" in caught.value.replay


def test_an_internal_error_is_the_infrastructures(server: FakeServer, tmp_path: Path) -> None:
    builds.script(server.cloud, lambda _build: Course(status="INTERNAL_ERROR"))
    with pytest.raises(InfrastructureFailed):
        oven(server).bake(order(tmp_path), Activity())


def test_tries_the_next_zone_when_one_has_no_capacity(server: FakeServer, tmp_path: Path) -> None:
    def course(build: dict[str, dict[str, str]]) -> Course:
        if build["substitutions"]["_ZONE"] == "us-central1-a":
            return Course(status="FAILURE", log=("Error: ZONE_RESOURCE_POOL_EXHAUSTED",))
        return Course()

    builds.script(server.cloud, course)
    said: list[str] = []
    assert oven(server).bake(order(tmp_path), Activity(say=said.append)).outcome is BakeOutcome.BAKED
    assert "us-central1-a has no capacity, trying us-central1-b" in said


def test_no_capacity_anywhere_is_the_infrastructures(server: FakeServer, tmp_path: Path) -> None:
    builds.script(server.cloud, lambda _build: Course(status="FAILURE", log=("ZONE_RESOURCE_POOL_EXHAUSTED",)))
    with pytest.raises(InfrastructureFailed, match="no zone of"):
        oven(server, zones=["us-central1-a", "us-central1-b"]).bake(order(tmp_path), Activity())
    assert calls(server, "builds.create") == 2


def cancelled_while_the_build_runs() -> Activity:
    cancelled = threading.Event()
    return Activity(lambda phase: cancelled.set() if phase.startswith("build ") else None, cancelled)


def test_cancelling_cancels_the_build(server: FakeServer, tmp_path: Path) -> None:
    builds.script(server.cloud, lambda _build: Course(seconds=60))
    began = time.monotonic()
    with pytest.raises(Interrupted):
        oven(server).bake(order(tmp_path), cancelled_while_the_build_runs())
    assert time.monotonic() - began < 45, "it did not wait for the build"
    states = [item["status"] for key, item in server.cloud.items.items() if key.startswith("cloudbuild/v1/")]
    assert states == ["CANCELLED"]


def test_at_its_deadline_an_up_leaves_its_builds_to_the_next_one(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds.script(server.cloud, lambda _build: Course(seconds=6))
    monkeypatch.setenv(VARIABLE, str(int(time.time())))
    with pytest.raises(Interrupted, match="at the deadline of this run"):
        oven(server).bake(order(tmp_path), cancelled_while_the_build_runs())
    monkeypatch.delenv(VARIABLE)
    assert oven(server).bake(order(tmp_path), Activity()).outcome is BakeOutcome.JOINED
    assert (calls(server, "builds.create"), calls(server, "builds.cancel")) == (1, 0)


def test_a_build_without_the_image_is_a_failed_bake(server: FakeServer, tmp_path: Path) -> None:
    builds.script(server.cloud, lambda _build: Course(makes_image=False))
    with pytest.raises(BakeFailed, match="created no image of that name"):
        oven(server).bake(order(tmp_path), Activity())


def test_a_403_is_never_taken_for_gone(server: FakeServer, tmp_path: Path) -> None:
    server.cloud.faults.append(Fault("compute.images.get", 403))
    with pytest.raises(Uncertain, match="role"):
        oven(server).bake(order(tmp_path), Activity())
    assert calls(server, "builds.create") == 0


@pytest.mark.parametrize("code", [429, 500, 503])
def test_passing_faults_are_tried_again(server: FakeServer, tmp_path: Path, code: int) -> None:
    builds.script(server.cloud, lambda _build: Course(seconds=0.3))
    server.cloud.faults += [Fault("compute.images.get$", code), Fault("builds.list", code)]
    assert oven(server).bake(order(tmp_path), Activity()).outcome is BakeOutcome.BAKED


def test_a_rate_limit_of_cloud_build_is_a_429_and_the_request_is_repeated(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bakery.ovens.cloud_build.oven.SUBMIT_AGAIN_SECONDS", 0.05)
    server.cloud.conditions.rate = {f"cloudbuild.projects.builds.{verb}" for verb in ("list", "create")}
    assert oven(server).bake(order(tmp_path), Activity()).outcome is BakeOutcome.BAKED
    assert server.cloud.conditions.rate == set()
    assert calls(server, "builds.create") == 2


def test_half_answers_are_tried_again(server: FakeServer, tmp_path: Path) -> None:
    server.cloud.faults += [Fault("compute.images.get$", half=True), Fault("builds.list", half=True)]
    assert oven(server).bake(order(tmp_path), Activity()).outcome is BakeOutcome.BAKED


@pytest.mark.parametrize("fault", [Fault("builds.create", 503), Fault("builds.create", half=True)], ids=["503", "half"])
def test_a_submission_whose_answer_is_lost_makes_one_build(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    """A half answer comes of a build that was made: it is found by its tags and not submitted again."""
    monkeypatch.setattr("bakery.ovens.cloud_build.oven.SUBMIT_AGAIN_SECONDS", 0.05)
    builds.script(server.cloud, lambda _build: Course(seconds=0.3))
    server.cloud.faults.append(replace(fault))
    assert oven(server).bake(order(tmp_path), Activity()).outcome is BakeOutcome.BAKED
    made = [item["status"] for key, item in server.cloud.items.items() if key.startswith("cloudbuild/v1/")]
    assert made == ["SUCCESS"]


def test_a_cancel_that_is_refused_for_a_moment_is_tried_again(server: FakeServer, tmp_path: Path) -> None:
    builds.script(server.cloud, lambda _build: Course(seconds=60))
    server.cloud.faults.append(Fault("builds.cancel", 503))
    with pytest.raises(Interrupted):
        oven(server).bake(order(tmp_path), cancelled_while_the_build_runs())
    states = [item["status"] for key, item in server.cloud.items.items() if key.startswith("cloudbuild/v1/")]
    assert states == ["CANCELLED"]


@pytest.mark.parametrize("method", ["builds.list", "builds.create", "storage.objects.insert", "compute.images.get$"])
@pytest.mark.parametrize("code", [400, 401, 403, 404, 409])
def test_every_refusal_is_told_in_the_bakerys_words(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, code: int
) -> None:
    monkeypatch.setattr("bakery.ovens.cloud_build.oven.SUBMIT_AGAIN_SECONDS", 0.05)
    builds.script(server.cloud, lambda _build: Course())
    server.cloud.faults.append(Fault(method, code, times=-1))
    with pytest.raises(Uncertain if code in (401, 403) else BakeryError):
        oven(server).bake(order(tmp_path), Activity())


def test_sixty_four_bakes_share_their_polls(server: FakeServer, tmp_path: Path) -> None:
    builds.script(server.cloud, lambda _build: Course(seconds=1.0))
    maker = CloudBuildOven(settings(server), poll_seconds=0.2)
    orders = [order(tmp_path, hashlib.sha256(str(n).encode()).hexdigest()) for n in range(64)]
    outcomes: list[BakeOutcome] = []
    threads = [
        threading.Thread(target=lambda one=one: outcomes.append(maker.bake(one, Activity()).outcome)) for one in orders
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [BakeOutcome.BAKED] * 64
    # Before and after each submission the oven asks for the digest's builds; the waits share the rest.
    waits = calls(server, "builds.list") - 64 * 2
    assert waits < 64
    assert calls(server, "builds.get") == 0


def test_credentials_are_renewed_while_a_bake_runs(server: FakeServer, tmp_path: Path) -> None:
    builds.script(server.cloud, lambda _build: Course(seconds=2.5))
    with tokens.issuing(server.cloud, 3600) as issuer:
        google = Google(settings(server).google)
        google.__dict__["credentials"] = issuer.credentials()
        made = CloudBuildOven(settings(server), google, poll_seconds=0.05)
        server.cloud.at(time.time() + 1, issuer.issue)  # the token before ends with it, and the client has to notice
        assert made.bake(order(tmp_path), Activity()).outcome is BakeOutcome.BAKED
        assert issuer.issued >= 2
    assert "cloudbuild.projects.builds.create" in server.cloud.bearers["deploy@p.iam.gserviceaccount.com"]


def test_credentials_that_were_revoked_while_a_bake_ran_are_told(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "UNANSWERED_SECONDS", 1.0)
    said: list[str] = []
    builds.script(server.cloud, lambda _build: Course(seconds=30))
    with tokens.issuing(server.cloud, 3600) as issuer:
        google = Google(settings(server).google)
        google.__dict__["credentials"] = issuer.credentials()

        def say(phase: str) -> None:
            said.append(phase)
            if phase.startswith("build ") and not issuer.revoked:  # its state was read once
                with server.cloud.lock:
                    issuer.revoked = True
                    issuer.issue()

        with pytest.raises(Uncertain) as raised:
            CloudBuildOven(settings(server), google, poll_seconds=0.05).bake(order(tmp_path), Activity(say=say))
    assert any("its state can't be read" in line and "invalid_grant" in line for line in said)
    assert "gcloud auth application-default login" in raised.value.hint


def test_a_build_with_secrets_says_where_they_are_and_has_none(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recipe may name a source for this computer as well: it is not looked at."""
    (tmp_path / "key").write_text("the value of a licence", encoding="utf-8")
    monkeypatch.setenv("LICENCE", "the value of a licence")
    secret = {"secretManager": "hpl", "version": "3", "file": str(tmp_path / "key"), "environment": "LICENCE"}
    oven(server).bake(replace(order(tmp_path), secrets={"licence": secret}), Activity())
    (build,) = [item for key, item in server.cloud.items.items() if key.startswith("cloudbuild/v1/")]
    version = {"versionName": "projects/p/secrets/hpl/versions/3", "env": "BAKERY_SECRET_0"}
    assert build["availableSecrets"] == {"secretManager": [version]}
    assert [step.get("secretEnv", []) for step in build["steps"]] == [[], ["BAKERY_SECRET_0"]]
    stored = [*server.cloud.media.values(), json.dumps(server.cloud.items, default=str).encode()]
    assert len(stored) > 1
    for content in stored:
        plain = content if not content.startswith(b"\x1f\x8b") else gzip.decompress(content)
        assert b"the value of a licence" not in plain
        assert str(tmp_path / "key").encode() not in plain
