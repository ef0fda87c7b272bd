"""Workload identity pools and their providers. What is deleted keeps its name for thirty days, and can be undeleted."""

from __future__ import annotations

import re
from typing import Any

from tests.fake_google import crud
from tests.fake_google.cloud import Answer, Cloud, Refusal, Request, handles

Json = Any
POOLS = "iam.projects.locations.workloadIdentityPools"
PROVIDERS = f"{POOLS}.providers"
CONDITIONS = "https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines#conditions"
SHARED = ("https://token.actions.githubusercontent.com", "https://gitlab.com", "https://app.terraform.io")


@handles(f"{POOLS}.create", f"{PROVIDERS}.create")
def create(cloud: Cloud, request: Request) -> Answer:
    """A pool or a provider; one with the name that is deleted is in the way, too."""
    name = request.query.get("workloadIdentityPoolProviderId") or request.query.get("workloadIdentityPoolId", "")
    if not re.fullmatch(r"[a-z0-9-]{4,32}", name) or name.startswith("gcp-"):
        raise Refusal(400, f"The id {name!r} has to be 4 to 32 lowercase letters, digits and hyphens, without gcp-")
    key = f"{request.key}/{name}"
    if key in cloud.items:
        raise Refusal(409, "Requested entity already exists", "alreadyExists", "ALREADY_EXISTS")
    body = dict(request.body or {})
    if len(body.get("displayName", "")) > 32:
        raise Refusal(400, "display name must be less than or equal to 32 characters")
    _check(body)
    path = key.partition("/")[2].partition("/")[2]
    number = re.sub(r"^projects/[^/]+", "projects/123456789012", path)
    item = cloud.add(key, {**body, "name": number, "state": "ACTIVE"})
    return crud.changed(cloud, request, "insert", key, item)


@handles(f"{POOLS}.patch", f"{PROVIDERS}.patch")
def patch(cloud: Cloud, request: Request) -> Answer:
    """Change a pool or a provider; a provider's condition is checked again."""
    if not request.query.get("updateMask"):
        raise Refusal(400, "A FieldMask with at least one path must be specified.")
    _check({**cloud.get(request.key), **(request.body or {})})
    return crud.patch(cloud, request)


@handles(f"{POOLS}.delete", f"{PROVIDERS}.delete")
def delete(cloud: Cloud, request: Request) -> Answer:
    """Mark it as deleted; a read still finds it."""
    item = cloud.get(request.key)
    item["state"] = "DELETED"
    return crud.changed(cloud, request, "delete", request.key, item)


def _check(provider: Json) -> None:
    """Refuse a provider for everybody's repositories: hosts with one issuer need a condition about their tokens."""
    shared = provider.get("oidc", {}).get("issuerUri") in SHARED
    if shared and "assertion." not in provider.get("attributeCondition", ""):
        text = "The attribute condition must reference one of the provider's claims."
        raise Refusal(400, f"{text} For more information, see {CONDITIONS}")
