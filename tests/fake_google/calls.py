"""The tables of calls in docs/google.md: what the bakery asks Google for, who may, the quota, and what holds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tests.fake_google.permissions import NEEDED, ROLES, grants_of, holders
from tests.gcp import methods

# Quotas by product and, for Compute Engine, by kind of method.
# Sources: https://cloud.google.com/compute/api-quota, https://cloud.google.com/build/quotas,
# https://cloud.google.com/storage/quotas, https://cloud.google.com/bigquery/quotas, https://cloud.google.com/pubsub/quotas
QUOTAS: Mapping[str, str] = {
    "compute.list": "list requests a minute",
    "compute.operation": "operation read requests a minute",
    "compute.read": "read requests a minute",
    "compute.machine": "queries a minute; processors and disks of the region",
    "compute.image": "global resource mutation requests a minute",
    "compute.change": "queries a minute",
    "bigquery": "bytes of streamed rows a second",
    "cloudbuild.create": "builds a minute; parallel builds",
    "cloudbuild": "read requests a minute",
    "pubsub": "bytes published a second in the region",
    "storage": "requests a second of the bucket",
}
IMAGE_CHANGES = ("images.delete", "images.deprecate", "images.insert", "images.setLabels")  # by the first page
KINDS = (
    *((method, "image") for method in IMAGE_CHANGES),
    ("Operations", "operation"),
    ("ist", "list"),
    (".get", "read"),
    ("instances.insert", "machine"),
)
HELD_BY: Mapping[str, str] = {
    "bigquery": "unit/library/compute_engine/test_library.py",
    "cloudbuild": "unit/ovens/cloud_build/test_oven.py",
    "compute.disks": "unit/ovens/cloud_build/test_machines.py",
    "compute.images": "unit/library/compute_engine/test_library.py",
    "compute": "unit/fluid_run/test_compute_engine.py",
    "pubsub": "unit/library/compute_engine/test_events.py",
    "storage": "contract/test_libraries.py",
}
PACKERS = "gcp/test_packer_plugin.py"
ONLY_PACKER = ("compute.instances.setMetadata", "compute.projects.get", "compute.zones.get")
# What pulumi-gcp changes: a predefined role that allows it (Owner does, too), and the quota. Further sources:
# https://cloud.google.com/iam/quotas, https://cloud.google.com/service-usage/quotas,
# https://cloud.google.com/resource-manager/docs/limits, https://cloud.google.com/artifact-registry/quotas,
# https://cloud.google.com/scheduler/quotas, https://cloud.google.com/vpc/docs/quota
SETUP: Mapping[str, tuple[str, str]] = {
    "artifactregistry": ("artifactregistry.admin", "requests a minute of the project"),
    "bigquery": ("bigquery.admin", "metadata updates of a dataset and a table"),
    "cloudbuild.projects.locations.connections": ("cloudbuild.connectionAdmin", "requests a minute"),
    "cloudbuild": ("cloudbuild.builds.editor", "requests a minute; triggers of the project"),
    "cloudkms": ("cloudkms.admin", "read and write requests a minute"),
    "cloudresourcemanager": ("resourcemanager.projectIamAdmin", "requests a minute; members of a policy"),
    "cloudscheduler": ("cloudscheduler.admin", "jobs of the region"),
    "compute.firewalls": ("compute.securityAdmin", "queries a minute; rules of the project"),
    "compute": ("compute.networkAdmin", "queries a minute; networks, subnetworks and routers of the project"),
    "iam.projects.locations": ("iam.workloadIdentityPoolAdmin", "write requests a minute; pools of the project"),
    "iam.projects.roles": ("iam.roleAdmin", "write requests a minute; custom roles of the project"),
    "iam": ("iam.serviceAccountAdmin", "write requests a minute; accounts of the project"),
    "pubsub": ("pubsub.admin", "administrator operations a minute; topics of the project"),
    "serviceusage": ("serviceusage.serviceUsageAdmin", "changes a minute"),
    "storage": ("storage.admin", "one new bucket every two seconds"),
}
SETUP_HELD_BY = "gcp/test_stack.py"


def quota(method: str) -> str:
    """The quota that a method counts against."""
    product = method.partition(".")[0]
    if product == "compute":
        return QUOTAS[f"compute.{next((kind for word, kind in KINDS if word in method), 'change')}"]
    return QUOTAS["cloudbuild.create" if method.endswith("builds.create") else product]


def held_by(method: str) -> str:
    """The test that makes the call, below tests/."""
    if method in ONLY_PACKER:
        return PACKERS
    return HELD_BY.get(method.rpartition(".")[0], HELD_BY[method.partition(".")[0]])


def table() -> str:
    """The calls of a stack that is set up, their permissions, and the roles of the bakery's accounts with these."""
    lines = ["| call | permissions | allowed by | quota | tested in `tests/` |", "|---|---|---|---|---|"]
    for method, permissions in NEEDED.items():
        grants = [grant for account in holders(method) for grant in grants_of(account)]
        roles = {grant.role for grant in grants if set(permissions) & set(ROLES.get(grant.role, ()))}
        lines.append(_row(f"`{method}`", _listed(permissions), _listed(sorted(roles)), quota(method), held_by(method)))
    return "\n".join(lines) + "\n"


def setup_table() -> str:
    """The calls of pulumi-gcp for what the stack declares, by resource, with a role and the quota of each."""
    verbs: dict[str, set[str]] = {}
    for method, _ in methods.by_the_provider():
        resource, _, verb = method.rpartition(".")
        verbs.setdefault(resource, set()).add(verb)
    lines = ["| resource | calls | allowed by | quota | tested in `tests/` |", "|---|---|---|---|---|"]
    for resource in sorted(verbs):
        role, limit = next(SETUP[key] for key in _prefixes(resource) if key in SETUP)
        lines.append(_row(f"`{resource}`", _listed(sorted(verbs[resource])), f"`roles/{role}`", limit, SETUP_HELD_BY))
    return "\n".join(lines) + "\n"


def _prefixes(resource: str) -> list[str]:
    """The resource and what is above it, longest first."""
    parts = resource.split(".")
    return [".".join(parts[:length]) for length in range(len(parts), 0, -1)]


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _row(subject: str, what: str, allowed: str, limit: str, test: str) -> str:
    return f"| {subject} | {what} | {allowed} | {limit} | `{test}` |"
