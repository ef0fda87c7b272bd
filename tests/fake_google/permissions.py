"""The permissions that Google asks for, method by method, held against the roles of the account that really calls.

Packer's plugin calls as ``bakery-bake``, a test machine as ``bakery-test`` (its token says so), and the bakery's own
clients as ``cloud.conditions.caller``: ``bakery-deploy`` in CI, ``bakery-trigger`` in a trigger, or the account of an
rcc-run step. pulumi-gcp calls as a project's owner and is not looked at here.
Sources: the "IAM permissions" of each API's methods; of roles, of each only what is asked for, see HOLDS in
:mod:`tests.fake_google.calls`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import unquote

from bakery.infrastructure.grants import COPIER, COPIER_ROLE, CUSTOM_ROLES, GRANTS, RUNS_ONLY, Grant, On
from bakery.settings.google import Bucket, Duty
from tests.fake_google import grants
from tests.fake_google.cloud import Cloud, Request

ACT_AS = "iam.serviceAccounts.actAs"
PUBLIC = ("compute.images.get", "compute.images.getFromFamily", "compute.images.useReadOnly")
OBJECT_VIEWER = ("storage.objects.get", "storage.objects.list")
OBJECT_USER = (*OBJECT_VIEWER, "storage.objects.create", "storage.objects.delete", "storage.objects.update")
ROLES: Mapping[str, tuple[str, ...]] = {
    **{name: permissions for name, (_, permissions) in CUSTOM_ROLES.items()},
    COPIER_ROLE: COPIER,
    "roles/compute.imageUser": (*PUBLIC, "compute.images.list"),
    "roles/artifactregistry.reader": ("artifactregistry.repositories.downloadArtifacts",),
    "roles/artifactregistry.writer": ("artifactregistry.repositories.uploadArtifacts",),
    "roles/bigquery.dataEditor": ("bigquery.tables.get", "bigquery.tables.updateData"),
    "roles/cloudbuild.builds.editor": (
        *("cloudbuild.builds.create", "cloudbuild.builds.get", "cloudbuild.builds.list", "cloudbuild.builds.update"),
    ),
    "roles/iam.serviceAccountUser": (ACT_AS,),
    "roles/pubsub.publisher": ("pubsub.topics.publish",),
    "roles/storage.objectViewer": OBJECT_VIEWER,
    "roles/storage.objectUser": OBJECT_USER,
    "roles/storage.legacyBucketReader": ("storage.buckets.get", "storage.objects.list"),
}
NEW_MACHINE = (
    *("compute.instances.create", "compute.disks.create", "compute.images.useReadOnly", "compute.subnetworks.use"),
    *("compute.instances.setMetadata", "compute.instances.setTags", "compute.instances.setLabels"),
    *("compute.instances.setServiceAccount", "compute.disks.setLabels"),
)
SUBMITTING = ("cloudbuild.projects.builds.create", "cloudbuild.projects.locations.builds.create")
NEEDED: Mapping[str, tuple[str, ...]] = {
    "bigquery.tabledata.insertAll": ("bigquery.tables.updateData",),
    "cloudbuild.projects.builds.cancel": ("cloudbuild.builds.update",),
    "cloudbuild.projects.builds.create": ("cloudbuild.builds.create",),
    "cloudbuild.projects.builds.get": ("cloudbuild.builds.get",),
    "cloudbuild.projects.builds.list": ("cloudbuild.builds.list",),
    "cloudbuild.projects.locations.builds.cancel": ("cloudbuild.builds.update",),
    "cloudbuild.projects.locations.builds.create": ("cloudbuild.builds.create",),
    "cloudbuild.projects.locations.builds.get": ("cloudbuild.builds.get",),
    "cloudbuild.projects.locations.builds.list": ("cloudbuild.builds.list",),
    "compute.disks.aggregatedList": ("compute.disks.list",),
    "compute.disks.delete": ("compute.disks.delete",),
    "compute.disks.get": ("compute.disks.get",),
    "compute.disks.setLabels": ("compute.disks.setLabels",),
    "compute.globalOperations.get": ("compute.globalOperations.get",),
    "compute.globalOperations.wait": ("compute.globalOperations.get",),
    "compute.images.delete": ("compute.images.delete",),
    "compute.images.deprecate": ("compute.images.deprecate",),
    "compute.images.get": ("compute.images.get",),
    "compute.images.getFromFamily": ("compute.images.getFromFamily",),
    "compute.images.getIamPolicy": ("compute.images.getIamPolicy",),
    "compute.images.insert": ("compute.images.create", "compute.images.setLabels"),
    "compute.images.list": ("compute.images.list",),
    "compute.images.patch": ("compute.images.update",),
    "compute.images.setIamPolicy": ("compute.images.setIamPolicy",),
    "compute.images.setLabels": ("compute.images.setLabels",),
    "compute.instanceTemplates.aggregatedList": ("compute.instanceTemplates.list",),
    "compute.instances.delete": ("compute.instances.delete",),
    "compute.instances.get": ("compute.instances.get",),
    "compute.instances.getSerialPortOutput": ("compute.instances.getSerialPortOutput",),
    "compute.instances.insert": NEW_MACHINE,
    "compute.instances.list": ("compute.instances.list",),
    "compute.instances.setMetadata": ("compute.instances.setMetadata",),
    "compute.machineTypes.get": ("compute.machineTypes.get",),
    "compute.projects.get": ("compute.projects.get",),
    "compute.regionOperations.get": ("compute.regionOperations.get",),
    "compute.regionOperations.wait": ("compute.regionOperations.get",),
    "compute.regions.get": ("compute.regions.get",),
    "compute.resourcePolicies.delete": ("compute.resourcePolicies.delete",),
    "compute.resourcePolicies.insert": ("compute.resourcePolicies.create",),
    "compute.resourcePolicies.list": ("compute.resourcePolicies.list",),
    "compute.zoneOperations.get": ("compute.zoneOperations.get",),
    "compute.zoneOperations.list": ("compute.zoneOperations.list",),
    "compute.zoneOperations.wait": ("compute.zoneOperations.get",),
    "compute.zones.get": ("compute.zones.get",),
    "pubsub.projects.topics.publish": ("pubsub.topics.publish",),
    "storage.objects.delete": ("storage.objects.delete",),
    "storage.objects.get": ("storage.objects.get",),
    "storage.objects.insert": ("storage.objects.create",),
    "storage.objects.list": ("storage.objects.list",),
}
# To use what a new image is made from; for an image it is what roles/compute.imageUser grants.
SOURCES = {"sourceDisk": "compute.disks.useReadOnly", "sourceImage": "compute.images.useReadOnly"}
# Of a new machine with a placement policy.
PLACED = {"resourcePolicies": "compute.resourcePolicies.use"}
USES: Mapping[str, Mapping[str, str]] = {"compute.images.insert": SOURCES, "compute.instances.insert": PLACED}
# What is given an account, as which the caller has to be allowed to act.
ACTING = (*SUBMITTING, "compute.instances.insert")
CLUSTER_ACCOUNT = "slurm"  # of the machines of a cluster, which is not the bakery's
# The account of a build with a step of rcc-run: docs/rcc-run.md, "Permissions of the step's account".
STEP = "the step's account"
STEP_GRANTS = (
    Grant(Duty.DEPLOY, "bakeryTester", On.PROJECT, ""),
    Grant(Duty.DEPLOY, "bakeryReader", On.PROJECT, ""),
    Grant(Duty.DEPLOY, "roles/iam.serviceAccountUser", On.ACCOUNT, "", Duty.TEST),
    Grant(Duty.DEPLOY, "roles/storage.objectUser", On.BUCKET, "", Bucket.ARTIFACTS),
    Grant(Duty.DEPLOY, "roles/artifactregistry.reader", On.REPOSITORY, ""),
    Grant(Duty.DEPLOY, "roles/bigquery.dataEditor", On.DATASET, ""),
)
# What only people may: roles/orgpolicy.policyViewer, and Viewer and Owner, include it. A preview does without it.
PEOPLES: Mapping[str, tuple[str, ...]] = {
    "cloudresourcemanager.projects.getEffectiveOrgPolicy": ("orgpolicy.policy.get",),
}
# What an account asks for without having it, and does without: methods by account.
DONE_WITHOUT = {"bakery-trigger": ("compute.disks.aggregatedList", "compute.disks.get", "compute.instances.delete")}


def grants_of(account: str) -> tuple[Grant, ...]:
    """The grants of an account of the bakery, or of an rcc-run step's."""
    return STEP_GRANTS if account == STEP else tuple(one for one in GRANTS if account == f"bakery-{one.duty}")


def asked() -> Mapping[str, tuple[str, ...]]:
    """All permissions that a method may need, also those that depend on what the request names."""
    acting = dict.fromkeys(ACTING, (ACT_AS,))
    return {
        method: (*always, *USES.get(method, {}).values(), *acting.get(method, ()))
        for method, always in sorted({**NEEDED, **PEOPLES}.items())
    }


def holders(method: str) -> list[str]:
    """The accounts that have all permissions of a method on some resource."""
    accounts = [*(f"bakery-{duty}" for duty in Duty), STEP]
    needed = PEOPLES.get(method) or NEEDED[method]
    return [account for account in accounts if all(_granting(grants_of(account), one) for one in needed)]


def _granting(held: Sequence[Grant], permission: str) -> list[Grant]:
    return [grant for grant in held if permission in ROLES.get(grant.role, ())]


def caller(cloud: Cloud, request: Request) -> str:
    """The account that calls; "" for one that is not looked at."""
    token = request.headers.get("authorization", "").rpartition(" ")[2]
    owner = cloud.tokens.get(token, ("", ()))[0].partition("@")[0]
    if owner.startswith("bakery-"):
        return owner
    if owner == CLUSTER_ACCOUNT:
        return ""
    agent = f"{request.headers.get('user-agent', '')} {request.headers.get('x-goog-api-client', '')}"
    return "bakery-bake" if "Packer/" in agent else cloud.conditions.caller if "gl-python/" in agent else ""


def missing(cloud: Cloud, request: Request) -> list[str]:
    """What the caller's roles that have taken effect do not hold of what this request needs."""
    account = caller(cloud, request)
    held = [one for one in grants_of(account) if grants.effective(cloud, account, one.role)]
    return _missing(cloud, request, account, held)


def is_elsewhere(cloud: Cloud, project: str) -> bool:
    """Whether a project is not the bakery's: another one has its buckets, or the conditions name it."""
    start = "storage/storage/v1/b/"
    owners = [key.removeprefix(start) for key in cloud.items if key.startswith(start) and key.endswith("-artifacts")]
    own = not project or not owners or any(name.startswith(f"{project}-") for name in owners)
    return project in cloud.conditions.elsewhere or not own


def _missing_elsewhere(cloud: Cloud, project: str, needed: Sequence[str], bucket: str) -> list[str]:
    """What the caller may not do in a project that is not its own, of whose buckets it may read that of the artifacts.

    Images of others are public unless the conditions name their project. The words are those of the issues that
    tests/fake_google/refusals quotes for images of another project, of an object
    https://github.com/zetaalphavector/InPars/issues/13, 2023-01-27.
    """
    roles = cloud.conditions.elsewhere.get(project)
    held = {permission for role in roles or () for permission in ROLES[role] if bucket.endswith("-artifacts")}
    held |= set(PUBLIC) if roles is None else set()
    return [_refused(one, project) for one in needed if one not in held]


def _refused(permission: str, project: str) -> str:
    if not permission.startswith("storage."):
        return f"Required '{permission}' permission for 'projects/{project}'"
    denied = f"Permission '{permission}' denied on resource (or it may not exist)."
    return f"The caller does not have {permission} access to the Google Cloud Storage bucket. {denied}"


def project_of(cloud: Cloud, request: Request) -> str:
    """The project that a request is about; "" if it says none and its bucket is not that of another project."""
    if bucket := request.call.params.get("bucket", ""):
        owners = [project for project in cloud.conditions.elsewhere if bucket.startswith(f"{project}-")]
        return max(owners, key=len, default="")
    return request.call.params.get("project", "")


def _missing(cloud: Cloud, request: Request, account: str, held: Sequence[Grant]) -> list[str]:
    if account and request.id in PEOPLES:
        return [f"needs {name}, which {account} has not" for name in PEOPLES[request.id]]
    if not account:
        return []
    if request.id not in NEEDED:
        return [f"{__name__} does not know what it needs"]
    project, body = project_of(cloud, request), request.body or {}
    uses = USES.get(request.id, {})
    needed = [(project, NEEDED[request.id])]
    needed += [(_project_of(body[key]) or project, (uses[key],)) for key in uses if key in body]
    elsewhere = [(where, asked) for where, asked in needed if is_elsewhere(cloud, where)]
    here = [one for where, asked in needed if not is_elsewhere(cloud, where) for one in asked]
    lacking = [one for one in here if not any(map(_allows(request, one), _granting(held, one)))]
    targets = {grant.target for grant in _granting(held, ACT_AS)}
    lacking += [f"{ACT_AS} on {target}" for target in _acts_as(request) if target not in targets]
    bucket = request.call.params.get("bucket", "-artifacts")
    refused = [text for where, asked in elsewhere for text in _missing_elsewhere(cloud, where, asked, bucket)]
    return [*(f"needs {name}, which {account} has not" for name in lacking), *refused]


def _project_of(source: object) -> str:
    match = re.search(r"projects/([^/]+)/", str(source))
    return match[1] if match else ""


def done_without(cloud: Cloud, request: Request) -> bool:
    """Whether the caller goes on when this is refused: it never gets the role, or will have it in some minutes."""
    account = caller(cloud, request)
    sources = [_project_of(value) for value in (request.body or {}).values()] if isinstance(request.body, dict) else []
    known = any(is_elsewhere(cloud, one) for one in (project_of(cloud, request), *filter(None, sources)))
    return (
        known
        or request.id in PEOPLES
        or request.id in DONE_WITHOUT.get(account, ())
        or not _missing(cloud, request, account, grants_of(account))
    )


def _allows(request: Request, permission: str) -> Callable[[Grant], bool]:
    """Whether a grant is on the resource of the request, and its condition holds."""
    if not permission.startswith("storage."):
        return lambda _grant: True
    bucket = re.search(r"bakery-(\S+)$", request.call.params["bucket"])
    written = unquote(request.call.params.get("object", ""))  # as it is in the path: runs%2F...
    name = str(written or request.query.get("name") or (request.body or {}).get("name", ""))

    def allows(grant: Grant) -> bool:
        here = bucket is None or grant.target == bucket[1]
        return here and (grant.condition != RUNS_ONLY or name.startswith("runs/"))

    return allows


def _acts_as(request: Request) -> Iterator[str]:
    """The duties of the accounts that the request gives to a machine or a build."""
    body = request.body or {}
    emails = [one.get("email", "") for one in body.get("serviceAccounts", [])] if isinstance(body, dict) else []
    if request.id in SUBMITTING:
        emails.append(str(body.get("serviceAccount", "")).rpartition("/")[2])
    for email in emails:
        if match := re.match(r"bakery-(\w+)@", email):
            yield match[1]
