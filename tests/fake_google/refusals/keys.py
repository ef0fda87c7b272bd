"""What is refused around customer-managed keys: agents that nobody asked for, and agents without a role on the key."""

from __future__ import annotations

import re
from typing import Any

from tests.fake_google import identity
from tests.fake_google.cloud import Cloud, Request
from tests.fake_google.refusals.rule import Example, Rule

Json = Any
ROLE = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
# Accounts of Google's, which exist once they were asked for; that of Compute Engine is there with its service.
AGENT = re.compile(r"serviceAccount:(\S+@(?:gcp-sa-[a-z]+|bigquery-encryption|gs-project-accounts)\.iam\.gserv\S+)")
KEY = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"
PROPAGATION = "; https://cloud.google.com/iam/docs/access-change-propagation, 2026-11-29: after minutes"


def _no_such_agent(cloud: Cloud, request: Request) -> str:
    policy = (request.body or {}).get("policy") or request.body or {}
    for binding in policy.get("bindings", []):
        for agent in filter(None, map(AGENT.fullmatch, binding["members"])):
            if agent[1] not in cloud.conditions.agents:
                return f"Service account {agent[1]} does not exist."
    return ""


def may_use(cloud: Cloud, key: str, agent: str) -> bool:
    """Whether the agent has the role on the key, and the grant has taken effect."""
    where, member = f"cloudkms/v1/{key}", f"serviceAccount:{agent}"
    bindings = cloud.policies.get(where, {}).get("bindings", [])
    granted = any(one["role"] == ROLE and member in one["members"] for one in bindings)
    since = cloud.conditions.granted_on_keys.get((where, member), 0.0)
    early = f"{where} {member}" in cloud.conditions.too_early
    cloud.conditions.too_early.discard(f"{where} {member}")
    return granted and not early and cloud.clock() - since >= cloud.conditions.grant_seconds


def denied(key: str) -> str:
    """The words of Cloud KMS, which services quote."""
    return f"Permission 'cloudkms.cryptoKeyVersions.useToEncrypt' denied on resource '{key}' (or it may not exist)."


def authorize(cloud: Cloud, key: str, since: float = 0.0) -> None:
    """Let all agents use a key, as grants of its owner at ``since``, in seconds of the cloud's clock."""
    own = [identity.agent(service) for service in ("artifactregistry", "bigquery", "pubsub")]
    members = [f"serviceAccount:{agent}" for agent in (*own, identity.STORAGE_AGENT, identity.COMPUTE_AGENT)]
    bindings = [{"role": ROLE, "members": members}]
    cloud.policies[f"cloudkms/v1/{key}"] = {"etag": "BwAAAAAAAAA=", "version": 1, "bindings": bindings}
    cloud.conditions.granted_on_keys |= {(f"cloudkms/v1/{key}", member): since for member in members}


def _bucket(cloud: Cloud, request: Request) -> str:
    key = ((request.body or {}).get("encryption") or {}).get("defaultKmsKeyName", "")
    if not key or may_use(cloud, key, identity.STORAGE_AGENT):
        return ""
    account = "Please ensure that your Cloud Storage service account has been authorized to use this key."
    return f"Permission denied on Cloud KMS key. {account}"


def _dataset(cloud: Cloud, request: Request) -> str:
    key = ((request.body or {}).get("defaultEncryptionConfiguration") or {}).get("kmsKeyName", "")
    agent = identity.agent("bigquery")
    if not key or may_use(cloud, key, agent):
        return ""
    role = f"Please grant Cloud KMS CryptoKey Encrypter/Decrypter role to BigQuery service account: {agent}"
    return f"Access Denied: BigQuery BigQuery: Cloud KMS Error: {denied(key)} {role}"


def _topic(cloud: Cloud, request: Request) -> str:
    body = request.body or {}
    key, agent = str(body.get("topic", body).get("kmsKeyName") or ""), identity.agent("pubsub")
    if not key or may_use(cloud, key, agent):
        return ""
    role = f"the service account {agent} was granted the Cloud KMS CryptoKey Encrypter/Decrypter role for the project"
    what = "Cloud Pub/Sub did not have the necessary permissions configured to support this operation."
    return f"{what} Please verify that {role} containing the CryptoKey resource {key}."


def _repository(cloud: Cloud, request: Request) -> str:
    key = (request.body or {}).get("kmsKeyName") or ""
    if not key or may_use(cloud, key, identity.agent("artifactregistry")):
        return ""
    account = "Please ensure your Artifact Registry service account has been authorized to use the configured key."
    return f"Permission denied on Cloud KMS key. {account}"


def _machine_or_image(cloud: Cloud, request: Request) -> str:
    body = request.body or {}
    given = [disk.get("diskEncryptionKey") for disk in body.get("disks", [])] + [body.get("imageEncryptionKey")]
    for key in [one["kmsKeyName"].partition("/cryptoKeyVersions/")[0] for one in given if one]:
        if not may_use(cloud, key, identity.COMPUTE_AGENT):
            return f"Cloud KMS error when using key {key}: {denied(key)}"
    return ""


RULES = (
    Rule(
        "agent-that-nobody-asked-for",
        "a service's own account does not exist before it is asked for, and no policy can name it then",
        "https://github.com/terraform-google-modules/terraform-google-bigquery/issues/80, 2020-06-19",
        ("cloudkms.projects.locations.keyRings.cryptoKeys.setIamPolicy", "cloudresourcemanager.projects.setIamPolicy"),
        _no_such_agent,
        Example(
            "POST",
            f"/v1/{KEY}:setIamPolicy",
            {"policy": {"bindings": [{"role": ROLE, "members": [f"serviceAccount:{identity.agent('bigquery')}"]}]}},
        ),
        reason="badRequest",
    ),
    Rule(
        "key-of-a-bucket",
        "the agent of Cloud Storage needs a role on the key of a bucket",
        "https://github.com/terraform-google-modules/terraform-google-kms/issues/39, 2021-03-09" + PROPAGATION,
        ("storage.buckets.insert", "storage.buckets.patch"),
        _bucket,
        Example("POST", "/storage/v1/b?project=p", {"name": "b", "encryption": {"defaultKmsKeyName": KEY}}),
        status=403,
        reason="forbidden",
    ),
    Rule(
        "key-of-a-dataset",
        "the agent of BigQuery needs a role on the key of a dataset",
        "https://github.com/terraform-google-modules/terraform-docs-samples/pull/334, 2023-03-09" + PROPAGATION,
        ("bigquery.datasets.insert", "bigquery.datasets.patch", "bigquery.datasets.update"),
        _dataset,
        Example(
            "POST",
            "/bigquery/v2/projects/p/datasets",
            {
                "datasetReference": {"projectId": "p", "datasetId": "d"},
                "defaultEncryptionConfiguration": {"kmsKeyName": KEY},
            },
        ),
        status=403,
        reason="accessDenied",
    ),
    Rule(
        "key-of-a-topic",
        "the agent of Pub/Sub needs a role on the key of a topic",
        "https://cloud.google.com/pubsub/docs/customer-managed-encryption-keys#troubleshooting; the words and 400 as "
        "public Terraform logs and a client's FAILED_PRECONDITION quote them, read 2026-11-30" + PROPAGATION,
        ("pubsub.projects.topics.create", "pubsub.projects.topics.patch"),
        _topic,
        Example("PUT", "/v1/projects/p/topics/t", {"kmsKeyName": KEY}),
        reason="failedPrecondition",
    ),
    Rule(
        "key-of-a-repository",
        "the agent of Artifact Registry needs a role on the key of a repository",
        "https://github.com/hashicorp/terraform-provider-google/issues/11913, 2022-06-17: the operation ends with 7"
        + PROPAGATION,
        ("artifactregistry.projects.locations.repositories.create",),
        _repository,
        Example("POST", "/v1/projects/p/locations/us-central1/repositories?repositoryId=r", {"kmsKeyName": KEY}),
        status=403,
        operation="PERMISSION_DENIED",
    ),
    Rule(
        "key-of-a-machine",
        "the agent of Compute Engine needs a role on the key of a disk and of an image",
        "https://github.com/kubernetes-sigs/gcp-compute-persistent-disk-csi-driver/pull/590, 2020-08-24" + PROPAGATION,
        ("compute.instances.insert", "compute.images.insert"),
        _machine_or_image,
        Example(
            "POST",
            "/compute/v1/projects/p/zones/us-central1-a/instances",
            {"disks": [{"boot": True, "initializeParams": {}, "diskEncryptionKey": {"kmsKeyName": KEY}}]},
        ),
        reason="kmsPermissionDenied",
    ),
)
