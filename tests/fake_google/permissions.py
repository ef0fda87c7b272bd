"""The permissions that Compute Engine asks for, method by method, held against the bakery's custom roles.

Its own client libraries call as ``bakery-deploy`` does in CI, Packer's plugin as ``bakery-bake``. Whoever else calls
(pulumi-gcp as a project's owner, the agents of test machines) is not looked at here.
Source: Compute Engine's "IAM permissions" of its API's methods.
"""

from __future__ import annotations

from collections.abc import Mapping

from bakery.infrastructure.grants import BAKER, LIBRARIAN, TESTER
from tests.fake_google.cloud import Request

NEW_MACHINE = (
    *("compute.instances.create", "compute.disks.create", "compute.images.useReadOnly", "compute.subnetworks.use"),
    *("compute.instances.setMetadata", "compute.instances.setTags", "compute.instances.setLabels"),
    "compute.instances.setServiceAccount",
)
NEEDED: Mapping[str, tuple[str, ...]] = {
    "compute.disks.aggregatedList": ("compute.disks.list",),
    "compute.disks.delete": ("compute.disks.delete",),
    "compute.globalOperations.get": ("compute.globalOperations.get",),
    "compute.globalOperations.wait": ("compute.globalOperations.get",),
    "compute.images.delete": ("compute.images.delete",),
    "compute.images.deprecate": ("compute.images.deprecate",),
    "compute.images.get": ("compute.images.get",),
    "compute.images.getFromFamily": ("compute.images.getFromFamily",),
    "compute.images.getIamPolicy": ("compute.images.getIamPolicy",),
    "compute.images.insert": ("compute.images.create", "compute.disks.useReadOnly", "compute.images.setLabels"),
    "compute.images.list": ("compute.images.list",),
    "compute.images.patch": ("compute.images.update",),
    "compute.images.setIamPolicy": ("compute.images.setIamPolicy",),
    "compute.images.setLabels": ("compute.images.setLabels",),
    "compute.instanceTemplates.aggregatedList": ("compute.instanceTemplates.list",),
    "compute.instances.aggregatedList": ("compute.instances.list",),
    "compute.instances.delete": ("compute.instances.delete",),
    "compute.instances.get": ("compute.instances.get",),
    "compute.instances.getSerialPortOutput": ("compute.instances.getSerialPortOutput",),
    "compute.instances.insert": NEW_MACHINE,
    "compute.instances.list": ("compute.instances.list",),
    "compute.instances.setMetadata": ("compute.instances.setMetadata",),
    "compute.machineTypes.get": ("compute.machineTypes.get",),
    "compute.projects.get": ("compute.projects.get",),
    "compute.zoneOperations.get": ("compute.zoneOperations.get",),
    "compute.zoneOperations.wait": ("compute.zoneOperations.get",),
    "compute.zones.get": ("compute.zones.get",),
}


def missing(request: Request) -> list[str]:
    """What the caller's custom roles do not hold of what this request needs."""
    method = request.id
    agent = f"{request.headers.get('user-agent', '')} {request.headers.get('x-goog-api-client', '')}"
    if "Packer/" in agent:
        account, held = "bakery-bake", set(BAKER)
    elif "gl-python/" in agent:
        account, held = "bakery-deploy", {*LIBRARIAN, *TESTER}
    else:
        return []
    if not method.startswith("compute."):
        return []
    if method not in NEEDED:
        return [f"{__name__} does not know what it needs"]
    return [f"needs {permission}, which {account} has not" for permission in NEEDED[method] if permission not in held]
