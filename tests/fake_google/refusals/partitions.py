"""What Compute Engine refuses of the nodes of a partition: interfaces, threads, placement, provisioning."""

from __future__ import annotations

import re
from typing import Any

from tests.fake_google.cloud import Cloud, Request
from tests.fake_google.refusals.compute import INSERT, PATH, is_spot, machine_of, scheduling_of
from tests.fake_google.refusals.rule import Example, Rule

Json = Any
SMT = "https://github.com/terraform-google-modules/terraform-google-vm/pull/236, 2022-02-14"
NO_SMT = re.compile(r"f1-micro|g1-small|e2-(micro|small|medium)|n1-standard-1|(t2a|t2d|c4a|n4a|h3|h4d)-.*")
NO_PLACEMENT = re.compile(r"(e2|f1|g1|n1|t2a|t2d|m1|m2|m3)-.*")  # Cluster Toolkit's resume.py, commit 1047080
FLEX = re.compile(r"(a2|a3|a4|g2|h4d|n1)-.*")
RDMA = {"IRDMA": re.compile(r"h4d-.*"), "MRDMA": re.compile(r"(a3-ultragpu|a4|a4x)-.*")}
WEEK = 7 * 86_400


def _interfaces(request: Request) -> list[Json]:
    return list(request.body.get("networkInterfaces", []))


def _features(cloud: Cloud, request: Request) -> set[str]:
    """The guest OS features of the boot disk's image."""
    for disk in request.body.get("disks", []):
        source = disk.get("initializeParams", {}).get("sourceImage", "")
        image = re.search(r"projects/[^/]+/global/images/[^/]+$", source)
        item = cloud.items.get(f"compute/compute/v1/{image[0]}", {}) if image else {}
        return {feature["type"] for feature in item.get("guestOsFeatures", [])}
    return set()


def _no_driver(cloud: Cloud, request: Request) -> str:
    for interface in _interfaces(request):
        kind = interface.get("nicType")
        if kind in ("GVNIC", "IDPF") and kind not in _features(cloud, request):
            field = f"Invalid value for field 'resource.machineType': '{request.body.get('machineType')}'."
            return (
                f"{field} NetworkInterface NicType can only be set to {kind} on instances with {kind} GuestOsFeature."
            )
    return ""


def _other_interface(_cloud: Cloud, request: Request) -> str:
    machine = machine_of(request)
    for number, interface in enumerate(_interfaces(request)):
        kind = interface.get("nicType", "")
        wrong = kind in RDMA and (number == 0 or not RDMA[kind].fullmatch(machine))
        if wrong or (kind == "IDPF" and "-metal" not in machine):
            return f"[{kind}, {machine}] features are not compatible for creating instance."
    return ""


def _threads(_cloud: Cloud, request: Request) -> str:
    asked = request.body.get("advancedMachineFeatures", {}).get("threadsPerCore")
    text = f"The selected machine type ({machine_of(request)}) does not support SMT settings."
    return text if asked and NO_SMT.fullmatch(machine_of(request)) else ""


def _placement(_cloud: Cloud, request: Request) -> str:
    broken = request.body.get("resourcePolicies") and NO_PLACEMENT.fullmatch(machine_of(request))
    return f"Placement policy is not applicable to machine type {machine_of(request)}." if broken else ""


def _preemptible_standard(_cloud: Cloud, request: Request) -> str:
    model = scheduling_of(request).get("provisioningModel")
    field = f"Invalid value for field 'resource.scheduling.provisioningModel': '{model}'."
    broken = scheduling_of(request).get("preemptible") and model not in (None, "SPOT")
    return f"{field} For preemptible, only allowed provisioning_model value is SPOT" if broken else ""


def _provisioning(_cloud: Cloud, request: Request) -> str:
    affinity = request.body.get("reservationAffinity", {}).get("consumeReservationType")
    if is_spot(request) and affinity == "SPECIFIC_RESERVATION":
        return "Spot instances can't consume a reservation."
    if scheduling_of(request).get("provisioningModel") != "FLEX_START":
        return ""
    seconds = int(scheduling_of(request).get("maxRunDuration", {}).get("seconds", 0))
    right = FLEX.fullmatch(machine_of(request)) and affinity == "NO_RESERVATION" and 600 <= seconds <= WEEK
    right = right and scheduling_of(request).get("onHostMaintenance") == "TERMINATE"
    return "" if right else f"FLEX_START provisioning model is not supported for {machine_of(request)} as requested."


RULES = (
    Rule(
        "driver-of-an-interface",
        "an interface of a kind needs an image that says that it has the driver",
        "https://github.com/autobase-tech/autobase/pull/780, 2024-10-07 (IDPF)",
        INSERT,
        _no_driver,
        Example("POST", PATH, {"networkInterfaces": [{"nicType": "GVNIC"}]}),
    ),
    Rule(
        "interface-of-another-series",
        "only H4D has IRDMA, only some series with GPUs have MRDMA, only bare metal has IDPF; RDMA is never the first",
        "https://docs.cloud.google.com/vpc/docs/rdma-network-profiles, 2026-11-30; "
        "https://github.com/GoogleCloudPlatform/magic-modules/pull/12256, 2024-11-06 (IDPF); the texts are not known",
        INSERT,
        _other_interface,
        Example("POST", PATH, {"networkInterfaces": [{}, {"nicType": "IRDMA"}]}),
        assumed=True,
    ),
    Rule(
        "threads-of-a-core",
        "machine types without simultaneous multithreading do not take the number of threads",
        SMT,
        INSERT,
        _threads,
        Example("POST", PATH, {"machineType": "n1-standard-1", "advancedMachineFeatures": {"threadsPerCore": 1}}),
        reason="badRequest",
    ),
    Rule(
        "placement-of-a-series",
        "not every series can be placed close together",
        "https://github.com/dstackai/dstack/issues/2591, 2025-05-01",
        INSERT,
        _placement,
        Example("POST", PATH, {"resourcePolicies": ["projects/p/regions/us-central1/resourcePolicies/r"]}),
    ),
    Rule(
        "preemptible-and-standard",
        "a preemptible machine is a spot machine",
        "https://github.com/skypilot-org/skypilot/issues/3235, 2024-02-26",
        INSERT,
        _preemptible_standard,
        Example("POST", PATH, {"scheduling": {"preemptible": True, "provisioningModel": "STANDARD"}}),
    ),
    Rule(
        "provisioning-model",
        "flex-start is for some series, without a reservation and for 10 minutes to 7 days; spot takes no reservation",
        "https://docs.cloud.google.com/compute/docs/instances/about-flex-start-vms, 2026-11-30; "
        "https://github.com/skypilot-org/skypilot/pull/2393, 2023-08-11 (spot); the texts are not known",
        INSERT,
        _provisioning,
        Example("POST", PATH, {"scheduling": {"provisioningModel": "FLEX_START"}}),
        assumed=True,
    ),
)
