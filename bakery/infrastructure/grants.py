"""All grants, as data: one account for each duty, each role on the narrowest resource that has it, with the reason.

The table in ``docs/google.md`` is rendered from here, and a test compares both. There are no keys: Cloud Build, Compute
Engine and (for the deploy account) workload identity issue short-lived credentials.
"""

from dataclasses import dataclass
from enum import StrEnum

from bakery.settings.copies import ROLE as COPIER_ROLE
from bakery.settings.google import Bucket, Duty


class On(StrEnum):
    """The kind of resource that a role is granted on."""

    PROJECT = "project"
    ACCOUNT = "service account"
    BUCKET = "bucket"
    DATASET = "dataset"
    TOPIC = "topic"
    REPOSITORY = "repository"
    CONNECTION = "connection"


@dataclass(frozen=True)
class AccessCondition:
    """An IAM condition: a title and a CEL expression, in which ``{bucket}`` is replaced."""

    title: str
    expression: str


@dataclass(frozen=True)
class Grant:
    """One role of one account. ``target`` is a Bucket or a Duty where ``on`` needs one."""

    duty: Duty
    role: str
    on: On
    why: str
    target: Bucket | Duty | None = None
    condition: AccessCondition | None = None


@dataclass(frozen=True)
class TakerGrant:
    """One role of an account outside of the stack. ``target`` is a Bucket where ``on`` needs one."""

    role: str
    on: On
    why: str
    target: Bucket | None = None
    condition: None = None


SSH_ONLY = AccessCondition("only ssh", "destination.port == 22")
OS_LOGIN = "roles/compute.osAdminLogin"  # only granted with google.osLogin
RUNS_ONLY = AccessCondition("only results", 'resource.name.startsWith("projects/_/buckets/{bucket}/objects/runs/")')

# Custom roles: exactly the permissions that Packer's googlecompute, the library and the test clusters use.
BAKER = (
    "compute.disks.create",
    "compute.disks.delete",
    "compute.disks.get",
    "compute.disks.setLabels",
    "compute.disks.use",
    "compute.disks.useReadOnly",
    "compute.globalOperations.get",
    "compute.images.create",
    "compute.images.deprecate",  # the plugin sets the state of each new image, even if it does not change
    "compute.images.get",
    "compute.images.getFromFamily",
    "compute.images.setLabels",
    "compute.images.useReadOnly",
    "compute.instances.create",
    "compute.instances.delete",
    "compute.instances.get",
    "compute.instances.getSerialPortOutput",
    "compute.instances.setLabels",
    "compute.instances.setMetadata",
    "compute.instances.setServiceAccount",
    "compute.instances.setTags",
    "compute.instances.stop",
    "compute.machineTypes.get",
    "compute.projects.get",
    "compute.subnetworks.use",
    "compute.zoneOperations.get",
    "compute.zones.get",
)
READER = (
    "compute.images.get",
    "compute.images.getFromFamily",
    "compute.images.list",
    "compute.projects.get",  # quotas, as those of the region
    "compute.regions.get",
    "compute.zoneOperations.list",  # whether a spot machine was preempted
)
LIBRARIAN = (
    "compute.disks.list",
    "compute.globalOperations.get",
    "compute.images.create",  # a channel's, from the recipe's
    "compute.images.delete",
    "compute.images.deprecate",
    "compute.images.get",
    "compute.images.getFromFamily",
    "compute.images.getIamPolicy",
    "compute.images.list",
    "compute.images.setIamPolicy",
    "compute.images.setLabels",
    "compute.images.update",
    "compute.images.useReadOnly",
    "compute.instanceTemplates.list",
)
TESTER = (
    "compute.disks.create",
    "compute.disks.delete",
    "compute.disks.get",
    "compute.disks.list",
    "compute.disks.setLabels",  # for costs
    "compute.images.useReadOnly",
    "compute.instances.create",
    "compute.instances.delete",
    "compute.instances.get",
    "compute.instances.getSerialPortOutput",
    "compute.instances.list",
    "compute.instances.setLabels",
    "compute.instances.setMetadata",
    "compute.instances.setServiceAccount",
    "compute.instances.setTags",
    "compute.machineTypes.get",
    "compute.projects.get",  # quotas, as those of the region
    "compute.regionOperations.get",
    "compute.regions.get",
    "compute.resourcePolicies.create",  # of compact placement
    "compute.resourcePolicies.delete",
    "compute.resourcePolicies.list",
    "compute.resourcePolicies.use",
    "compute.subnetworks.use",
    "compute.zoneOperations.get",
    "compute.zoneOperations.list",  # whether a spot machine was preempted
    "compute.zones.get",
)
# What copies need in another project. Its owner makes the role and grants it to the account that runs `pulumi up`.
COPIER = (
    "compute.disks.list",
    "compute.globalOperations.get",
    "compute.images.create",
    "compute.images.delete",
    "compute.images.deprecate",
    "compute.images.get",
    "compute.images.list",
    "compute.images.setLabels",
    "compute.images.update",
    "compute.instanceTemplates.list",
)
CUSTOM_ROLES = {
    "bakeryBaker": ("Image Bakery: bakes an image with Packer", BAKER),
    "bakeryReader": ("Image Bakery: reads images, quotas and preemptions", READER),
    "bakeryLibrarian": ("Image Bakery: reads, promotes, shares and prunes images", LIBRARIAN),
    "bakeryTester": ("Image Bakery: makes and ends test clusters, clears what builds left", TESTER),
}

GRANTS: tuple[Grant, ...] = (
    Grant(Duty.BUILDER, "roles/artifactregistry.writer", On.REPOSITORY, "pushes the builder image"),
    Grant(Duty.BUILDER, "roles/storage.objectViewer", On.BUCKET, "reads the source of the build", Bucket.SOURCES),
    Grant(Duty.BUILDER, "roles/logging.logWriter", On.PROJECT, "writes its own log"),
    Grant(Duty.BAKE, "bakeryBaker", On.PROJECT, "Packer makes a machine, and an image of its disk"),
    Grant(Duty.BAKE, "roles/iap.tunnelResourceAccessor", On.PROJECT, "Packer's ssh goes through IAP", None, SSH_ONLY),
    Grant(Duty.BAKE, OS_LOGIN, On.PROJECT, "Packer logs in through OS Login; only with `google.osLogin`"),
    Grant(Duty.BAKE, "roles/iam.serviceAccountUser", On.ACCOUNT, "gives the machine its account", Duty.MACHINE),
    Grant(Duty.BAKE, "roles/storage.objectViewer", On.BUCKET, "reads the source of the build", Bucket.SOURCES),
    Grant(Duty.BAKE, "roles/storage.objectUser", On.BUCKET, "Cloud Build writes the log", Bucket.LOGS),
    Grant(Duty.BAKE, "roles/storage.legacyBucketReader", On.BUCKET, "Cloud Build reads its metadata", Bucket.LOGS),
    Grant(Duty.MACHINE, "roles/storage.objectViewer", On.BUCKET, "reads licensed sources", Bucket.ARTIFACTS),
    Grant(Duty.MACHINE, "roles/storage.objectUser", On.BUCKET, "Spack's binary packages", Bucket.SPACK_CACHE),
    Grant(Duty.TEST, "roles/storage.objectUser", On.BUCKET, "workspace in, results out", Bucket.ARTIFACTS, RUNS_ONLY),
    Grant(Duty.TRIGGER, "roles/cloudbuild.builds.editor", On.PROJECT, "submits the bake"),
    Grant(Duty.TRIGGER, "roles/logging.logWriter", On.PROJECT, "writes its own log"),
    Grant(Duty.TRIGGER, "bakeryReader", On.PROJECT, "looks for an existing image, reads quotas"),
    Grant(Duty.TRIGGER, "roles/iam.serviceAccountUser", On.ACCOUNT, "the bake runs as this account", Duty.BAKE),
    Grant(Duty.TRIGGER, "roles/storage.objectUser", On.BUCKET, "uploads the source of the bake", Bucket.SOURCES),
    Grant(Duty.TRIGGER, "roles/storage.objectUser", On.BUCKET, "keeps an image's manifest", Bucket.ARTIFACTS),
    Grant(Duty.TRIGGER, "roles/storage.objectViewer", On.BUCKET, "follows the bake's log", Bucket.LOGS),
    Grant(Duty.TRIGGER, "roles/artifactregistry.reader", On.REPOSITORY, "pulls the builder image"),
    Grant(Duty.TRIGGER, "roles/cloudbuild.readTokenAccessor", On.CONNECTION, "fetches from a repository"),
    Grant(Duty.TRIGGER, "roles/pubsub.publisher", On.TOPIC, "reports what was baked"),
    Grant(Duty.DEPLOY, "roles/cloudbuild.builds.editor", On.PROJECT, "submits and cancels bakes"),
    Grant(Duty.DEPLOY, "bakeryLibrarian", On.PROJECT, "promotes, deprecates, shares and prunes images"),
    Grant(Duty.DEPLOY, "bakeryTester", On.PROJECT, "makes and ends test clusters, clears what builds left"),
    Grant(Duty.DEPLOY, "roles/iam.serviceAccountUser", On.ACCOUNT, "bakes run as this account", Duty.BAKE),
    Grant(Duty.DEPLOY, "roles/iam.serviceAccountUser", On.ACCOUNT, "test machines run as this account", Duty.TEST),
    Grant(Duty.DEPLOY, "roles/iam.serviceAccountUser", On.ACCOUNT, "triggers run as this account", Duty.TRIGGER),
    Grant(Duty.DEPLOY, "roles/storage.objectUser", On.BUCKET, "uploads the source of a bake", Bucket.SOURCES),
    Grant(
        Duty.DEPLOY,
        "roles/storage.objectUser",
        On.BUCKET,
        "workspaces, results, manifests, wants, history",
        Bucket.ARTIFACTS,
    ),
    Grant(Duty.DEPLOY, "roles/storage.objectViewer", On.BUCKET, "follows the bake's log", Bucket.LOGS),
    Grant(Duty.DEPLOY, "roles/bigquery.dataEditor", On.DATASET, "stores the results of Fluid-Runs"),
    Grant(Duty.DEPLOY, "roles/pubsub.publisher", On.TOPIC, "reports what was baked, tested, promoted"),
)


# Of each account in google.takers: that of a stack which takes the proven images of this one. In its own project it
# needs no more than its own deploy account has.
TAKER_GRANTS: tuple[TakerGrant, ...] = (
    TakerGrant("roles/compute.imageUser", On.PROJECT, "lists images, and makes its own from them"),
    TakerGrant("roles/storage.objectViewer", On.BUCKET, "reads Fluid-Runs, manifests, revocations", Bucket.ARTIFACTS),
)


def tables() -> str:
    """Return both tables of ``docs/google.md`` as Markdown: the grants, and the permissions of the custom roles."""
    lines = ["| account | role | on | why |", "|---|---|---|---|"]
    lines += [f"| `bakery-{one.duty}` | `{one.role}` | {_where(one)} | {one.why} |" for one in GRANTS]
    lines += [f"| each of `google.takers` | `{one.role}` | {_where(one)} | {one.why} |" for one in TAKER_GRANTS]
    lines += ["", "| custom role | permissions |", "|---|---|"]
    roles = [*((name, words) for name, (_, words) in CUSTOM_ROLES.items()), (COPIER_ROLE, COPIER)]
    lines += [f"| `{name}` | {', '.join(f'`{word}`' for word in words)} |" for name, words in roles]
    return "\n".join(lines) + "\n"


def _where(grant: Grant | TakerGrant) -> str:
    what = {Bucket: f"bucket `{grant.target}`", Duty: f"account `bakery-{grant.target}`"}
    place = what[type(grant.target)] if grant.target else f"the {grant.on}"
    return f"{place}, {grant.condition.title}" if grant.condition else place
