"""What Compute Engine refuses: machines that cannot be, zones without them, quotas and rate limits."""

from __future__ import annotations

import re
from typing import Any

from tests.fake_google import quotas
from tests.fake_google.cloud import Cloud, Request
from tests.fake_google.refusals.rule import Example, Rule

Json = Any
INSERT = ("compute.instances.insert",)
PATH = "/compute/v1/projects/p/zones/us-central1-a/instances"
MAINTENANCE = "https://docs.cloud.google.com/compute/docs/instances/setting-vm-host-options, read 2026-11-29"
SERIES_TEXTS = "https://github.com/GoogleCloudPlatform/cloud-image-tests/issues/346, 2025-09-29"
DISCOVERY = "discovery document compute v1"
RUN_TIME = "https://cloud.google.com/compute/docs/instances/limit-vm-runtime"
# Disk types that a series refuses: it takes Hyperdisk, or only solid-state disks.
PERSISTENT = {"pd-standard", "pd-balanced", "pd-ssd"}
NO_DISKS = {
    "c3": {"pd-standard"},
    "h3": {"pd-standard", "pd-ssd"},
    "h4d": PERSISTENT,
    "n4": PERSISTENT,
    "c4a": PERSISTENT,
    "n4a": PERSISTENT,
}
METADATA_BYTES = 262_144
LABEL_FORMAT = (
    "The value can only contain lowercase letters, numeric characters, underscores and dashes. "
    "The value can be at most 63 characters long. International characters are allowed."
)


def architecture(machine_type: str) -> str:
    """The architecture of a machine type's processors: Arm ones by Google's "Arm VMs on Compute Engine", 2026."""
    return "ARM64" if machine_type.startswith(("t2a-", "c4a-", "n4a-", "a4x-")) else "X86_64"


def machine_of(request: Request) -> str:
    return str(request.body.get("machineType", "")).rpartition("/")[2]


def scheduling_of(request: Request) -> Json:
    return request.body.get("scheduling", {})


def is_spot(request: Request) -> bool:
    return bool(scheduling_of(request).get("preemptible")) or scheduling_of(request).get("provisioningModel") == "SPOT"


def _maintenance(request: Request) -> str:
    return str(scheduling_of(request).get("onHostMaintenance") or ("TERMINATE" if is_spot(request) else "MIGRATE"))


def _e2_terminates(_cloud: Cloud, request: Request) -> str:
    broken = machine_of(request).startswith("e2-") and _maintenance(request) == "TERMINATE" and not is_spot(request)
    return "e2 instances do not support onHostMaintenance=TERMINATE unless they are preemptible." if broken else ""


def _accelerator_migrates(_cloud: Cloud, request: Request) -> str:
    has = request.body.get("guestAccelerators") or re.match(r"a\d|g\d", machine_of(request))
    broken = has and _maintenance(request) != "TERMINATE"
    return "Instances with guest accelerators do not support live migration." if broken else ""


def _stays_migrates(_cloud: Cloud, request: Request) -> str:
    broken = re.match(r"h4d-|.*-metal$", machine_of(request)) and _maintenance(request) != "TERMINATE"
    field = f"Invalid value for field 'resource.scheduling.onHostMaintenance': '{_maintenance(request)}'."
    only = "This machine type only supports on_host_maintenance = OnHostMaintenance.TERMINATE."
    return f"{field} {only}" if broken else ""


def _z3_terminates(_cloud: Cloud, request: Request) -> str:
    broken = machine_of(request).startswith("z3-") and scheduling_of(request).get("onHostMaintenance") == "TERMINATE"
    text = f"OnHostMaintenance must be set to MIGRATE for machine type - {machine_of(request)}."
    return text if broken and not is_spot(request) else ""


def _preemptible(wrong: str) -> str:
    start = "Invalid value for field 'resource.scheduling.preemptible': 'true'. Scheduling must have preemptible be"
    return f"{start} false when {wrong}."


def _spot_migrates(_cloud: Cloud, request: Request) -> str:
    broken = is_spot(request) and _maintenance(request) != "TERMINATE"
    return _preemptible("OnHostMaintenance isn't TERMINATE") if broken else ""


def _spot_restarts(_cloud: Cloud, request: Request) -> str:
    broken = is_spot(request) and scheduling_of(request).get("automaticRestart")
    return _preemptible("AutomaticRestart is true") if broken else ""


def _no_such_machine(cloud: Cloud, request: Request) -> str:
    zone, machine = request.call.params["zone"], machine_of(request)
    if (zone, machine) not in cloud.conditions.lacking:
        return ""
    field = f"Invalid value for field 'resource.machineType': '{request.body['machineType']}'."
    return f"{field} Machine type with name '{machine}' does not exist in zone '{zone}'."


def _no_such_type(cloud: Cloud, request: Request) -> str:
    zone, machine = request.call.params["zone"], request.call.params["machineType"]
    path = f"projects/{request.call.params['project']}/zones/{zone}/machineTypes/{machine}"
    return f"The resource '{path}' was not found" if (zone, machine) in cloud.conditions.lacking else ""


def _wrong_disk(_cloud: Cloud, request: Request) -> str:
    refused = NO_DISKS.get(machine_of(request).partition("-")[0], set())
    for disk in request.body.get("disks", []):
        kind = str(disk.get("initializeParams", {}).get("diskType", "")).rpartition("/")[2]
        if kind in refused:
            return f"[{kind}, {machine_of(request)}] features are not compatible for creating instance."
    return ""


def other_architecture(of_disk: str, machine_type: str) -> str:
    """The words about a boot disk for other processors than the machine has; "" if they fit."""
    machine = architecture(machine_type)
    words = (
        f"'Requested boot disk architecture ({of_disk}) is not compatible with machine type architecture ({machine}).'"
    )
    return "" if of_disk == machine else f"Invalid resource usage: {words}."


def _other_architecture(cloud: Cloud, request: Request) -> str:
    for disk in request.body.get("disks", []):
        image = re.search(
            r"projects/[^/]+/global/images/[^/]+$", disk.get("initializeParams", {}).get("sourceImage", "")
        )
        item = cloud.items.get(f"compute/compute/v1/{image[0]}") if image else None
        if item and (text := other_architecture(item.get("architecture", "X86_64"), machine_of(request))):
            return text
    return ""


def _small_disk(cloud: Cloud, request: Request) -> str:
    for number, disk in enumerate(request.body.get("disks", [])):
        params = disk.get("initializeParams", {})
        image = re.search(r"projects/[^/]+/global/images/[^/]+$", params.get("sourceImage", ""))
        item = cloud.items.get(f"compute/compute/v1/{image[0]}", {}) if image else {}
        size, least = int(params.get("diskSizeGb") or 0), int(item.get("diskSizeGb", 0))
        if 0 < size < least:
            field = f"Invalid value for field 'resource.disks[{number}].initializeParams.diskSizeGb': '{size}'."
            return f"{field} Requested disk size cannot be smaller than the image size ({least} GB)"
    return ""


def _name(_cloud: Cloud, request: Request) -> str:
    name, form = request.body.get("name", ""), "(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)"
    wrong = f"Invalid value for field 'resource.name': '{name}'. Must be a match of regex '{form}'"
    return "" if re.fullmatch(form, name) else wrong


def _label(_cloud: Cloud, request: Request) -> str:
    for key, value in (request.body.get("labels") or {}).items():
        if not re.fullmatch(r"[a-z][-_a-z0-9]{0,62}", key) or not re.fullmatch(r"[-_a-z0-9]{0,63}", value):
            which, wrong = ("key", key) if re.fullmatch(r"[-_a-z0-9]{0,63}", value) else ("value", value)
            field = (
                f"Invalid value for field 'resource.labels': ''. Label {which} '{wrong}' violates format constraints."
            )
            return f"{field} {LABEL_FORMAT}"
    return ""


def _metadata(_cloud: Cloud, request: Request) -> str:
    for number, item in enumerate(request.body.get("metadata", {}).get("items", [])):
        if (size := len(item.get("value", "").encode())) > METADATA_BYTES:
            field = f"Value for field 'resource.metadata.items[{number}].value' is too large:"
            return f"{field} maximum size {METADATA_BYTES} character(s); actual size {size}."
    return ""


def _termination(_cloud: Cloud, request: Request) -> str:
    scheduling = scheduling_of(request)
    action, model = scheduling.get("instanceTerminationAction"), scheduling.get("provisioningModel", "STANDARD")
    if not action or is_spot(request) or model != "STANDARD" or "maxRunDuration" in scheduling:
        return ""
    field = f"Invalid value for field 'resource.scheduling.instanceTerminationAction': '{action}'."
    why = "You cannot specify a termination action for a VM instance that has the standard provisioning model"
    use = "the VM instance must use the Spot, Reservation-Bound or Flex Start provisioning model."
    return f"{field} {why} (default). To use instance termination action, {use}"


def _end(_cloud: Cloud, request: Request) -> str:
    limit = scheduling_of(request).get("maxRunDuration")
    seconds = int(limit["seconds"]) if limit else 30
    return "" if 30 <= seconds <= 120 * 86400 else f"maxRunDuration is {seconds} s; it has to be 30 s to 120 days."


def _rate(cloud: Cloud, request: Request) -> str:
    if request.id not in cloud.conditions.rate:
        return ""
    cloud.conditions.rate.discard(request.id)
    limit = "limit 'Read requests per 100 seconds' of service 'compute.googleapis.com'"
    return f"Quota exceeded for quota group 'ReadGroup' and {limit} for consumer 'project_number:1'."


def _stockout(cloud: Cloud, request: Request) -> str:
    zone = request.call.params["zone"]
    where = f"The zone 'projects/{request.call.params['project']}/zones/{zone}' does not have enough resources"
    wanted = "available to fulfill the request.  '(resource type:compute)'."
    return f"{where} {wanted}" if zone in cloud.conditions.stockouts else ""


def _quota(cloud: Cloud, request: Request) -> str:
    region = request.call.params["zone"].rpartition("-")[0]
    return quotas.exceeded(cloud, request.call.params["project"], region, request.body)


def _too_frequent(cloud: Cloud, request: Request) -> str:
    if request.id not in cloud.conditions.busy:
        return ""
    cloud.conditions.busy.discard(request.id)
    resource = request.call.path.partition("/v1/")[2]
    return f"Operation rate exceeded for resource '{resource}'. Too frequent operations from the source resource."


def _closed(cloud: Cloud, request: Request) -> str:
    body = request.body or {}
    source = request.call.path if request.id == "compute.images.get" else str(body.get("sourceImage", ""))
    image = re.search(r"projects/([^/]+)/global/images/[^/]+$", source)
    word = "get" if request.id == "compute.images.get" else "useReadOnly"
    if image is None or image[1] not in cloud.conditions.closed:
        return ""
    return f"Required 'compute.images.{word}' permission for '{image[0]}'"


RULES = (
    Rule(
        "image-of-another-project",
        "an image of another project is read and copied only with a role there",
        "https://github.com/coreos/coreos-assembler/issues/1561, 2020-06-25; "
        "https://github.com/hashicorp/terraform/issues/15330, 2017-06-19",
        ("compute.images.get", "compute.images.insert"),
        _closed,
        Example(
            "POST",
            "/compute/v1/projects/p/global/images",
            {"name": "i", "sourceImage": "projects/other/global/images/o"},
            switch={"closed": {"other"}},
        ),
        status=403,
        reason="forbidden",
    ),
    Rule(
        "operation-rate",
        "operations of one resource that follow each other too fast end with an error",
        "https://github.com/googleapis/python-compute/issues/279, 2022-05-04; "
        "https://github.com/kubernetes-sigs/gcp-compute-persistent-disk-csi-driver/pull/1847, 2024-10-22",
        ("compute.images.patch", "compute.images.deprecate", "compute.images.setLabels", "compute.images.delete"),
        _too_frequent,
        Example(
            "PATCH",
            "/compute/v1/projects/p/global/images/i",
            {"family": "f"},
            switch={"busy": {"compute.images.patch"}},
        ),
        status=403,
        operation="RESOURCE_OPERATION_RATE_EXCEEDED",
    ),
    Rule(
        "e2-terminates",
        "an E2 machine that is not preemptible can't have the policy TERMINATE",
        "https://github.com/jenkinsci/google-compute-engine-plugin/issues/215, 2021-01-21",
        INSERT,
        _e2_terminates,
        Example("POST", PATH, {"scheduling": {"onHostMaintenance": "TERMINATE"}}),
        reason="badRequest",
    ),
    Rule(
        "accelerator-migrates",
        "a machine with accelerators needs the policy TERMINATE, which is not the default",
        "https://github.com/GoogleCloudPlatform/python-docs-samples/pull/10272, 2023-06-19",
        INSERT,
        _accelerator_migrates,
        Example("POST", PATH, {"guestAccelerators": [{"acceleratorCount": 1}], "machineType": "n1-standard-1"}),
    ),
    Rule(
        "series-that-stay",
        "H4D and bare metal can't migrate",
        f"{MAINTENANCE}; {SERIES_TEXTS}",
        INSERT,
        _stays_migrates,
        Example("POST", PATH, {"machineType": "zones/z/machineTypes/c3-highcpu-192-metal"}),
    ),
    Rule(
        "z3-terminates",
        "the policy of Z3 can't be set to TERMINATE",
        "https://docs.cloud.google.com/compute/docs/instances/host-maintenance-overview, 2026-11-29; " + SERIES_TEXTS,
        INSERT,
        _z3_terminates,
        Example("POST", PATH, {"machineType": "z3-highmem-8", "scheduling": {"onHostMaintenance": "TERMINATE"}}),
        reason="badRequest",
    ),
    Rule(
        "spot-migrates",
        "a preemptible machine can only have the policy TERMINATE",
        "https://github.com/travis-ci/worker/pull/487, 2018-08-23",
        INSERT,
        _spot_migrates,
        Example("POST", PATH, {"scheduling": {"preemptible": True, "onHostMaintenance": "MIGRATE"}}),
    ),
    Rule(
        "spot-restarts",
        "a preemptible machine can't restart by itself",
        "https://github.com/elasticluster/elasticluster/issues/568, 2018-06-24",
        INSERT,
        _spot_restarts,
        Example("POST", PATH, {"scheduling": {"preemptible": True, "automaticRestart": True}}),
    ),
    Rule(
        "machine-type-of-another-zone",
        "not every zone has every machine type",
        "https://github.com/gruntwork-io/terratest/issues/1132, 2022-05-28",
        INSERT,
        _no_such_machine,
        Example("POST", PATH, switch={"lacking": {("us-central1-a", "e2-standard-2")}}),
    ),
    Rule(
        "unknown-machine-type",
        "a machine type that a zone lacks is not found there",
        "shared recordings: the form of Compute Engine's 404",
        ("compute.machineTypes.get",),
        _no_such_type,
        Example(
            "GET",
            "/compute/v1/projects/p/zones/us-central1-a/machineTypes/e2-standard-2",
            switch={"lacking": {("us-central1-a", "e2-standard-2")}},
        ),
        status=404,
        reason="notFound",
    ),
    Rule(
        "disk-type-of-another-series",
        "a series does not take every type of disk",
        "https://github.com/DataBiosphere/dsub/issues/301, 2024-12-29; "
        "https://github.com/GoogleCloudPlatform/cluster-toolkit/pull/1601, 2023-07-18",
        INSERT,
        _wrong_disk,
        Example(
            "POST",
            PATH,
            {"machineType": "n4-standard-2", "disks": [{"initializeParams": {"diskType": "diskTypes/pd-standard"}}]},
        ),
    ),
    Rule(
        "disk-smaller-than-its-image",
        "a disk is at least as large as the image that it is made from",
        "https://github.com/ComputeCanada/magic_castle/pull/81, 2020-05-19",
        INSERT,
        _small_disk,
        Example(
            "POST",
            PATH,
            {"disks": [{"initializeParams": {"sourceImage": "projects/p/global/images/large", "diskSizeGb": "10"}}]},
        ),
    ),
    Rule(
        "architecture-of-a-machine",
        "a machine boots from a disk for its processors",
        "https://github.com/GoogleCloudPlatform/PerfKitBenchmarker/pull/6593, 2026-04-15",
        INSERT,
        _other_architecture,
        Example(
            *("POST", PATH),
            {"disks": [{"initializeParams": {"sourceImage": "projects/p/global/images/arm"}}]},
        ),
    ),
    Rule(
        "name-of-a-machine",
        "a name follows RFC 1035",
        DISCOVERY + ", Instance.name",
        INSERT,
        _name,
        Example("POST", PATH, {"name": "Upper"}),
    ),
    Rule(
        "label",
        "labels have at most 63 lower-case letters, digits, hyphens and underscores",
        "https://github.com/os-autoinst/os-autoinst-distri-opensuse, data/publiccloud/terraform/gce.tf, an error of "
        "2020-07-31; https://cloud.google.com/compute/docs/labeling-resources#requirements",
        (*INSERT, "compute.images.setLabels", "compute.images.insert"),
        _label,
        Example("POST", PATH, {"labels": {"bakery": "Upper"}}),
    ),
    Rule(
        "metadata-size",
        "a value of the metadata has at most 256 KiB",
        "https://github.com/kubernetes/kubernetes/issues/37180, 2016-11-20 (the words, when the limit was lower); "
        "https://docs.cloud.google.com/compute/docs/troubleshooting/troubleshooting-ssh-errors, 2026-11-30 (the limit)",
        INSERT,
        _metadata,
        Example("POST", PATH, {"metadata": {"items": [{"key": "k", "value": "x" * (METADATA_BYTES + 1)}]}}),
        status=413,
        reason="fieldSizeTooLarge",
    ),
    Rule(
        "termination-action",
        "a standard machine without a run time does not end by itself",
        "https://github.com/cloudpilot-ai/karpenter-provider-gcp/issues/155, 2025-11-26 (the words); "
        f"{RUN_TIME} (a run time allows it)",
        INSERT,
        _termination,
        Example("POST", PATH, {"scheduling": {"instanceTerminationAction": "DELETE"}}),
    ),
    Rule(
        "run-time",
        "a machine that ends by itself does so after 30 s to 120 days",
        RUN_TIME + "; the text is not known",
        INSERT,
        _end,
        Example("POST", PATH, {"scheduling": {"maxRunDuration": {"seconds": "5"}}}),
        assumed=True,
    ),
    Rule(
        "rate-limit",
        "too many requests to Compute Engine are a 403, not a 429",
        "https://github.com/hashicorp/terraform-provider-google/issues/8360, 2021-02-01; .../issues/9207, 2021-05-20",
        ("compute.instances.list", "compute.images.list", "compute.images.get", *INSERT),
        _rate,
        Example("GET", PATH, switch={"rate": {"compute.instances.list"}}),
        status=403,
        reason="rateLimitExceeded",
    ),
    Rule(
        "stock-out",
        "a zone without free machines says so when the operation ends",
        "https://github.com/CCExtractor/sample-platform/issues/901, 2024-06-26; "
        "https://github.com/scylladb/scylla-cluster-tests/issues/12477, 2025-11-09 (503 SERVICE UNAVAILABLE)",
        INSERT,
        _stockout,
        Example("POST", PATH, switch={"stockouts": {"us-central1-a"}}),
        status=503,
        operation="ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS",
    ),
    Rule(
        "quota",
        "the quota of a region is checked when the operation runs",
        "https://github.com/GoogleCloudPlatform/pubsec-declarative-toolkit/issues/625, 2023-10-27; "
        "https://github.com/GoogleCloudPlatform/ai-on-gke/issues/849, 2024-10-16 (code QUOTA_EXCEEDED)",
        INSERT,
        _quota,
        Example("POST", PATH, switch={"quota": {"E2_CPUS": 0}}),
        status=403,
        operation="QUOTA_EXCEEDED",
    ),
)
