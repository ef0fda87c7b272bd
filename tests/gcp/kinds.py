"""What the stand-in provider calls for each resource: pulumi-gcp's inputs to Google's REST requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Props = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """One resource type.

    ``collection`` and ``item`` are paths with the inputs' names in braces, ``body`` makes the request's body.
    ``service`` picks the endpoint; ``verb`` is POST to the collection unless the item itself is PUT.
    """

    service: str
    collection: str
    item: str
    body: Callable[[Props], Props]
    verb: str = "POST"
    update: str = "PATCH"
    keep: bool = False  # a delete only forgets
    change: Callable[[Props], Props] | None = None  # the body of an update, where it is another one
    mask: str = ""  # of an update, in its query
    fixed: tuple[str, ...] = ()  # a change of these makes another one of it, beyond those of FIXED


def pick(props: Props, *names: str, **renamed: str) -> dict[str, Any]:
    """The inputs of those names that are set; keyword arguments give them another name."""
    found = {name: props[name] for name in names if props.get(name) is not None}
    return found | {new: props[old] for new, old in renamed.items() if props.get(old) is not None}


def bucket(props: Props) -> Props:
    rules = [
        {"action": rule["action"], "condition": _condition(rule["condition"])}
        for rule in props.get("lifecycleRules", [])
    ]
    body = pick(props, "name", "location", "labels", "versioning", "encryption")
    body["iamConfiguration"] = {
        "uniformBucketLevelAccess": {"enabled": props.get("uniformBucketLevelAccess", False)},
        "publicAccessPrevention": props.get("publicAccessPrevention", "inherited"),
    }
    return body | {"lifecycle": {"rule": rules}}


def _condition(given: Props) -> Props:
    names = {"daysSinceNoncurrentTime": "daysSinceNoncurrentTime", "age": "age"}
    found = {new: int(given[old]) for old, new in names.items() if given.get(old)}
    return found | ({"isLive": False} if given.get("withState") == "ARCHIVED" else {})


def table(props: Props) -> Props:
    import json

    reference = {"projectId": props["project"], "datasetId": props["datasetId"], "tableId": props["tableId"]}
    return {
        "tableReference": reference,
        "schema": {"fields": json.loads(props["schema"])},
        "timePartitioning": pick(props["timePartitioning"], "type", "field"),
        "clustering": {"fields": props["clusterings"]},
        **pick(props, "description"),
    }


def trigger(props: Props) -> Props:
    body = pick(props, "name", "description", "tags", "includedFiles", "serviceAccount", "github", "pubsubConfig")
    body |= pick(props, "repositoryEventConfig", "sourceToBuild")
    steps = [pick(step, "name", "args") for step in props["build"]["steps"]]
    return body | {"build": {**pick(props["build"], "timeout", "options"), "steps": steps}}


def firewall(props: Props) -> Props:
    body = pick(props, "name", "network", "direction", "sourceRanges", "sourceTags", "targetTags")
    allowed = [{"IPProtocol": rule["protocol"], **pick(rule, "ports")} for rule in props["allows"]]
    return body | {"allowed": allowed}


def subnetwork(props: Props) -> Props:
    body = pick(props, "name", "network", "ipCidrRange", "privateIpGoogleAccess")
    return body | {"logConfig": {"enable": True, "flowSampling": props["logConfig"]["flowSampling"]}}


def dataset(props: Props) -> Props:
    reference = {"projectId": props["project"], "datasetId": props["datasetId"]}
    return {"datasetReference": reference, **pick(props, "location", "description", "defaultEncryptionConfiguration")}


def account(props: Props) -> Props:
    return {"accountId": props["accountId"], "serviceAccount": pick(props, "displayName", "description")}


def account_change(created: Props) -> Props:
    """PatchServiceAccountRequest: only what the mask names is changed."""
    return {"serviceAccount": created["serviceAccount"], "updateMask": ",".join(created["serviceAccount"])}


def role(props: Props) -> Props:
    return {"roleId": props["roleId"], "role": pick(props, "title", includedPermissions="permissions")}


def job(props: Props) -> Props:
    path = f"projects/{props['project']}/locations/{props['region']}/jobs/{props['name']}"
    target = pick(props["pubsubTarget"], "topicName", "data")
    return {"name": path, **pick(props, "schedule", "timeZone"), "pubsubTarget": target}


def topic(props: Props) -> Props:
    return pick(props, "labels", "kmsKeyName", "messageRetentionDuration")


def topic_change(props: Props) -> Props:
    return {"topic": topic(props), "updateMask": "labels,kmsKeyName,messageRetentionDuration"}


def repository(props: Props) -> Props:
    return pick(props, "format", "description", "dockerConfig", "kmsKeyName")


def pool(props: Props) -> Props:
    return pick(props, "displayName", "description")


def provider(props: Props) -> Props:
    return pick(props, "attributeMapping", "attributeCondition", "oidc")


COMPUTE = "projects/{project}/global"
REGION = "projects/{project}/regions/{region}"
TRIGGERS = "projects/{project}/locations/{location}/triggers"
JOBS = "projects/{project}/locations/{region}/jobs"
REPOSITORIES = "projects/{project}/locations/{location}/repositories"
DATASETS = "projects/{project}/datasets"
ACCOUNTS = "projects/{project}/serviceAccounts"
POOLS = "projects/{project}/locations/global/workloadIdentityPools"
PROVIDERS = POOLS + "/{workloadIdentityPoolId}/providers"

KINDS: Mapping[str, Kind] = {
    "gcp:projects/service:Service": Kind(
        "serviceUsage",
        "projects/{project}/services/{service}:enable",
        "projects/{project}/services/{service}",
        lambda _: {},
        keep=True,
    ),
    "gcp:serviceaccount/account:Account": Kind(
        "iam", ACCOUNTS, ACCOUNTS + "/{email}", account, change=lambda props: account_change(account(props))
    ),
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": Kind(
        "iam",
        POOLS + "?workloadIdentityPoolId={workloadIdentityPoolId}",
        POOLS + "/{workloadIdentityPoolId}",
        pool,
        mask="displayName,description",
        fixed=("workloadIdentityPoolId",),
    ),
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": Kind(
        "iam",
        PROVIDERS + "?workloadIdentityPoolProviderId={workloadIdentityPoolProviderId}",
        PROVIDERS + "/{workloadIdentityPoolProviderId}",
        provider,
        mask="attributeMapping,attributeCondition,oidc",
        fixed=("workloadIdentityPoolId", "workloadIdentityPoolProviderId"),
    ),
    "gcp:projects/iAMCustomRole:IAMCustomRole": Kind(
        "iam",
        "projects/{project}/roles",
        "projects/{project}/roles/{roleId}",
        role,
        change=lambda props: role(props)["role"],
    ),
    "gcp:storage/bucket:Bucket": Kind(
        "storage", "b?project={project}", "b/{name}", bucket, change=lambda props: {"encryption": None, **bucket(props)}
    ),
    "gcp:bigquery/dataset:Dataset": Kind("bigQuery", DATASETS, DATASETS + "/{datasetId}", dataset, update="PUT"),
    "gcp:bigquery/table:Table": Kind(
        "bigQuery", DATASETS + "/{datasetId}/tables", DATASETS + "/{datasetId}/tables/{tableId}", table
    ),
    "gcp:pubsub/topic:Topic": Kind(
        "pubsub", "", "projects/{project}/topics/{name}", topic, verb="PUT", change=topic_change
    ),
    "gcp:artifactregistry/repository:Repository": Kind(
        "artifactRegistry",
        REPOSITORIES + "?repositoryId={repositoryId}",
        REPOSITORIES + "/{repositoryId}",
        repository,
        fixed=("kmsKeyName", "format"),
    ),
    "gcp:compute/network:Network": Kind(
        "compute",
        COMPUTE + "/networks",
        COMPUTE + "/networks/{name}",
        lambda props: pick(props, "name", "autoCreateSubnetworks"),
    ),
    "gcp:compute/subnetwork:Subnetwork": Kind(
        "compute", REGION + "/subnetworks", REGION + "/subnetworks/{name}", subnetwork
    ),
    "gcp:compute/router:Router": Kind(
        "compute", REGION + "/routers", REGION + "/routers/{name}", lambda props: pick(props, "name", "network")
    ),
    "gcp:compute/firewall:Firewall": Kind("compute", COMPUTE + "/firewalls", COMPUTE + "/firewalls/{name}", firewall),
    "gcp:cloudbuild/trigger:Trigger": Kind("cloudBuild", TRIGGERS, TRIGGERS + "/{triggerId}", trigger),
    "gcp:cloudscheduler/job:Job": Kind("cloudScheduler", JOBS, JOBS + "/{name}", job),
}

# Grants: where the policy of the resource is, by the member resource's inputs.
POLICIES: Mapping[str, tuple[str, str]] = {
    "gcp:projects/iAMMember:IAMMember": ("cloudResourceManager", "projects/{project}"),
    "gcp:serviceaccount/iAMMember:IAMMember": ("iam", "{serviceAccountId}"),
    "gcp:storage/bucketIAMMember:BucketIAMMember": ("storage", "b/{bucket}"),
    "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember": ("kms", "{cryptoKeyId}"),
    "gcp:pubsub/topicIAMMember:TopicIAMMember": ("pubsub", "projects/{project}/topics/{topic}"),
    "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember": (
        "artifactRegistry",
        REPOSITORIES + "/{repository}",
    ),
    "gcp:cloudbuildv2/connectionIAMMember:ConnectionIAMMember": (
        "cloudbuildv2",
        "projects/{project}/locations/{location}/connections/{name}",
    ),
    "gcp:bigquery/datasetIamMember:DatasetIamMember": ("bigQuery", DATASETS + "/{datasetId}"),
}
