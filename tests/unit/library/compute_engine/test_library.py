"""What only the Compute Engine library has; the rest is in the contract that all libraries share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import NotFound

from bakery.errors import BakeryError, Uncertain
from bakery.library.base import ImageState, Proof, Want
from bakery.library.compute_engine.images import ImageRequests
from bakery.library.compute_engine.library import ComputeEngineLibrary
from bakery.library.retention import prune
from bakery.report.library import report
from bakery.results.model import JobResult, RunResult, Verdict
from bakery.settings import parse
from bakery.settings.retention import EVERY_FAMILY, Retention
from tests.fake_google import compute
from tests.fake_google.cloud import CONSULTED, Answer, Cloud, Fault, Request
from tests.fake_google.refusals import keys
from tests.fake_google.server import FakeServer, serve

IMAGES = "compute/compute/v1/projects/p/global/images"
TABLE = "bigquery/bigquery/v2/projects/p/datasets/rcc_run/tables/app_runs"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serve() as running:
        running.cloud.items["storage/storage/v1/b/p-bakery-artifacts"] = {"name": "p-bakery-artifacts"}
        for number in range(3):
            labels = {"bakery-digest": f"d{number}", "bakery-family": "hpcc", "bakery-recipe": "hpcc"}
            compute.add_image(running.cloud, IMAGES, {"name": f"hpcc-{number}", "labels": labels})
        yield running
        assert running.cloud.violations == []


@pytest.fixture
def library(server: FakeServer) -> ComputeEngineLibrary:
    google = {"project": "p", "region": "us-central1", "endpoint": server.url}
    return ComputeEngineLibrary(parse({"oven": "cloud-build", "google": google}, "gcp", Path()))


def test_the_image_of_a_channel_is_made_from_the_recipes(server: FakeServer, library: ComputeEngineLibrary) -> None:
    encrypted = library.google.settings._replace(kms_key="projects/p/locations/us/keyRings/r/cryptoKeys/k")
    keys.authorize(server.cloud, encrypted.kms_key)
    library.google.settings = encrypted
    library.keep_manifest("hpcc-1", {"install.sh": "abc"})
    assert library.derive("hpcc-1", "hpcc-stable") == "hpcc-stable-1"
    made = server.cloud.items[f"{IMAGES}/hpcc-stable-1"]
    assert made["sourceImage"] == "projects/p/global/images/hpcc-1"
    assert made["imageEncryptionKey"] == {"kmsKeyName": encrypted.kms_key}
    assert made["labels"] == server.cloud.items[f"{IMAGES}/hpcc-1"]["labels"] | {
        "bakery-family": "hpcc-stable",
        "bakery-source": "hpcc-1",
    }
    assert library.manifest("hpcc-stable-1") == {"install.sh": "abc"}


def test_an_image_of_a_channel_that_failed_is_made_again_and_one_of_another_process_is_kept(
    server: FakeServer, library: ComputeEngineLibrary
) -> None:
    compute.add_image(server.cloud, IMAGES, {"name": "hpcc-stable-1"})
    server.cloud.items[f"{IMAGES}/hpcc-stable-1"]["status"] = "FAILED"
    library.derive("hpcc-1", "hpcc-stable")
    assert server.cloud.items[f"{IMAGES}/hpcc-stable-1"]["status"] == "READY"

    def first(cloud: Cloud, request: Request) -> Answer | None:
        if request.id == "compute.images.insert" and f"{IMAGES}/hpcc-stable-2" not in cloud.items:
            compute.add_image(cloud, IMAGES, {"name": "hpcc-stable-2"})
        return None

    CONSULTED.append(first)
    try:
        assert library.derive("hpcc-2", "hpcc-stable") == "hpcc-stable-2"
    finally:
        CONSULTED.remove(first)


def run(*jobs: JobResult) -> RunResult:
    return RunResult("run-1", "hpcc-0", "t", Verdict.PASSED, "2026-01-01T00:00:00Z", jobs)


def test_promotion_patches_and_never_replaces(server: FakeServer, library: ComputeEngineLibrary) -> None:
    library.promote("hpcc-0", "hpcc")
    assert library.promote("hpcc-1", "hpcc") == "hpcc-0"
    methods = {method for _, method, _ in server.cloud.calls}
    assert "compute.images.patch" in methods
    assert not methods & {"compute.images.insert", "compute.images.delete"}
    old = library.find("hpcc-0")
    assert old is not None
    assert (old.state, old.replacement) == ("DEPRECATED", "hpcc-1")


def test_a_promotion_waits_when_compute_engine_has_enough_of_it(
    server: FakeServer, library: ComputeEngineLibrary
) -> None:
    """The operation ends with an error that has its code and text only in its list."""
    library.promote("hpcc-0", "hpcc")
    server.cloud.conditions.busy = {"compute.images.patch", "compute.images.deprecate"}
    assert library.promote("hpcc-1", "hpcc") == "hpcc-0"
    assert server.cloud.conditions.busy == set()
    assert library.families() == {"hpcc": "hpcc-1"}


def test_an_operation_that_fails_is_told_with_code_and_text(server: FakeServer, library: ComputeEngineLibrary) -> None:
    answer = {"error": {"errors": [{"code": "RESOURCE_IN_USE", "message": "the image is in use"}]}}
    answer |= {"httpErrorStatusCode": 400, "httpErrorMessage": "BAD REQUEST", "kind": "compute#operation"}
    answer |= {"status": "DONE", "name": "operation-1"}

    def broken(_cloud: Cloud, request: Request) -> Answer | None:
        return Answer(answer) if request.id == "compute.images.patch" else None

    CONSULTED.append(broken)
    try:
        with pytest.raises(BakeryError, match=r"put image .*: RESOURCE_IN_USE: the image is in use"):
            library.promote("hpcc-0", "hpcc")
    finally:
        CONSULTED.remove(broken)


@pytest.mark.parametrize("keeps", [False, True])
def test_a_released_family_points_at_nothing_whatever_an_empty_family_means(
    server: FakeServer, library: ComputeEngineLibrary, keeps: bool
) -> None:
    library.promote("hpcc-0", "hpcc")
    server.cloud.conditions.keeps_family = keeps
    assert library.unpromote("hpcc-0", "hpcc")
    assert library.families() == {}
    library.promote("hpcc-0", "hpcc")
    assert library.families() == {"hpcc": "hpcc-0"}


def test_the_manifest_goes_with_its_image_and_the_results_stay(
    server: FakeServer, library: ComputeEngineLibrary
) -> None:
    library.keep_manifest("hpcc-0", {"base debian-12": "1"})
    library.record_run(run())
    library.promote("hpcc-0", "hpcc")
    library.promote("hpcc-1", "hpcc")
    image = library.find("hpcc-0")
    assert image is not None
    assert library.set_state(image, ImageState.DELETED) == image.size
    assert library.manifest("hpcc-0") == {}
    assert [found.run_id for found in library.runs("hpcc-0")] == ["run-1"]


def test_a_result_is_read_once_and_a_damaged_copy_is_not_used(
    server: FakeServer, library: ComputeEngineLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library.record_run(run())
    first = library.runs()
    server.cloud.calls.clear()
    assert library.runs() == first != []
    assert [method for _, method, _ in server.cloud.calls] == ["storage.objects.list"]
    (kept,) = (tmp_path / "image-bakery" / "results").iterdir()
    kept.write_bytes(b"{}")
    assert library.runs() == first
    library.record_run(replace(run(), verdict=Verdict.FAILED))
    assert [found.verdict for found in library.runs()] == [Verdict.FAILED], "another generation"


def test_an_image_without_a_manifest_can_be_deleted(library: ComputeEngineLibrary) -> None:
    assert library.deprecate("hpcc-0")
    image = library.find("hpcc-0")
    assert image is not None
    assert library.set_state(image, ImageState.DELETED) == image.size


def test_what_somebody_deprecated_without_a_date_stays_and_is_told(
    server: FakeServer, library: ComputeEngineLibrary
) -> None:
    server.cloud.items[f"{IMAGES}/hpcc-0"]["deprecated"] = {"state": "DEPRECATED"}
    done = prune(library, {EVERY_FAMILY: Retention(0)})
    assert [(step.image.name, step.why) for step in done.kept] == [("hpcc-0", "the time of its deprecation is unknown")]
    assert library.find("hpcc-0") is not None


def test_the_end_of_a_promotion_is_seen_in_a_list_that_many_share(
    library: ComputeEngineLibrary, server: FakeServer
) -> None:
    library.promote("hpcc-1", "hpcc")
    assert library.families() == {"hpcc": "hpcc-1"}
    assert not [method for _, method, _ in server.cloud.calls if "Operations" in method]


def test_a_rollback_makes_the_older_image_the_familys_again(library: ComputeEngineLibrary, server: FakeServer) -> None:
    library.promote("hpcc-0", "hpcc")
    library.promote("hpcc-1", "hpcc")
    library.promote("hpcc-0", "hpcc")
    assert library.families() == {"hpcc": "hpcc-0"}
    newest = library.google.read_compute("global/images/family/hpcc")
    assert newest["name"] == "hpcc-0"


def test_no_image_of_a_released_family_resolves(library: ComputeEngineLibrary, server: FakeServer) -> None:
    """Somebody may have put images into the family without the bakery."""
    library.promote("hpcc-0", "hpcc")
    server.cloud.items[f"{IMAGES}/hpcc-1"]["family"] = "hpcc"
    compute.add_image(server.cloud, IMAGES, {"name": "of-somebody", "family": "hpcc"})
    assert library.families() == {"hpcc": "of-somebody"}
    assert library.unpromote("hpcc-1", "hpcc")
    assert library.families() == {}
    with pytest.raises(NotFound):
        library.google.read_compute("global/images/family/hpcc")


def test_a_stack_that_wants_the_family_during_its_release_keeps_it(
    library: ComputeEngineLibrary, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.promote("hpcc-0", "hpcc")
    patch = library._images.put_into

    def late(name: str, family: str) -> None:
        if not family:
            library.want(Want("p/dev", "hpcc", "hpcc-0", "t"))
            library.promote("hpcc-0", "hpcc")  # changes nothing: the family still points at it
        patch(name, family)

    monkeypatch.setattr(library._images, "put_into", late)
    assert library.unpromote("hpcc-0", "hpcc") is False
    assert library.families() == {"hpcc": "hpcc-0"}


def test_wants_need_one_list_call_however_many_there_are(library: ComputeEngineLibrary, server: FakeServer) -> None:
    for number in range(20):
        library.want(Want("p/dev", f"f{number}", "i", "t"))
    before = len(server.cloud.calls)
    assert len(library.wants()) == 20
    assert [method for _, method, _ in server.cloud.calls[before:]] == ["storage.objects.list"]


def test_label_changes_of_two_writers_both_arrive(server: FakeServer, library: ComputeEngineLibrary) -> None:
    errors: list[Exception] = []

    def record_test(digest: str) -> None:
        try:
            library.record_test("hpcc-0", Proof.PASSED, digest)
        except BakeryError as error:
            errors.append(error)

    threads = [threading.Thread(target=record_test, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = library.find("hpcc-0")
    assert errors == []
    assert found is not None
    assert found.proof is Proof.PASSED
    assert found.labels["bakery-recipe"] == "hpcc"


def test_many_images_come_page_by_page(server: FakeServer, library: ComputeEngineLibrary) -> None:
    for number in range(3, 1203):
        labels = {"bakery-digest": f"d{number}", "bakery-family": "x"}
        compute.add_image(server.cloud, IMAGES, {"name": f"x-{number}", "labels": labels})
    compute.add_image(server.cloud, IMAGES, {"name": "somebody-elses"})
    assert len(library.images()) == 1203
    assert sum(1 for _, method, _ in server.cloud.calls if method == "compute.images.list") == 3


def test_results_go_to_the_table_once(server: FakeServer, library: ComputeEngineLibrary) -> None:
    fields = [{"name": "command_group", "type": "STRING", "mode": "REQUIRED"}, {"name": "runtime", "type": "FLOAT64"}]
    server.cloud.items[TABLE] = {"schema": {"fields": fields}}
    result = run(JobResult({"command_group": "hello", "runtime": 1.5}, passed=True))
    library.record_run(result)
    library.record_run(result)
    assert [row["json"]["command_group"] for row in server.cloud.rows[TABLE]] == ["hello"]
    assert library.runs("hpcc-0") == [result]
    assert library.runs("hpcc-1") == []


def test_the_report_tells_of_the_runs_and_there_may_be_none_yet(
    server: FakeServer, library: ComputeEngineLibrary
) -> None:
    server.cloud.items[TABLE] = {"tableReference": {}}
    library.record_run(run())
    library.record_run(replace(run(), run_id="run-2", started="2026-01-02T00:00:00Z"))
    found = report(library)
    assert [one["run_id"] for one in found["runs"]] == ["run-1", "run-2"]
    assert {image["name"]: image["tested"] for image in found["images"]} == {
        "hpcc-0": "2026-01-02T00:00:00Z",
        "hpcc-1": "",
        "hpcc-2": "",
    }
    server.cloud.items.clear()
    assert library.runs() == []


def test_a_refused_row_is_told(server: FakeServer, library: ComputeEngineLibrary) -> None:
    fields = [{"name": "command_group", "type": "STRING", "mode": "REQUIRED"}]
    server.cloud.items[TABLE] = {"schema": {"fields": fields}}
    good, wrong = JobResult({"command_group": "hello"}), JobResult({"exit_code": 1})
    with pytest.raises(BakeryError, match="refused the rows of run-1: : Missing required field: command_group") as told:
        library.record_run(run(good, wrong))
    assert "stopped" not in told.value.message, "the good row, which the wrong one stopped, is not what is wrong"
    assert server.cloud.rows[TABLE] == []


def test_a_table_of_rcc_run_gets_the_fields_that_it_has(server: FakeServer, library: ComputeEngineLibrary) -> None:
    server.cloud.items[TABLE] = {"schema": {"fields": [{"name": "command_group", "type": "STRING"}]}}
    library.record_run(run(JobResult({"command_group": "hello", "nic_type": "IRDMA"})))
    (row,) = server.cloud.rows[TABLE]
    assert row["json"] == {"command_group": "hello"}


def test_rows_of_runs_that_end_together_are_sent_together_and_a_wrong_one_stops_only_its_own(
    server: FakeServer, library: ComputeEngineLibrary
) -> None:
    fields = [{"name": "command_group", "type": "STRING", "mode": "REQUIRED"}]
    server.cloud.items[TABLE] = {"schema": {"fields": fields}}
    wrong = JobResult({"exit_code": 1})
    refused: list[str] = []

    def record(number: int) -> None:
        jobs = [JobResult({"command_group": f"job-{number}"}), *([wrong] if number == 7 else [])]
        try:
            library.record_run(replace(run(*jobs), run_id=f"run-{number}"))
        except BakeryError as error:
            refused.append(error.message)

    def together(numbers: range) -> int:
        before = len(server.cloud.calls)
        with ThreadPoolExecutor(len(numbers)) as pool:
            list(pool.map(record, numbers))
        return sum(1 for _, method, _ in server.cloud.calls[before:] if method.endswith(".insertAll"))

    assert together(range(10, 30)) < 10
    assert refused == []
    together(range(10))
    assert [text.partition(":")[0] for text in refused] == ["BigQuery refused the rows of run-7"]
    stored = {row["json"]["command_group"] for row in server.cloud.rows[TABLE]}
    assert stored == {f"job-{number}" for number in range(30) if number != 7}


def test_sharing_adds_members_and_keeps_the_others(server: FakeServer, library: ComputeEngineLibrary) -> None:
    library.share("hpcc-0", ["group:a@example.com"])
    library.share("hpcc-0", ["serviceAccount:b@example.com"])
    (policy,) = server.cloud.policies.values()
    (binding,) = policy["bindings"]
    assert binding["role"] == "roles/compute.imageUser"
    assert binding["members"] == ["group:a@example.com", "serviceAccount:b@example.com"]
    before = len(server.cloud.calls)
    library.share("hpcc-0", ["group:a@example.com"])
    assert len(server.cloud.calls) == before + 1  # nothing to change


@pytest.mark.parametrize("code", [401, 403])
def test_a_refusal_is_uncertain_and_never_gone(server: FakeServer, library: ComputeEngineLibrary, code: int) -> None:
    server.cloud.faults.append(Fault("compute.images.get$", code))
    with pytest.raises(Uncertain):
        library.find("hpcc-0")


def test_an_image_of_somebody_else_in_a_family_of_ours_is_seen_and_a_promotion_puts_it_aside(
    library: ComputeEngineLibrary, server: FakeServer
) -> None:
    library.promote("hpcc-0", "hpcc")
    for name, family in (("mine", "hpcc"), ("theirs", "other")):
        created = {"creationTimestamp": "2039-01-01T00:00:00Z"}
        compute.add_image(server.cloud, IMAGES, {"name": name, "family": family, **created})
    assert library.families() == {"hpcc": "mine"}, "as Compute Engine resolves it; a family without our images is not"
    assert library.listing().strangers == {"mine": "hpcc", "theirs": "other"}
    assert library.promote("hpcc-0", "hpcc") == "mine"
    assert library.families() == {"hpcc": "hpcc-0"}
    assert library.listing().strangers == {"theirs": "other"}


def test_a_consumer_that_lost_its_access_is_named(library: ComputeEngineLibrary, server: FakeServer) -> None:
    library.share("hpcc-0", ["group:a@example.com", "group:b@example.com"])
    library.share("hpcc-0", [], gone=["group:a@example.com"])
    assert library.unshared("hpcc-0", ["group:a@example.com", "group:b@example.com"]) == ["group:a@example.com"]


def test_an_image_that_a_disk_or_a_template_uses_is_kept_and_prune_says_which(
    library: ComputeEngineLibrary, server: FakeServer
) -> None:
    compute_root, link = (
        "compute/compute/v1/projects/p",
        "https://www.googleapis.com/compute/v1/projects/%s/global/images/%s",
    )
    disk = {
        "kind": "compute#disk",
        "name": "scratch",
        "sourceImage": link % ("p", "hpcc-0"),
        "users": ["zones/z/instances/vm"],
    }
    server.cloud.items[f"{compute_root}/zones/us-central1-b/disks/scratch"] = disk
    boot = {"boot": True, "initializeParams": {"sourceImage": "global/images/hpcc-1"}}
    foreign = {"initializeParams": {"sourceImage": link % ("another", "hpcc-2")}}
    template = {"kind": "compute#instanceTemplate", "name": "nodes", "properties": {"disks": [foreign, boot]}}
    server.cloud.items[f"{compute_root}/regions/us-central1/instanceTemplates/nodes"] = template
    for number in range(3):
        assert library.deprecate(f"hpcc-{number}")
    done = prune(library, {EVERY_FAMILY: Retention(0)})
    assert [(step.image.name, step.why) for step in done.kept] == [
        ("hpcc-0", "the disk scratch in us-central1-b of the machine vm was made from it"),
        ("hpcc-1", "the instance template nodes boots from it"),
    ]
    assert [step.image.name for step in done.moved] == ["hpcc-2"]


def test_nothing_is_pruned_as_long_as_the_uses_cannot_be_seen(
    library: ComputeEngineLibrary, server: FakeServer
) -> None:
    library.deprecate("hpcc-0")
    server.cloud.faults.append(Fault("compute.instanceTemplates.aggregatedList", 403))
    with pytest.raises(Uncertain, match="look for instance templates"):
        prune(library, {EVERY_FAMILY: Retention(0)})
    assert library.find("hpcc-0") is not None


def test_the_images_of_a_bakery_with_another_prefix_are_not_in_the_library(server: FakeServer) -> None:
    labels = {"bakery-digest": "d7", "bakery-family": "dev-hpcc", "bakery-prefix": "dev"}
    compute.add_image(server.cloud, IMAGES, {"name": "dev-hpcc-7", "family": "dev-hpcc", "labels": labels})
    compute.add_image(server.cloud, IMAGES, {"name": "by-hand", "family": "dev-hpcc"})
    google = {"project": "p", "region": "us-central1", "endpoint": server.url}
    plain, dev = (
        ComputeEngineLibrary(parse({"oven": "cloud-build", "google": google | more}, "gcp", Path()))
        for more in ({}, {"prefix": "dev"})
    )
    assert [image.name for image in plain.images()] == ["hpcc-0", "hpcc-1", "hpcc-2"]
    assert [image.name for image in dev.images()] == ["dev-hpcc-7"]
    assert (plain.families(), dev.listing().strangers) == ({}, {"by-hand": "dev-hpcc"})
    assert [image.name for image in dev.listing().images] == ["dev-hpcc-7"]
    assert [image.name for image in plain.listing().images] == ["hpcc-0", "hpcc-1", "hpcc-2"]


def test_promotions_that_cross_leave_the_family_an_image(
    library: ComputeEngineLibrary, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of two stacks deprecates the image of the other one."""
    library.promote("hpcc-0", "hpcc")
    set_state = ImageRequests.set_state

    def crossed(self: ImageRequests, name: str, *state: Any) -> None:
        set_state(self, name, *state)
        if name == "hpcc-0":  # the other stack, which wants hpcc-0, saw hpcc-1 before this
            set_state(self, "hpcc-1", ImageState.DEPRECATED, "hpcc-0", "2030-01-01T00:00:00Z")

    monkeypatch.setattr(ImageRequests, "set_state", crossed)
    library.promote("hpcc-1", "hpcc")
    assert dict(library.families()) == {"hpcc": "hpcc-1"}
