"""What an organisation's policies refuse, each switched on by ``cloud.conditions.policies``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.fake_google.cloud import Cloud, Request
from tests.fake_google.refusals.rule import Example, Rule

Json = Any
CONSTRAINTS = "https://cloud.google.com/resource-manager/docs/organization-policy/org-policy-constraints"
MORE = f"See {CONSTRAINTS} for more information."
INSTANCES = "/compute/v1/projects/p/zones/us-central1-a/instances"
IMAGES = "/compute/v1/projects/p/global/images"
Check = Callable[[Cloud, Request], str]


def _enforced(constraint: str, check: Check) -> Check:
    return lambda cloud, request: check(cloud, request) if constraint in cloud.conditions.policies else ""


def _violated(request: Request, constraint: str, text: str) -> str:
    project = request.call.params.get("project", "p")
    return f"Constraint constraints/{constraint} violated for project projects/{project}. {text}"


def _no_secure_boot(_cloud: Cloud, request: Request) -> str:
    if request.body.get("shieldedInstanceConfig", {}).get("enableSecureBoot"):
        return ""
    text = f"Secure Boot is not enabled in the 'shielded_instance_config' field. {MORE}"
    return _violated(request, "compute.requireShieldedVm", text)


def _no_os_login(_cloud: Cloud, request: Request) -> str:
    items = request.body.get("metadata", request.body).get("items", [])
    refused = [item for item in items if item["key"] == "enable-oslogin" and item["value"].lower() != "true"]
    text = f"The 'enable-oslogin' metadata value must be TRUE. {MORE}"
    return _violated(request, "compute.requireOsLogin", text) if refused else ""


def _external_address(_cloud: Cloud, request: Request) -> str:
    if not any("accessConfigs" in card for card in request.body.get("networkInterfaces", [])):
        return ""
    where = f"projects/{request.call.params['project']}/zones/{request.call.params['zone']}/instances"
    name = f"{where}/{request.body['name']}"
    text = f"Add instance {name} to the constraint to use external IP with it."
    return _violated(request, "compute.vmExternalIpAccess", text)


def _untrusted_image(cloud: Cloud, request: Request) -> str:
    for disk in request.body.get("disks", []):
        source = re.search(r"projects/([^/]+)/global/images", disk.get("initializeParams", {}).get("sourceImage", ""))
        if source and source[1] not in cloud.conditions.trusted | {request.call.params["project"]}:
            text = f"Use of images from project {source[1]} is prohibited."
            return _violated(request, "compute.trustedImageProjects", text)
    return ""


def _image_elsewhere(cloud: Cloud, request: Request) -> str:
    places = request.body.get("storageLocations") or ["us"]
    wrong = [place for place in places if place not in cloud.conditions.locations]
    resource = f"projects/{request.call.params['project']}/global/images/{request.body.get('name')}"
    told = "violates constraint constraints/gcp.resourceLocations on the resource"
    return f"Location {wrong[0]} {told} {resource}." if wrong else ""


def _bucket_elsewhere(cloud: Cloud, request: Request) -> str:
    place = str(request.body.get("location", "us")).lower()
    return (
        ""
        if place in cloud.conditions.locations
        else f"'{place}' violates constraint 'constraints/gcp.resourceLocations'"
    )


def _new_key(_cloud: Cloud, _request: Request) -> str:
    return "Key creation is not allowed on this service account."


def _default_network(_cloud: Cloud, request: Request) -> str:
    for card in request.body.get("networkInterfaces", []):
        if not card.get("subnetwork") and str(card.get("network", "default")).endswith("default"):
            project = request.call.params["project"]
            return f"The resource 'projects/{project}/global/networks/default' was not found"
    return ""


def _policy(
    name: str, constraint: str, source: str, methods: tuple[str, ...], check: Check, *, example: Example, **more: Any
) -> Rule:  # a table's row
    rest = {"status": 412, "reason": "conditionNotMet", **more}
    switch = {"policies": {constraint}, **example.switch}
    told = Example(example.method, example.path, example.body, switch)
    return Rule(name, f"{constraint} is enforced", source, methods, _enforced(constraint, check), told, **rest)


RULES = (
    _policy(
        "require-shielded-vm",
        "compute.requireShieldedVm",
        "https://github.com/GoogleCloudPlatform/compute-image-tools/issues/1834, 2022-01-20",
        ("compute.instances.insert",),
        _no_secure_boot,
        example=Example("POST", INSTANCES, {"shieldedInstanceConfig": {"enableSecureBoot": False}}),
    ),
    _policy(
        "require-os-login",
        "compute.requireOsLogin",
        CONSTRAINTS + "; the text is not known",
        ("compute.instances.insert", "compute.instances.setMetadata"),
        _no_os_login,
        example=Example("POST", INSTANCES, {"metadata": {"items": [{"key": "enable-oslogin", "value": "false"}]}}),
        assumed=True,
    ),
    _policy(
        "external-address",
        "compute.vmExternalIpAccess",
        "https://github.com/GoogleCloudPlatform/compute-image-tools/issues/1834, 2022-01-20",
        ("compute.instances.insert",),
        _external_address,
        example=Example(
            "POST", INSTANCES, {"networkInterfaces": [{"network": "n", "accessConfigs": [{"name": "nat"}]}]}
        ),
    ),
    _policy(
        "trusted-images",
        "compute.trustedImageProjects",
        "https://docs.cloud.google.com/batch/docs/troubleshooting, 2026-11-30; "
        "https://github.com/GoogleCloudPlatform/gce-rescue/pull/137, 2026-06-28",
        ("compute.instances.insert",),
        _untrusted_image,
        example=Example(
            "POST",
            INSTANCES,
            {"disks": [{"initializeParams": {"sourceImage": "projects/debian-cloud/global/images/debian-12"}}]},
        ),
    ),
    _policy(
        "image-location",
        "gcp.resourceLocations",
        "https://github.com/GoogleCloudPlatform/cluster-toolkit/issues/1121, 2023-04-05",
        ("compute.images.insert",),
        _image_elsewhere,
        example=Example("POST", IMAGES, {"name": "i"}, {"locations": {"us-central1"}}),
        operation="CONDITION_NOT_MET",
    ),
    _policy(
        "bucket-location",
        "gcp.resourceLocations",
        "https://github.com/PaloAltoNetworks/terraform-google-vmseries-modules/issues/148, 2022-12-13",
        ("storage.buckets.insert",),
        _bucket_elsewhere,
        example=Example("POST", "/storage/v1/b?project=p", {"name": "b"}, {"locations": {"us-central1"}}),
    ),
    _policy(
        "key-of-an-account",
        "iam.disableServiceAccountKeyCreation",
        "https://github.com/GaloyMoney/galoy-infra/issues/242, 2025-01-07",
        ("iam.projects.serviceAccounts.keys.create",),
        _new_key,
        example=Example("POST", "/v1/projects/p/serviceAccounts/a@p.iam.gserviceaccount.com/keys", {}),
        status=400,
        reason="failedPrecondition",
    ),
    _policy(
        "default-network",
        "compute.skipDefaultNetworkCreation",
        CONSTRAINTS,
        ("compute.instances.insert",),
        _default_network,
        example=Example("POST", INSTANCES, {"networkInterfaces": [{"network": "global/networks/default"}]}),
        status=404,
        reason="notFound",
    ),
)
