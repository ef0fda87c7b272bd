"""The tables of calls in docs/google.md: what the bakery asks Google for, who may, the quota, and what holds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bakery.infrastructure.grants import OS_LOGIN
from tests.fake_google import discovery
from tests.fake_google.permissions import ROLES, asked, grants_of, holders
from tests.gcp import methods

# Quotas of Compute Engine by the kind of method, the first word that is in the method's id; of a method of a zone or a
# region it is that of the region. Source: https://docs.cloud.google.com/compute/api-quota, as of 2026-04-14.
IMAGES = "global resource mutation requests a minute"
COMPUTE: Mapping[str, str] = {
    "images.delete": IMAGES,
    "images.deprecate": IMAGES,
    "images.insert": IMAGES,
    "images.setLabels": IMAGES,
    "getSerialPortOutput": "serial port output requests a minute",
    "zoneOperations.wait": "heavy-weight read requests a minute",
    "regionOperations.wait": "heavy-weight read requests a minute",
    "aggregatedList": "heavy-weight read requests a minute",
    "Operations.get": "operation read requests a minute",
    "Operations.list": "operation read requests a minute",
    ".list": "list requests a minute",
    ".get": "read requests a minute",
    "": "queries a minute",
}
# Beyond requests, what a call uses up: https://cloud.google.com/compute/resource-usage
USED_UP: Mapping[str, str] = {
    "compute.instances.insert": "processors and disks of the region",
    "cloudbuild.projects.builds.create": "parallel builds of the project",
}
# Quotas of the other services, read 2026-11-30. Of Cloud Build the page has parallel builds and triggers only; those of
# its requests are named by its refusals (tests/fake_google/refusals/others.py) and by the console.
# https://cloud.google.com/bigquery/quotas, https://cloud.google.com/build/quotas, https://cloud.google.com/pubsub/quotas,
# https://cloud.google.com/storage/quotas
QUOTAS: Mapping[str, str] = {
    "bigquery": "bytes of streamed rows a second",
    "cloudbuild.projects.builds.create": "build create requests a minute",
    "cloudbuild.projects.builds.get": "build and operation get requests a minute",
    "cloudbuild": "requests a minute",
    "cloudresourcemanager": "requests a minute",
    "pubsub": "kB published a minute in the region",
    "storage.objects.get": "reads a second of the bucket",
    "storage.objects.list": "reads a second of the bucket",
    "storage": "writes a second of the bucket",
}
HELD_BY: Mapping[str, str] = {
    "bigquery": "unit/library/compute_engine/test_library.py",
    "cloudbuild": "unit/ovens/cloud_build/test_oven.py",
    "cloudresourcemanager": "contract/test_first_day.py",
    "compute.disks": "unit/ovens/cloud_build/test_machines.py",
    "compute.images": "unit/library/compute_engine/test_library.py",
    "compute.projects": "contract/test_quotas.py",
    "compute.regions": "contract/test_quotas.py",
    "compute": "unit/fluid_run/test_compute_engine.py",
    "pubsub": "unit/library/compute_engine/test_events.py",
    "storage": "contract/test_libraries.py",
}
VIEWER = "roles/orgpolicy.policyViewer"  # of people; Viewer and Owner include it
PACKERS = "gcp/test_packer_plugin.py"
ONLY_PACKER = ("compute.instances.setMetadata", "compute.zones.get")


class Setup(NamedTuple):
    """What pulumi-gcp needs for a kind of resource: a predefined role (Owner includes it), the part of that role's
    permissions that is asked for, and the quota."""

    role: str
    permissions: str
    quota: str


# Sources of the permissions: IAM's reference of roles and permissions, https://cloud.google.com/iam/docs/roles-permissions;
# of the quotas, read 2026-11-30: https://cloud.google.com/artifact-registry/quotas, https://cloud.google.com/bigquery/quotas,
# https://cloud.google.com/build/quotas, https://cloud.google.com/kms/quotas, https://cloud.google.com/resource-manager/docs/limits,
# https://cloud.google.com/scheduler/quotas, https://cloud.google.com/vpc/docs/quota, https://cloud.google.com/iam/quotas,
# https://cloud.google.com/pubsub/quotas, https://cloud.google.com/storage/quotas. No page has those of Service Usage.
SETUP: Mapping[str, Setup] = {
    "artifactregistry": Setup(
        "artifactregistry.admin",
        "artifactregistry.repositories",
        "write requests a minute of the region; a new repository every two seconds",
    ),
    "artifactregistry.projects.locations.operations": Setup(
        "artifactregistry.admin", "artifactregistry.repositories", "requests a minute of the region"
    ),
    "bigquery.datasets": Setup("bigquery.admin", "bigquery.datasets", "five changes of a dataset in ten seconds"),
    "bigquery.tables": Setup("bigquery.admin", "bigquery.tables", "five changes of a table in ten seconds"),
    "cloudbuild.projects.locations.connections": Setup(
        "cloudbuild.connectionAdmin", "cloudbuild.connections", "requests a minute"
    ),
    "cloudbuild": Setup("cloudbuild.builds.editor", "cloudbuild.builds", "requests a minute; triggers of the project"),
    "cloudkms": Setup("cloudkms.admin", "cloudkms.cryptoKeys", "read and write requests a minute of the region"),
    "cloudresourcemanager": Setup(
        "resourcemanager.projectIamAdmin",
        "resourcemanager.projects",
        "reads and writes of projects a second; members of a policy",
    ),
    "cloudscheduler": Setup(
        "cloudscheduler.admin", "cloudscheduler.jobs", "read and write requests a minute; jobs of the region"
    ),
    "compute.firewalls": Setup(
        "compute.securityAdmin", "compute.firewalls", "queries a minute; firewall rules of the project"
    ),
    "compute.globalOperations": Setup(
        "compute.networkAdmin", "compute.globalOperations", "operation read requests a minute"
    ),
    "compute.regionOperations": Setup(
        "compute.networkAdmin", "compute.regionOperations", "operation read requests a minute of the region"
    ),
    "compute.networks": Setup("compute.networkAdmin", "compute.networks", "queries a minute; networks of the project"),
    "compute.routers": Setup(
        "compute.networkAdmin", "compute.routers", "queries a minute of the region; routers of the project"
    ),
    "compute.subnetworks": Setup(
        "compute.networkAdmin", "compute.subnetworks", "queries a minute of the region; subnetworks of the project"
    ),
    "iam.projects.locations.workloadIdentityPools": Setup(
        "iam.workloadIdentityPoolAdmin",
        "iam.googleapis.com/workloadIdentityPools",
        "write requests of federation a minute",
    ),
    "iam.projects.locations.workloadIdentityPools.providers": Setup(
        "iam.workloadIdentityPoolAdmin",
        "iam.googleapis.com/workloadIdentityPoolProviders",
        "write requests of federation a minute",
    ),
    "iam.projects.roles": Setup("iam.roleAdmin", "iam.roles", "write requests a minute; custom roles of the project"),
    "iam": Setup("iam.serviceAccountAdmin", "iam.serviceAccounts", "write requests a minute; accounts of the project"),
    "pubsub": Setup("pubsub.admin", "pubsub.topics", "administrator operations a minute; topics of the project"),
    "serviceusage.operations": Setup("serviceusage.serviceUsageAdmin", "serviceusage.operations", "requests a minute"),
    "serviceusage": Setup("serviceusage.serviceUsageAdmin", "serviceusage.services", "requests a minute"),
    "storage.buckets": Setup(
        "storage.admin", "storage.buckets", "a new bucket every two seconds; a change of a bucket a second"
    ),
    "storage.projects.serviceAccount": Setup("storage.admin", "resourcemanager.projects", "none is published"),
}
# Permissions that are named otherwise than the verb of the method.
VERBS: Mapping[str, str] = {
    "insert": "create",
    "patch": "update",
    "generateServiceIdentity": "enable",
    "cloudbuild.projects.locations.triggers.delete": "update",
}
# What these roles hold of it, as `gcloud iam roles describe` said on 2026-08-22. Source, held against these rows and
# those of ROLES on 2026-11-30: https://github.com/darkbitio/gcp-iam-role-permissions, folder roles.
ALL = ("create", "delete", "get", "update")
POLICY = ("getIamPolicy", "setIamPolicy")
HOLDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "artifactregistry.admin": {"artifactregistry.repositories": (*ALL, *POLICY)},
    "bigquery.admin": {"bigquery.datasets": ALL, "bigquery.tables": ALL},
    "cloudbuild.builds.editor": {"cloudbuild.builds": ("create", "get", "update")},
    "cloudbuild.connectionAdmin": {"cloudbuild.connections": POLICY},
    "cloudkms.admin": {"cloudkms.cryptoKeys": POLICY},
    "cloudscheduler.admin": {"cloudscheduler.jobs": ALL},
    "compute.networkAdmin": {
        **{f"compute.{kind}": ALL for kind in ("networks", "routers", "subnetworks")},
        **{f"compute.{kind}Operations": ("get",) for kind in ("global", "region")},
    },
    "compute.securityAdmin": {"compute.firewalls": ALL},
    "iam.roleAdmin": {"iam.roles": ALL},
    "iam.serviceAccountAdmin": {"iam.serviceAccounts": (*ALL, *POLICY)},
    "iam.workloadIdentityPoolAdmin": {
        f"iam.googleapis.com/workloadIdentity{kind}": ALL for kind in ("Pools", "PoolProviders")
    },
    "pubsub.admin": {"pubsub.topics": (*ALL, *POLICY)},
    "resourcemanager.projectIamAdmin": {"resourcemanager.projects": POLICY},
    "serviceusage.serviceUsageAdmin": {"serviceusage.services": ("enable", "get"), "serviceusage.operations": ("get",)},
    "storage.admin": {"storage.buckets": (*ALL, *POLICY), "resourcemanager.projects": ("get",)},
}
SETUP_HELD_BY = "gcp/test_stack.py"


class Other(NamedTuple):
    """What another program than the bakery's and pulumi-gcp asks for, with a role of the bakery's accounts."""

    call: str
    by: str
    permission: str
    role: str
    quota: str
    test: str


FEDERATED = "roles/iam.workloadIdentityUser"  # of CI's job on bakery-deploy
OTHERS = (
    Other(
        "the tunnel of `gcloud compute start-iap-tunnel`",
        "Packer, in a build",
        "iap.tunnelInstances.accessViaIAP",
        "roles/iap.tunnelResourceAccessor",
        "none is published",
        "contract/test_iap.py",
    ),
    Other(
        "`oslogin.users.importSshPublicKey`, ssh",
        "Packer, with `google.osLogin`",
        "compute.instances.osAdminLogin",
        OS_LOGIN,
        "requests a minute",
        "unit/ovens/cloud_build/test_request.py",
    ),
    Other(
        "pull of the builder image",
        "Cloud Build, for triggers",
        "artifactregistry.repositories.downloadArtifacts",
        "roles/artifactregistry.reader",
        "requests a minute of the region",
        "unit/infrastructure/test_security.py",
    ),
    Other(
        "push of the builder image",
        "Cloud Build, in step 5",
        "artifactregistry.repositories.uploadArtifacts",
        "roles/artifactregistry.writer",
        "write requests a minute of the region",
        "unit/infrastructure/test_security.py",
    ),
    Other(
        "`logging.entries.write`",
        "Cloud Build, for triggers",
        "logging.logEntries.create",
        "roles/logging.logWriter",
        "write requests a minute of the region",
        "unit/infrastructure/test_security.py",
    ),
    Other(
        "fetch from a second-generation repository",
        "Cloud Build, for triggers",
        "cloudbuild.repositories.accessReadToken",
        "roles/cloudbuild.readTokenAccessor",
        "requests a minute",
        "gcp/test_stack.py",
    ),
    Other(
        "`sts.token`, `iamcredentials.projects.serviceAccounts.generateAccessToken`",
        "CI's job, to log in",
        "iam.serviceAccounts.getAccessToken",
        FEDERATED,
        "exchanged tokens and generated credentials a minute",
        "unit/infrastructure/test_federation.py",
    ),
)


def quota(method: str) -> str:
    """The quota that a method counts against."""
    product = method.partition(".")[0]
    found = QUOTAS.get(method, QUOTAS.get(product, ""))
    if product == "compute":
        found = next(COMPUTE[word] for word in COMPUTE if word in method) + (
            " of the region" if _is_local(method) else ""
        )
    return f"{found}; {USED_UP[method]}" if method in USED_UP else found


def _is_local(method: str) -> bool:
    """Whether a method of Compute Engine is one of a zone or a region."""
    (template,) = (one.template for one in discovery.api("compute").methods if one.id == method)
    return "{zone}" in template or "{region}" in template


def held_by(method: str) -> str:
    """The test that makes the call, below tests/."""
    if method in ONLY_PACKER:
        return PACKERS
    return HELD_BY.get(method.rpartition(".")[0], HELD_BY[method.partition(".")[0]])


def table() -> str:
    """The calls of a stack that is set up, their permissions, and the roles of the bakery's accounts with these."""
    lines = ["| call | permissions | allowed by | quota | tested in `tests/` |", "|---|---|---|---|---|"]
    for method, permissions in asked().items():
        grants = [grant for account in holders(method) for grant in grants_of(account)]
        roles = {grant.role for grant in grants if set(permissions) & set(ROLES.get(grant.role, ()))} or {VIEWER}
        lines.append(_row(f"`{method}`", _listed(permissions), _listed(sorted(roles)), quota(method), held_by(method)))
    return "\n".join(lines) + "\n"


def setup_of(method: str) -> Setup:
    """What a method of pulumi-gcp's needs, by the longest part of its name that is known."""
    return next(SETUP[key] for key in _prefixes(method.rpartition(".")[0]) if key in SETUP)


def setup_permission(method: str) -> str:
    """The permission that a method of pulumi-gcp's needs."""
    verb = method.rpartition(".")[2]
    return f"{setup_of(method).permissions}.{VERBS.get(method, VERBS.get(verb, verb))}"


def permissions_of(role: str) -> set[str]:
    """What a predefined role holds of what pulumi-gcp asks for."""
    return {f"{what}.{verb}" for what, verbs in HOLDS[role].items() for verb in verbs}


def setup_table() -> str:
    """The calls of pulumi-gcp for what the stack declares, by resource, with a role and the quota of each."""
    verbs: dict[str, set[str]] = {}
    for method, _ in methods.by_the_provider():
        resource, _, verb = method.rpartition(".")
        verbs.setdefault(resource, set()).add(verb)
    lines = ["| resource | calls | allowed by | quota | tested in `tests/` |", "|---|---|---|---|---|"]
    for resource in sorted(verbs):
        needs = setup_of(f"{resource}.get")
        calls = _listed(sorted(verbs[resource]))
        lines.append(_row(f"`{resource}`", calls, f"`roles/{needs.role}`", needs.quota, SETUP_HELD_BY))
    return "\n".join(lines) + "\n"


def others_table() -> str:
    """What Cloud Build, Packer with gcloud and CI ask for as the bakery's accounts."""
    lines = ["| call | by | permission | allowed by | quota | tested in `tests/` |", "|---|---|---|---|---|---|"]
    for one in OTHERS:
        lines.append(f"| {one.call} | {one.by} | `{one.permission}` | `{one.role}` | {one.quota} | `{one.test}` |")
    return "\n".join(lines) + "\n"


def _prefixes(resource: str) -> list[str]:
    """The resource and what is above it, longest first."""
    parts = resource.split(".")
    return [".".join(parts[:length]) for length in range(len(parts), 0, -1)]


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _row(subject: str, what: str, allowed: str, limit: str, test: str) -> str:
    return f"| {subject} | {what} | {allowed} | {limit} | `{test}` |"
