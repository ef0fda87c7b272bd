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


def _no_such_agent(cloud: Cloud, request: Request) -> str:
    policy = (request.body or {}).get("policy") or request.body or {}
    for binding in policy.get("bindings", []):
        for agent in filter(None, map(AGENT.fullmatch, binding["members"])):
            if agent[1] not in cloud.conditions.agents:
                return f"Service account {agent[1]} does not exist."
    return ""


def _may_use(cloud: Cloud, key: str, agent: str) -> bool:
    bindings = cloud.policies.get(f"cloudkms/v1/{key}", {}).get("bindings", [])
    return any(one["role"] == ROLE and f"serviceAccount:{agent}" in one["members"] for one in bindings)


def _bucket(cloud: Cloud, request: Request) -> str:
    key = ((request.body or {}).get("encryption") or {}).get("defaultKmsKeyName", "")
    if not key or _may_use(cloud, key, identity.STORAGE_AGENT):
        return ""
    account = "Please ensure that your Cloud Storage service account has been authorized to use this key."
    return f"Permission denied on Cloud KMS key. {account}"


def _dataset(cloud: Cloud, request: Request) -> str:
    key = ((request.body or {}).get("defaultEncryptionConfiguration") or {}).get("kmsKeyName", "")
    agent = identity.agent("bigquery")
    if not key or _may_use(cloud, key, agent):
        return ""
    why = f"Permission 'cloudkms.cryptoKeyVersions.useToEncrypt' denied on resource '{key}' (or it may not exist)."
    role = f"Please grant Cloud KMS CryptoKey Encrypter/Decrypter role to BigQuery service account: {agent}"
    return f"Access Denied: BigQuery BigQuery: Cloud KMS Error: {why} {role}"


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
        "https://github.com/terraform-google-modules/terraform-google-kms/issues/39, 2021-03-09",
        ("storage.buckets.insert", "storage.buckets.patch"),
        _bucket,
        Example("POST", "/storage/v1/b?project=p", {"name": "b", "encryption": {"defaultKmsKeyName": KEY}}),
        status=403,
        reason="forbidden",
    ),
    Rule(
        "key-of-a-dataset",
        "the agent of BigQuery needs a role on the key of a dataset",
        "https://github.com/terraform-google-modules/terraform-docs-samples/pull/334, 2023-03-09",
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
)
