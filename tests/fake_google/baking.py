"""What an organisation's policies and Cloud KMS say to the machine and the image of a build's Packer template.

The template is read from the uploaded source, as Packer would; the refusals come in Packer's words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.fake_google import identity, quotas, templates
from tests.fake_google.cloud import Cloud
from tests.fake_google.refusals import keys
from tests.fake_google.refusals.compute import architecture, other_architecture

Json = Any
MACHINE = "==> googlecompute: Error creating instance: googleapi: Error 412: Constraint constraints"
IMAGE = "==> googlecompute: Error waiting for image: googleapi: Error 412: Location"


def refused(cloud: Cloud, build: Json) -> str:
    """The line of the log with which the build of this source ends; "" if nothing refuses it."""
    found = list(templates.builders(cloud, build))
    lines = [line for builder in found for line in (*_architecture(cloud, builder), *_key(cloud, builder))]
    lines += [line for builder in found for line in (*_time_limit(builder), *_quota(cloud, build, builder))]
    if cloud.conditions.policies:
        lines += [line for builder in found for line in _refusals(cloud, builder, build["projectId"])]
    return lines[0] if lines else ""


def baked_for(cloud: Cloud, build: Json) -> str:
    """The architecture of the image that a build makes, as far as its template says it."""
    found = (str(one["image_architecture"]).upper() for one in templates.builders(cloud, build) if _said(one))
    return next(found, "X86_64")


def _said(builder: Json) -> bool:
    return "image_architecture" in builder and "{{" not in builder["image_architecture"]


def _architecture(cloud: Cloud, builder: Json) -> Iterator[str]:
    """Refuse a machine type whose processors are not those of the source image."""
    machine = architecture(builder.get("machine_type", ""))
    for project in builder.get("source_image_project_id") or ():
        key = f"compute/compute/v1/projects/{project}/global/images/{builder.get('source_image')}"
        image = cloud.items.get(key, {}).get("architecture", machine)
        if "{{" not in builder.get("machine_type", "{{") and (
            refusal := other_architecture(image, builder["machine_type"])
        ):
            yield f"==> googlecompute: Error creating instance: googleapi: Error 400: {refusal}, badRequest"


def _time_limit(builder: Json) -> Iterator[str]:
    """Refuse a time limit for a preemptible machine, which the plugin can't make a spot one of.

    https://cloud.google.com/compute/docs/instances/limit-vm-runtime, "Limitations"; the words are not known.
    """
    if builder.get("preemptible") and builder.get("max_run_duration_in_seconds"):
        refusal = "You can't use time limits for legacy preemptible VMs., invalid"
        yield f"==> googlecompute: Error creating instance: googleapi: Error 400: {refusal}"


def _quota(cloud: Cloud, build: Json, builder: Json) -> Iterator[str]:
    """Refuse a machine for which there is no quota, in the words of its operation."""
    region = build.get("substitutions", {}).get("_ZONE", "").rpartition("-")[0]
    if text := quotas.exceeded(cloud, build.get("projectId", ""), region, quotas.of_template(builder)):
        yield f"==> googlecompute: Error creating instance: 1 error occurred: {text}"


def _key(cloud: Cloud, builder: Json) -> Iterator[str]:
    """Refuse a disk with a key that Compute Engine may not use, or not yet."""
    key = (builder.get("disk_encryption_key") or {}).get("kmsKeyName", "")
    if key and not keys.may_use(cloud, key, identity.COMPUTE_AGENT):
        refusal = f"Cloud KMS error when using key {key}: {keys.denied(key)}, kmsPermissionDenied"
        yield f"==> googlecompute: Error creating instance: googleapi: Error 400: {refusal}"


def left_up(cloud: Cloud, build: Json, created: str = "2026-12-01T08:00:00.000-08:00") -> None:
    """What a Packer whose provisioner failed leaves: its machine and the disk, if its steps say ``-on-error=abort``."""
    if not any("-on-error=abort" in step.get("args", ()) for step in build["steps"]):
        return
    for builder in templates.builders(cloud, build):
        name = builder["instance_name"].replace("{{user `bakery_build`}}", build["id"])
        zone = f"compute/compute/v1/projects/{build['projectId']}/zones/{builder['zone']}"
        disk = {"autoDelete": False, "initializeParams": {"diskName": name}}
        cloud.items[f"{zone}/disks/{name}"] = {"name": name, "users": [f"{zone}/instances/{name}"]}
        cloud.items[f"{zone}/instances/{name}"] = {
            **{"name": name, "disks": [disk], "status": "RUNNING", "creationTimestamp": created},
            "machineType": f"zones/{builder['zone']}/machineTypes/{builder.get('machine_type', 'n1-standard-1')}",
            "labels": builder["labels"],
            "metadata": {"items": [{"key": key, "value": value} for key, value in builder["metadata"].items()]},
            "networkInterfaces": [{"name": "nic0", "networkIP": "10.0.0.2"}],
            "scheduling": {
                "maxRunDuration": {"seconds": str(builder["max_run_duration_in_seconds"])},
                "instanceTerminationAction": builder["instance_termination_action"],
            },
        }


def _refusals(cloud: Cloud, builder: Json, project: str) -> Iterator[str]:
    conditions = cloud.conditions
    on = conditions.policies
    violated = f"violated for project projects/{project}."
    if "compute.requireShieldedVm" in on and not builder.get("enable_secure_boot"):
        yield f"{MACHINE}/compute.requireShieldedVm {violated} Secure Boot is not enabled., conditionNotMet"
    login = str(builder.get("metadata", {}).get("enable-oslogin", "")).lower()
    if "compute.requireOsLogin" in on and (login != "true" or not builder.get("use_os_login")):
        yield f"{MACHINE}/compute.requireOsLogin {violated}, conditionNotMet"
    if "compute.vmExternalIpAccess" in on and not builder.get("omit_external_ip"):
        yield f"{MACHINE}/compute.vmExternalIpAccess {violated}, conditionNotMet"
    untrusted = set(builder["source_image_project_id"]) - conditions.trusted - {project}
    if "compute.trustedImageProjects" in on and untrusted:
        yield f"{MACHINE}/compute.trustedImageProjects {violated} {untrusted}, conditionNotMet"
    if "gcp.resourceLocations" in on:
        for place in set(builder.get("image_storage_locations") or ["us"]) - conditions.locations:
            yield f"{IMAGE} {place} violates constraint constraints/gcp.resourceLocations on it., conditionNotMet"
