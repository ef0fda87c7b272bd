"""Test clusters on Compute Engine against the fake Google Cloud; the tests put the agents' mail into the bucket."""

from __future__ import annotations

import io
import json
import re
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.errors import AccessRefused, BakeryError, InfrastructureFailed, Interrupted, NoCapacity, Uncertain
from bakery.fluid_run.clusters import placement, run_spec
from bakery.fluid_run.clusters.compute_engine import ComputeEngineCluster, ComputeEngineClusters
from bakery.fluid_run.clusters.instance import host_maintenance
from bakery.fluid_run.clusters.requests import ClusterRequests
from bakery.host.google import Google
from bakery.library.base import ImageRecord
from bakery.orders.model import RunOrder
from bakery.progress.activity import Activity
from bakery.recipe.load import load
from bakery.recipe.machine_kinds import NicType, Provisioning
from bakery.recipe.model import ClusterShape, Partition, Suite, SuiteJob
from bakery.results.model import Stage
from bakery.settings import parse
from tests.fake_google import compute
from tests.fake_google.cloud import Fault
from tests.fake_google.refusals import keys
from tests.fake_google.server import FakeServer, serve
from tests.support.every import every
from tests.support.root import ROOT

PACKAGES = sorted(folder.parent.name for folder in (ROOT / "packages").glob("*/fluidrun.yaml"))

OBJECT = "storage/storage/v1/b/p-bakery-artifacts/o/runs/r1"
INSTANCES = "compute/compute/v1/projects/p/zones/us-central1-a/instances"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serve() as running:
        running.cloud.items["storage/storage/v1/b/p-bakery-artifacts"] = {"name": "p-bakery-artifacts"}
        image = {"name": "hpcc-1", "guestOsFeatures": [{"type": "GVNIC"}]}
        compute.add_image(running.cloud, "compute/compute/v1/projects/p/global/images", image)
        yield running
        assert running.cloud.violations == []


def cluster(
    server: FakeServer, tmp_path: Path, *partitions: Partition, run_id: str = "r1", **more: Any
) -> ComputeEngineCluster:
    google = {"project": "p", "region": "us-central1", "endpoint": server.url, **more}
    settings = parse({"oven": "cloud-build", "google": google}, "gcp", tmp_path)
    (tmp_path / "workspace").mkdir(exist_ok=True)
    (tmp_path / "workspace" / "hello.sh").write_text("echo hello\n")
    shape = ClusterShape(partitions=partitions or (Partition("debug", machine_type="c2-standard-4"),))
    jobs = tuple(
        SuiteJob("hello", "hello.sh", f"out/{part.name}", part.name, f"--nodes={part.nodes}", time_limit=60)
        for part in shape.partitions
    )
    order = RunOrder("hpcc-1", "d" * 64, "hpcc", "", Suite(jobs, shape), (), "abc", "gcc", "x86_64")
    image = ImageRecord("hpcc-1", "d", "hpcc", "", "hpcc", "2026-01-01T00:00:00Z")
    google_clients = Google(settings.google)
    google_clients.shared(ClusterRequests).folder = "runs"  # elsewhere it is one that no other process has
    made = ComputeEngineClusters(settings, google_clients).cluster(run_id, image, order, tmp_path / "workspace")
    assert isinstance(made, ComputeEngineCluster)
    return made


def machines(server: FakeServer) -> dict[str, dict[str, object]]:
    return {key.rpartition("/")[2]: item for key, item in server.cloud.items.items() if "/instances/" in key}


def mail(made: ComputeEngineCluster, name: str, content: bytes) -> None:
    """Put an agent's mail where its machine would."""
    made.google.storage.bucket("p-bakery-artifacts").blob(f"runs/r1/{name}").upload_from_string(content)


def say(made: ComputeEngineCluster, name: str, **status: object) -> None:
    mail(made, f"{name}/status.json", json.dumps(status).encode())


def test_makes_the_cluster_and_tells_every_machine_its_addresses(server: FakeServer, tmp_path: Path) -> None:
    made = cluster(server, tmp_path)
    made.provision(Activity())
    assert set(machines(server)) == {"fr-r1-controller", "fr-r1-login-0", "fr-r1-debug-0", "fr-r1-debug-1"}
    with tarfile.open(fileobj=io.BytesIO(server.cloud.media[f"{OBJECT}/seed.tar"])) as tar:
        assert {"agent/__main__.py", "run_spec.json", "workspace/hello.sh"} <= set(tar.getnames())
        told = json.load(tar.extractfile("run_spec.json"))  # type: ignore[arg-type]
    addresses = {machine["address"] for machine in told["machines"]}
    assert len(addresses) == 4
    assert every(address.startswith("10.") for address in addresses)
    assert every(not machine["mac"] for machine in told["machines"])


def test_a_cluster_waits_for_its_turn_until_another_is_gone(server: FakeServer, tmp_path: Path) -> None:
    first = cluster(server, tmp_path, testsAtOnce=1)
    google = {"project": "p", "region": "us-central1", "endpoint": server.url}
    clusters = ComputeEngineClusters(parse({"oven": "cloud-build", "google": google}, "gcp", tmp_path), first.google)
    second = clusters.cluster("r2", first.image, first.order, first.workspace)
    first.provision(Activity())
    cancelled = threading.Event()
    said: list[str] = []

    def tell(phase: str) -> None:
        said.append(phase)
        cancelled.set()

    with pytest.raises(Interrupted):
        second.provision(Activity(tell, cancelled))
    assert said == ["waiting for others to end (google.testsAtOnce)"]
    second.tear_down()
    first.tear_down()
    second.provision(Activity())
    assert [name for name in machines(server) if "r2" in name] != []


def test_long_names_are_legal_and_differ(server: FakeServer, tmp_path: Path) -> None:
    run_id = f"openfoam-intel-cascadelake-with-more-{'a' * 12}-20261124031500-ab12"
    compact = Partition("c2_Standard.60-compact", nodes=2, machine_type="c2-standard-60")
    made = cluster(server, tmp_path, compact, run_id=run_id)
    made.provision(Activity())
    names = sorted(machines(server))
    assert len(names) == 4
    assert every(re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name) for name in names)
    labels = {machine["labels"]["bakery-run"] for machine in machines(server).values()}  # type: ignore[index]
    assert len(labels) == 1 and len(labels.pop()) <= 63
    made.tear_down()
    assert machines(server) == {}


def test_machines_are_private_shielded_and_end_by_themselves(server: FakeServer, tmp_path: Path) -> None:
    cluster(server, tmp_path).provision(Activity())
    assert machines(server)
    for machine in machines(server).values():
        (card,) = machine["networkInterfaces"]  # type: ignore[misc]
        assert "accessConfigs" not in card
        assert machine["serviceAccounts"] == [
            {
                "email": "bakery-test@p.iam.gserviceaccount.com",
                "scopes": ["https://www.googleapis.com/auth/devstorage.read_write"],
            }
        ]
        assert machine["scheduling"]["instanceTerminationAction"] == "DELETE"  # type: ignore[index]
        assert int(machine["scheduling"]["maxRunDuration"]["seconds"]) < 4000  # type: ignore[index]
        assert machine["shieldedInstanceConfig"]["enableVtpm"] is True  # type: ignore[index]


def test_a_key_of_ones_own_encrypts_every_disk(server: FakeServer, tmp_path: Path) -> None:
    keys.authorize(server.cloud, keys.KEY)
    cluster(server, tmp_path, kmsKey=keys.KEY).provision(Activity())
    disks = [disk for machine in machines(server).values() for disk in machine["disks"]]  # type: ignore[attr-defined]
    assert [disk["diskEncryptionKey"] for disk in disks] == [{"kmsKeyName": keys.KEY}] * 4


def test_a_key_that_compute_engine_may_not_use_is_a_grant_that_is_missing(server: FakeServer, tmp_path: Path) -> None:
    with pytest.raises(AccessRefused, match="Cloud KMS error when using key") as told:
        cluster(server, tmp_path, kmsKey=keys.KEY).provision(Activity())
    assert "some minutes to work" in told.value.hint


def test_a_partition_decides_its_machines(server: FakeServer, tmp_path: Path) -> None:
    wide = Partition(
        "gpu", nodes=1, machine_type="n1-standard-8", gpu_type="nvidia-tesla-v100", gpu_count=2, gvnic=True
    )
    cluster(server, tmp_path, wide, Partition("debug", nodes=1, preemptible=True, disk_size_gb=77)).provision(
        Activity()
    )
    gpu, debug = machines(server)["fr-r1-gpu-0"], machines(server)["fr-r1-debug-0"]
    assert str(gpu["machineType"]).endswith("n1-standard-8")
    assert gpu["guestAccelerators"][0]["acceleratorCount"] == 2  # type: ignore[index]
    assert gpu["networkInterfaces"][0]["nicType"] == "GVNIC"  # type: ignore[index]
    assert debug["scheduling"]["provisioningModel"] == "SPOT"  # type: ignore[index]
    assert debug["disks"][0]["initializeParams"]["diskSizeGb"] == "77"  # type: ignore[index]


FALCON = {"profile": "us-central1-a-vpc-falcon", "subnetworks": ["rdma-0"]}


def test_nodes_with_rdma_are_in_its_networks_and_its_zone(server: FakeServer, tmp_path: Path) -> None:
    part = Partition("h4d", 1, machine_type="h4d-standard-192", nic_type=NicType.IRDMA, rdma_network="falcon")
    made = cluster(server, tmp_path, part, zones=["us-central1-b", "us-central1-a"], rdmaNetworks={"falcon": FALCON})
    made.provision(Activity())
    node = machines(server)["fr-r1-h4d-0"]
    first, second = node["networkInterfaces"]  # type: ignore[misc]
    assert first["nicType"] == "GVNIC"
    assert second["nicType"] == "IRDMA"
    assert second["subnetwork"] == "projects/p/regions/us-central1/subnetworks/rdma-0"
    assert made.zone == "us-central1-a"
    assert node["disks"][0]["initializeParams"]["diskType"].endswith("/hyperdisk-balanced")  # type: ignore[index]
    assert len(machines(server)["fr-r1-controller"]["networkInterfaces"]) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("networks", "says"),
    [
        ({}, "has no falcon"),
        ({"falcon": {**FALCON, "profile": "us-east4-b-vpc-falcon"}}, "has no zone of tests for falcon"),
    ],
)
def test_a_network_that_the_stack_does_not_have_is_an_error(
    server: FakeServer, tmp_path: Path, networks: dict[str, object], says: str
) -> None:
    part = Partition("h4d", 1, machine_type="h4d-standard-192", nic_type=NicType.IRDMA, rdma_network="falcon")
    with pytest.raises(BakeryError, match=says):
        cluster(server, tmp_path, part, rdmaNetworks=networks).provision(Activity())
    assert machines(server) == {}


def test_nodes_close_to_each_other_share_a_policy_that_ends_after_them(server: FakeServer, tmp_path: Path) -> None:
    part = Partition("c2", 2, machine_type="c2-standard-4", compact_placement=True)
    made = cluster(server, tmp_path, part)
    made.provision(Activity())
    policy = "projects/p/regions/us-central1/resourcePolicies/fr-r1-c2"
    assert server.cloud.items[f"compute/compute/v1/{policy}"]["groupPlacementPolicy"] == {"collocation": "COLLOCATED"}
    for number in range(2):
        node = machines(server)[f"fr-r1-c2-{number}"]
        assert node["resourcePolicies"] == [policy]
        assert node["scheduling"]["onHostMaintenance"] == "TERMINATE"  # type: ignore[index]
    assert "resourcePolicies" not in machines(server)["fr-r1-controller"]
    made.tear_down()
    assert machines(server) == {}
    assert [key for key in server.cloud.items if "resourcePolicies" in key] == []


def test_recover_deletes_abandoned_policies_that_no_machine_has(server: FakeServer, tmp_path: Path) -> None:
    part = Partition("c2", 1, machine_type="c2-standard-4", compact_placement=True)
    made = cluster(server, tmp_path, part)
    made.provision(Activity())
    (key,) = [key for key in server.cloud.items if "resourcePolicies" in key]
    kept = server.cloud.items[key]
    for name, created in (("fr-old-c2", "2026-01-01T00:00:00Z"), ("fr-new-c2", kept["creationTimestamp"])):
        where = f"{key.rpartition('/')[0]}/{name}"
        server.cloud.items[where] = {**kept, "name": name, "creationTimestamp": created}
    kept["creationTimestamp"] = "2026-01-01T00:00:00Z"
    assert len(placement.clear(made.google, dry_run=True)) == 1
    assert len([key for key in server.cloud.items if "resourcePolicies" in key]) == 3
    assert placement.clear(made.google) == [
        "deleted what a test that was cut short had left: placement policy fr-old-c2"
    ]
    left = sorted(key.rpartition("/")[2] for key in server.cloud.items if "resourcePolicies" in key)
    assert left == ["fr-new-c2", "fr-r1-c2"]


def test_threads_reservation_and_disk_are_those_of_the_partition(server: FakeServer, tmp_path: Path) -> None:
    part = Partition("c2", 1, machine_type="c2-standard-8", threads_per_core=1, reservation="r", disk_type="pd-ssd")
    one_thread = Partition("t2d", 1, machine_type="n2d-standard-4", threads_per_core=2)
    cluster(server, tmp_path, part, one_thread).provision(Activity())
    node = machines(server)["fr-r1-c2-0"]
    assert node["advancedMachineFeatures"] == {"threadsPerCore": 1}
    assert node["reservationAffinity"] == {
        "consumeReservationType": "SPECIFIC_RESERVATION",
        "key": "compute.googleapis.com/reservation-name",
        "values": ["r"],
    }
    assert node["disks"][0]["initializeParams"]["diskType"].endswith("/pd-ssd")  # type: ignore[index]
    with tarfile.open(fileobj=io.BytesIO(server.cloud.media[f"{OBJECT}/seed.tar"])) as tar:
        told = json.load(tar.extractfile("run_spec.json"))  # type: ignore[arg-type]
    cpus = {machine["name"]: machine["cpus"] for machine in told["machines"]}
    assert (cpus["c2-0"], cpus["t2d-0"]) == (4, 4), "a core without its second thread is one processor"


def test_flex_start_waits_for_capacity_and_so_do_the_other_machines(server: FakeServer, tmp_path: Path) -> None:
    part = Partition("h4d", 1, machine_type="h4d-standard-192", provisioning=Provisioning.FLEX_START)
    cluster(server, tmp_path, part).provision(Activity())
    node, head = machines(server)["fr-r1-h4d-0"], machines(server)["fr-r1-controller"]
    assert node["scheduling"]["provisioningModel"] == "FLEX_START"  # type: ignore[index]
    assert node["reservationAffinity"] == {"consumeReservationType": "NO_RESERVATION"}
    assert node["params"]["requestValidForDuration"]["seconds"] == "7200"  # type: ignore[index]
    assert int(head["scheduling"]["maxRunDuration"]["seconds"]) > 7200 + 900  # type: ignore[index]


def test_no_more_nodes_than_the_jobs_need_and_what_their_machines_have(server: FakeServer, tmp_path: Path) -> None:
    many = Partition("many", nodes=25, machine_type="c2-standard-60")
    idle = Partition("idle", nodes=25, machine_type="c2-standard-60")
    made = cluster(server, tmp_path, many, idle)
    wide = SuiteJob("wide", "hello.sh", "out", "many", "--ntasks=120 --cpus-per-task=2", time_limit=60)
    made.order = replace(made.order, suite=replace(made.order.suite, jobs=(wide,)))
    made.provision(Activity())
    assert [spec.name for spec in made.specs if spec.partition] == [f"many-{n}" for n in range(4)]
    with tarfile.open(fileobj=io.BytesIO(server.cloud.media[f"{OBJECT}/seed.tar"])) as tar:
        told = json.load(tar.extractfile("run_spec.json"))["machines"]  # type: ignore[arg-type]
    assert (told[-1]["cpus"], told[-1]["memory_mb"]) == (60, int(0.9 * 60 * 4096))
    assert (told[0]["name"], told[0]["cpus"]) == ("controller", 2)


def test_a_zone_without_the_machine_type_gives_way_to_the_next(server: FakeServer, tmp_path: Path) -> None:
    server.cloud.faults.append(Fault("compute.machineTypes.get", 404))
    made = cluster(server, tmp_path)
    made.provision(Activity())
    assert made.zone == "us-central1-b"
    with pytest.raises(InfrastructureFailed, match=r"no zone of .* has capacity: us-central1-f has no machine type x9"):
        cluster(server, tmp_path, Partition("x", machine_type="x9-mega-1")).provision(Activity())


def test_an_open_shell_is_for_ssh_through_iap_only(server: FakeServer, tmp_path: Path) -> None:
    made = cluster(server, tmp_path)
    made.open_seconds = 3600
    made.provision(Activity())
    usual = cluster(server, tmp_path, run_id="r2")
    usual.provision(Activity())
    limits = {name: int(one["scheduling"]["maxRunDuration"]["seconds"]) for name, one in machines(server).items()}  # type: ignore[index, call-overload]
    assert limits["fr-r1-controller"] == limits["fr-r2-controller"] + 3600, "else they would be deleted under the user"
    usual.tear_down()
    assert every("image-bakery" in machine["tags"]["items"] for machine in machines(server).values())  # type: ignore[index]
    assert every("accessConfigs" not in machine["networkInterfaces"][0] for machine in machines(server).values())  # type: ignore[index]
    assert str(made.logins()[0]).startswith("controller: gcloud compute ssh fr-r1-controller --zone=us-central1-a")


def test_status_is_the_controllers_unless_another_machine_broke(server: FakeServer, tmp_path: Path) -> None:
    made = cluster(server, tmp_path)
    made.provision(Activity())
    assert made.status().stage is Stage.START
    say(made, "controller", stage="run", jobs_done=1, jobs_total=2)
    assert (made.status().jobs_done, made.status().jobs_total) == (1, 2)
    say(made, "debug-1", stage="start", error="no munge", ended=True)
    assert made.status().error == "no munge"


def test_a_look_at_the_status_is_one_list_of_each_kind(server: FakeServer, tmp_path: Path) -> None:
    made = cluster(server, tmp_path)
    made.provision(Activity())
    say(made, "controller", stage="run", jobs_done=1, jobs_total=2)
    made.status()
    server.cloud.calls.clear()
    assert made.status().jobs_done == 1
    assert [method for _, method, _ in server.cloud.calls] == ["storage.objects.list", "compute.instances.list"]
    say(made, "controller", stage="run", jobs_done=2, jobs_total=2)
    assert made.status().jobs_done == 2


def test_a_replaced_machine_waits_for_the_end_of_the_old_one_and_keeps_its_address(
    server: FakeServer, tmp_path: Path
) -> None:
    compute.add_image(server.cloud, "compute/compute/v1/projects/p/global/images", {"name": "hpcc-0"})
    made = cluster(server, tmp_path)
    made.present = replace(made.image, name="hpcc-0")
    made.provision(Activity())
    before = machines(server)
    server.cloud.calls.clear()
    server.cloud.operation_seconds = 0.1
    made.reimage("debug-1", Activity())
    methods = [method for _, method, _ in server.cloud.calls]
    assert methods.index("compute.zoneOperations.get") < methods.index("compute.instances.insert")
    assert methods.count("compute.instances.insert") == methods.count("compute.instances.delete") == 1
    after, changed = machines(server), "fr-r1-debug-1"
    assert {name: item for name, item in after.items() if name != changed} == {
        name: item for name, item in before.items() if name != changed
    }
    old, new = (found[changed]["networkInterfaces"][0]["networkIP"] for found in (before, after))  # type: ignore[index]
    assert old == new
    assert made.status().stage is Stage.START, "the new machine is there"


def test_a_zone_that_has_no_second_machine_is_the_infrastructures(server: FakeServer, tmp_path: Path) -> None:
    made = cluster(server, tmp_path)
    made.provision(Activity())
    server.cloud.conditions.stockouts = {"us-central1-a"}
    with pytest.raises(InfrastructureFailed, match=r"make the machine fr-r1-debug-1: .*ZONE_RESOURCE_POOL_EXHAUSTED"):
        made.reimage("debug-1", Activity())


def test_a_machine_that_is_gone_is_the_infrastructures(server: FakeServer, tmp_path: Path) -> None:
    made = cluster(server, tmp_path)
    made.provision(Activity())
    del server.cloud.items[f"{INSTANCES}/fr-r1-debug-1"]
    with pytest.raises(InfrastructureFailed, match="debug-1 is gone"):
        made.status()


def test_collects_results_and_consoles(server: FakeServer, tmp_path: Path) -> None:
    made = cluster(server, tmp_path)
    made.provision(Activity())
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in (("agent-results.json", b"{}"), ("outputs/out/stdout", b"hello")):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
    mail(made, "controller/results.tar", packed.getvalue())
    server.cloud.media[f"serial {INSTANCES}/fr-r1-debug-0"] = b"kernel panic"
    server.cloud.calls.clear()
    made.collect(tmp_path / "results")
    assert "compute.instances.getSerialPortOutput" not in [method for _, method, _ in server.cloud.calls]
    assert (tmp_path / "results" / "outputs" / "out" / "stdout").read_text() == "hello"
    made.collect_consoles(tmp_path / "results")
    assert (tmp_path / "results" / "machines" / "debug-0" / "console.log").read_text() == "kernel panic"


def test_tear_down_leaves_nothing_and_may_be_called_twice(server: FakeServer, tmp_path: Path) -> None:
    made = cluster(server, tmp_path)
    made.provision(Activity())
    made.tear_down()
    assert machines(server) == {}
    assert not [key for key in server.cloud.items if key.endswith("seed.tar")]
    made.tear_down()


@pytest.mark.parametrize("name", PACKAGES)
def test_google_takes_every_machine_of_our_packages(server: FakeServer, tmp_path: Path, name: str) -> None:
    made = cluster(server, tmp_path)
    (suite,) = [one.suite for one in load(ROOT / "packages", ROOT / "common").recipes if one.name == name]
    assert suite is not None
    made.order = replace(made.order, suite=suite)
    made.specs = run_spec.machines(suite.cluster)
    made.provision(Activity())
    assert len(machines(server)) >= 2
    assert made.zone == "us-central1-a"


@pytest.mark.parametrize(
    ("machine", "spot", "accelerators", "maintenance"),
    [
        ("e2-standard-2", False, 0, "MIGRATE"),
        ("e2-standard-2", True, 0, "TERMINATE"),
        ("n2-standard-4", False, 0, "MIGRATE"),
        ("c2-standard-60", False, 0, "MIGRATE"),
        ("c3-highcpu-176", False, 0, "MIGRATE"),
        ("c3-highcpu-192-metal", False, 0, "TERMINATE"),
        ("n1-standard-8", False, 2, "TERMINATE"),
        ("a2-highgpu-1g", False, 0, "TERMINATE"),
        ("g2-standard-4", False, 0, "TERMINATE"),
        ("h3-standard-88", False, 0, "TERMINATE"),
        ("h4d-standard-192", False, 0, "TERMINATE"),
        ("z3-highmem-88", False, 0, None),
        ("z3-highmem-88", True, 0, "TERMINATE"),
    ],
)
def test_what_happens_when_the_host_needs_maintenance(
    machine: str, spot: bool, accelerators: int, maintenance: str | None
) -> None:
    assert host_maintenance(machine, ends=spot, accelerators=accelerators) == maintenance


def test_goes_to_the_next_zone_after_a_stock_out_that_an_operation_reports(server: FakeServer, tmp_path: Path) -> None:
    server.cloud.conditions.stockouts = {"us-central1-a", "us-central1-b"}
    made = cluster(server, tmp_path)
    made.provision(Activity())
    assert made.zone == "us-central1-c"
    server.cloud.conditions.stockouts |= {"us-central1-c", "us-central1-f"}
    with pytest.raises(InfrastructureFailed, match=r"no zone of .* has capacity: .*ZONE_RESOURCE_POOL_EXHAUSTED"):
        cluster(server, tmp_path, run_id="r2").provision(Activity())


def test_a_quota_is_told_as_such_and_no_other_zone_is_tried(server: FakeServer, tmp_path: Path) -> None:
    server.cloud.conditions.quota = {"C2_CPUS": 4}
    server.cloud.faults = [Fault(r"compute\.(regions|projects)\.get", 403, -1)]
    made = cluster(server, tmp_path)
    with pytest.raises(InfrastructureFailed, match=r"QUOTA_EXCEEDED: Quota 'C2_CPUS' exceeded") as told:
        made.provision(Activity())
    assert made.zone == "us-central1-a"
    assert "quota" in told.value.hint and "role" not in told.value.hint
    assert not isinstance(told.value, NoCapacity | Uncertain)


def test_a_policy_that_wants_secure_boot_gets_it(server: FakeServer, tmp_path: Path) -> None:
    server.cloud.conditions.policies = {"compute.requireShieldedVm", "compute.requireOsLogin"}
    cluster(server, tmp_path).provision(Activity())
    assert every(machine["shieldedInstanceConfig"]["enableSecureBoot"] for machine in machines(server).values())  # type: ignore[index]


def test_another_policy_is_named_and_says_what_to_do(server: FakeServer, tmp_path: Path) -> None:
    server.cloud.conditions.policies = {"compute.trustedImageProjects"}
    made = cluster(server, tmp_path)
    made.image = replace(made.image, location="projects/elsewhere/global/images/hpcc-1")
    with pytest.raises(BakeryError, match="elsewhere") as told:
        made.provision(Activity())
    assert "policy compute.trustedImageProjects" in told.value.hint


def test_a_rate_limit_is_a_403_and_the_request_is_repeated(server: FakeServer, tmp_path: Path) -> None:
    server.cloud.conditions.rate = {"compute.instances.insert", "compute.instances.list"}
    cluster(server, tmp_path).provision(Activity())
    assert len(machines(server)) == 4


def test_the_clusters_key_leaves_no_old_version(server: FakeServer, tmp_path: Path) -> None:
    server.cloud.items["storage/storage/v1/b/p-bakery-artifacts"]["versioning"] = {"enabled": True}
    made = cluster(server, tmp_path)
    made.provision(Activity())
    made._send_seed(made._instances())  # as if the answer had got lost: nothing is uploaded again
    assert f"{OBJECT}/seed.tar" not in server.cloud.archived
    mail(made, "controller/status.json", b"{}")
    made.tear_down()
    assert f"{OBJECT}/seed.tar" not in server.cloud.items
    assert f"{OBJECT}/seed.tar" not in server.cloud.archived
    assert f"{OBJECT}/controller/status.json" in server.cloud.items


def test_a_seed_whose_upload_was_not_answered_is_deleted_too(server: FakeServer, tmp_path: Path) -> None:
    server.cloud.items["storage/storage/v1/b/p-bakery-artifacts"]["versioning"] = {"enabled": True}
    made = cluster(server, tmp_path)
    made.provision(Activity())
    made._seed = made._requests.bucket.blob(made._seed.name)
    assert f"{OBJECT}/seed.tar" in server.cloud.items
    made.tear_down()
    assert f"{OBJECT}/seed.tar" not in server.cloud.items
    assert server.cloud.archived.get(f"{OBJECT}/seed.tar", []) == []


def test_goes_to_the_next_zone_without_capacity(server: FakeServer, tmp_path: Path) -> None:
    server.cloud.faults.append(Fault("instances.insert", 503, times=1, reason="ZONE_RESOURCE_POOL_EXHAUSTED"))
    made = cluster(server, tmp_path)
    made.provision(Activity())
    assert made.zone == "us-central1-b"
    assert every("/zones/us-central1-b/" in key for key in server.cloud.items if "/instances/" in key)


def test_a_403_says_what_to_do(server: FakeServer, tmp_path: Path) -> None:
    server.cloud.faults.append(Fault("instances.insert", 403, times=-1))
    with pytest.raises(Uncertain, match="role"):
        cluster(server, tmp_path).provision(Activity())


def test_only_the_machines_of_the_run_are_deleted_and_stopped_ones_too(server: FakeServer, tmp_path: Path) -> None:
    """Compute Engine keeps a stopped machine (TERMINATED) and its disk."""
    server.cloud.conditions.stockouts = {"us-central1-a"}
    made = cluster(server, tmp_path)
    made.provision(Activity())
    instances = INSTANCES.replace("us-central1-a", "us-central1-b")
    server.cloud.items[f"{instances}/fr-r1-debug-0"]["status"] = "TERMINATED"
    of_another_run = {"bakery": "test", "bakery-run": "r2"}
    for name, labels in {"somebodys": {}, "fr-r2-controller": of_another_run}.items():
        server.cloud.items[f"{instances}/{name}"] = {"name": name, "status": "RUNNING", "labels": labels}
    made.tear_down()
    assert set(machines(server)) == {"somebodys", "fr-r2-controller"}
    assert "compute.instances.aggregatedList" not in [method for _, method, _ in server.cloud.calls]


@pytest.mark.parametrize(
    "fault", [Fault("instances.insert", 429, times=2), Fault("instances.insert", half=True)], ids=str
)
def test_a_machine_that_is_refused_for_a_moment_is_asked_for_again(
    server: FakeServer, tmp_path: Path, fault: Fault
) -> None:
    """Also when it was made and only the answer got lost."""
    server.cloud.faults.append(replace(fault))
    made = cluster(server, tmp_path)
    made.provision(Activity())
    assert (made.zone, len(machines(server))) == ("us-central1-a", 4)


@pytest.mark.parametrize("code", [400, 403, 404, 409])
def test_a_machine_that_cannot_be_deleted_keeps_no_other(server: FakeServer, tmp_path: Path, code: int) -> None:
    made = cluster(server, tmp_path)
    made.provision(Activity())
    server.cloud.faults.append(Fault("instances.delete", code))
    made.tear_down()
    assert len(machines(server)) == 1, "and Compute Engine deletes it at its deadline"
    assert not [key for key in server.cloud.items if key.endswith("seed.tar")]


@pytest.mark.parametrize("method", ["machineTypes.get", "instances.insert", "instances.list", "storage.objects.insert"])
@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 412])
def test_every_refusal_is_told_in_the_bakerys_words(server: FakeServer, tmp_path: Path, method: str, code: int) -> None:
    server.cloud.faults.append(Fault(method, code, times=-1))
    made = cluster(server, tmp_path)
    with pytest.raises(BakeryError):
        made.provision(Activity())
    server.cloud.faults.clear()
    made.tear_down()
    assert machines(server) == {}


def on_arm(made: ComputeEngineCluster) -> ComputeEngineCluster:
    made.order = replace(made.order, architecture="arm64")
    return made


def test_an_image_for_arm_is_tested_on_arm_machines(server: FakeServer, tmp_path: Path) -> None:
    server.cloud.items["compute/compute/v1/projects/p/global/images/hpcc-1"]["architecture"] = "ARM64"
    parts = (Partition("any"), Partition("axion", machine_type="c4a-standard-4"))
    on_arm(cluster(server, tmp_path, *parts)).provision(Activity())
    made = {name: str(item["machineType"]).rpartition("/")[2] for name, item in machines(server).items()}
    assert set(made.values()) == {"t2a-standard-2", "c4a-standard-4"}
    assert made["fr-r1-controller"] == made["fr-r1-any-0"] == "t2a-standard-2"
    (disk,) = machines(server)["fr-r1-axion-0"]["disks"]  # type: ignore[misc]
    assert disk["initializeParams"]["diskType"].endswith("/hyperdisk-balanced"), "these take nothing else"


def test_an_image_for_other_processors_is_refused_in_googles_words(server: FakeServer, tmp_path: Path) -> None:
    with pytest.raises(BakeryError, match=r"boot disk architecture \(X86_64\) is not compatible .*\(ARM64\)"):
        on_arm(cluster(server, tmp_path, Partition("any"))).provision(Activity())


def test_runs_at_once_share_their_lists_and_see_only_their_own(server: FakeServer, tmp_path: Path) -> None:
    one, two = cluster(server, tmp_path, run_id="r1"), cluster(server, tmp_path, run_id="r2")
    two._requests = two._machines._requests = one._requests
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda made: made.provision(Activity()), (one, two)))
    assert sorted(machines(server)) == sorted([*one._instances(), *two._instances()])
    assert {name.split("-")[1] for name in one._instances()} == {"r1"}
    mail(one, "controller/status.json", json.dumps({"stage": "run", "jobs_total": 1}).encode())
    server.cloud.calls.clear()
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda made: made.status(), (one, two))
    assert (first.stage, second.stage) == (Stage.RUN, Stage.START)
    count = Counter(method for _, method, _ in server.cloud.calls)
    assert count["storage.objects.list"] <= 2 and count["compute.instances.list"] <= 2
    assert count["compute.machineTypes.get"] == 0
    server.cloud.calls.clear()
    assert [len(found) for found in one._requests._listed_machines([(one.zone, "r1"), (one.zone, "r2")])] == [4, 4]
    assert [method for _, method, _ in server.cloud.calls] == ["compute.instances.list"]
