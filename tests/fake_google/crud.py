"""Plain create, read, list, update and delete, as most of Google's resources have them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from tests.fake_google import defaults, discovery
from tests.fake_google.cloud import Answer, Cloud, Refusal, Request, handles, rfc3339

Json = Any
NAME_IN_QUERY: Mapping[str, str] = {
    "artifactregistry.projects.locations.repositories.create": "repositoryId",
    "cloudbuild.projects.locations.connections.create": "connectionId",
    "cloudbuild.projects.locations.connections.repositories.create": "repositoryId",
}


def name_of(request: Request) -> str:
    """The last part of the key that a new item gets."""
    body: Json = request.body
    if request.id in NAME_IN_QUERY:
        return request.query[NAME_IN_QUERY[request.id]]
    for reference, part in (("tableReference", "tableId"), ("datasetReference", "datasetId")):
        if reference in body:
            return str(body[reference][part])
    name = body.get("roleId") or body.get("name")
    if not name:
        raise Refusal(400, f"{request.id}: a name is required")
    return str(name).rpartition("/")[2]


def properties(request: Request, schema: str) -> Mapping[str, Any]:
    """The fields that a schema of the request's service has."""
    found: Mapping[str, Any] = discovery.api(request.call.method.service).schemas[schema].get("properties", {})
    return found


def item_schema(request: Request) -> str:
    """The schema of what the method handles: what it takes, or what it gives back."""
    method = request.call.method
    return method.request if method.request else method.response


def filled(cloud: Cloud, request: Request, key: str, body: Json) -> Json:
    """The item with what Google adds: id, self link, times, etag."""
    service, _, path = key.partition("/")
    now = time.time()
    extra = {
        "id": cloud.number(),
        "selfLink": f"{request.base}/{path}",
        "creationTimestamp": rfc3339(now),
        "createTime": rfc3339(now),
        "updateTime": rfc3339(now),
        "timeCreated": rfc3339(now),
        "updated": rfc3339(now),
        "etag": f"etag-{cloud.number()}",
        "fingerprint": "AAAAAAAAAAA=",
        "labelFingerprint": "AAAAAAAAAAA=",
        "status": "READY",
        "metageneration": "1",
        "projectNumber": "123456789012",
    }
    known = properties(request, item_schema(request))
    if service == "compute" and "region" in known and "/regions/" in path:
        extra["region"] = (
            f"{request.base}/{path.split('/regions/')[0]}/regions/{path.split('/regions/')[1].split('/')[0]}"
        )
    item = {k: v for k, v in extra.items() if known.get(k, {}).get("type") == "string" and "enum" not in known[k]}
    item |= body
    if service == "compute" and "status" in known and "READY" in known["status"].get("enum", []):
        item["status"] = "READY"
    if service in ("artifactregistry", "cloudbuild", "cloudscheduler", "pubsub", "logging") and "name" in known:
        item["name"] = path.partition("/")[2]
    return item


def operation(cloud: Cloud, request: Request, kind: str, target: str, item: Json | None = None) -> Json:
    """What a method that takes time answers: Compute Engine's Operation, or google.longrunning's."""
    now = time.time()
    if request.call.method.product == "compute":
        scope = target.rpartition("/")[0].rpartition("/")[0]
        name = f"operation-{cloud.number()}"
        op = {
            "kind": "compute#operation",
            "id": cloud.number(),
            "name": name,
            "operationType": kind,
            "targetLink": f"{request.base}/{target.partition('/')[2]}",
            "targetId": (item or {}).get("id", "0"),
            "status": "RUNNING" if cloud.operation_seconds else "DONE",
            "progress": 0 if cloud.operation_seconds else 100,
            "insertTime": rfc3339(now),
            "startTime": rfc3339(now),
            "selfLink": f"{request.base}/{scope.partition('/')[2]}/operations/{name}",
        }
        if "/zones/" in scope:
            op["zone"] = f"{request.base}/{scope.partition('/')[2]}"
        if "/regions/" in scope:
            op["region"] = f"{request.base}/{scope.partition('/')[2]}"
        cloud.items[f"{scope}/operations/{name}"] = op
        if cloud.operation_seconds:
            cloud.at(now + cloud.operation_seconds, lambda: op.update(status="DONE", progress=100))
        return op
    response = (
        {"@type": "type.googleapis.com/fake", **item}
        if item
        else {"@type": "type.googleapis.com/google.protobuf.Empty"}
    )
    return {"name": f"operations/{cloud.fresh_id()}", "done": True, "response": response}


def changed(cloud: Cloud, request: Request, kind: str, key: str, item: Json | None) -> Answer:
    """The answer of a change: an operation where the method gives one, else the item."""
    if request.call.method.response in ("Operation", "GoogleLongrunningOperation"):
        return Answer(operation(cloud, request, kind, key, item))
    return Answer(item if item is not None and request.call.method.response not in ("", "Empty") else {})


@handles("*.insert", "*.create")
def create(cloud: Cloud, request: Request) -> Answer:
    """Make an item; the request's path is the collection, or for a PUT the item itself."""
    key = request.key if request.call.method.verb == "PUT" else f"{request.key}/{name_of(request)}"
    body = defaults.added(request.id, dict(request.body or {}))
    item = cloud.add(key, filled(cloud, request, key, body))
    return changed(cloud, request, "insert", key, item)


@handles("*.get")
def get(cloud: Cloud, request: Request) -> Answer:
    """Read an item."""
    return Answer(cloud.get(request.key))


@handles("*.delete")
def delete(cloud: Cloud, request: Request) -> Answer:
    """Take an item and all below it away."""
    cloud.get(request.key)
    for key in [k for k in cloud.items if k == request.key or k.startswith(f"{request.key}/")]:
        del cloud.items[key]
    cloud.policies.pop(request.key, None)
    return changed(cloud, request, "delete", request.key, None)


@handles("*.patch", "*.update")
def patch(cloud: Cloud, request: Request) -> Answer:
    """Change an item: the fields that are there win (JSON merge patch), of an update mask only those."""
    item = cloud.get(request.key)
    item |= request.body or {}
    for key in [k for k, v in item.items() if v is None]:
        del item[key]
    if "etag" in item:
        item["etag"] = f"etag-{cloud.number()}"
    return changed(cloud, request, "patch", request.key, item)


@handles("cloudscheduler.projects.locations.jobs.pause", "cloudscheduler.projects.locations.jobs.resume")
def pause_or_resume(cloud: Cloud, request: Request) -> Answer:
    """Stop a job's schedule, or let it go on."""
    key, _, verb = request.key.rpartition(":")
    item = cloud.get(key)
    item["state"] = "PAUSED" if verb == "pause" else "ENABLED"
    return Answer(item)


def page(cloud: Cloud, request: Request, found: list[Json]) -> Answer:
    """One page of a list, under the name that the answer's schema has for it."""
    known = properties(request, request.call.method.response)
    arrays = [
        name for name, schema in known.items() if schema.get("type") == "array" and "$ref" in schema.get("items", {})
    ]
    name = "items" if "items" in arrays else arrays[0]
    size = int(request.query.get("maxResults") or request.query.get("pageSize") or 500)
    start = int(request.query.get("pageToken") or 0)
    answer: dict[str, Any] = {name: found[start : start + size]} if found[start : start + size] else {}
    if start + size < len(found):
        answer["nextPageToken"] = str(start + size)
    return Answer(answer)


@handles("*.list")
def list_items(cloud: Cloud, request: Request) -> Answer:
    """The items below a collection, page by page."""
    return page(cloud, request, cloud.below(request.key))


def _policy_key(request: Request) -> str:
    key = request.key
    for ending in (":getIamPolicy", ":setIamPolicy", "/getIamPolicy", "/setIamPolicy", "/iam"):
        key = key.removesuffix(ending)
    return key


def _policy_version(request: Request) -> int:
    """The version of the policy that the caller understands: conditions are shown from 3 on."""
    asked = (request.body or {}).get("options", {}).get("requestedPolicyVersion", 1)
    for name in ("options.requestedPolicyVersion", "optionsRequestedPolicyVersion"):
        asked = request.query.get(name, asked)
    return int(asked)


@handles("*.getIamPolicy")
def get_policy(cloud: Cloud, request: Request) -> Answer:
    """The IAM policy of a resource; a caller that asks for less than version 3 gets conditional grants disguised."""
    policy = cloud.policies.get(_policy_key(request), {"version": 1, "etag": "BwAAAAAAAAA="})
    if _policy_version(request) >= 3:
        return Answer(policy)
    bindings = [
        {"role": f"{binding['role']}_withcond_1", "members": binding["members"]} if "condition" in binding else binding
        for binding in policy.get("bindings", [])
    ]
    return Answer(policy | {"version": 1} | ({"bindings": bindings} if bindings else {}))


@handles("*.setIamPolicy")
def set_policy(cloud: Cloud, request: Request) -> Answer:
    """Replace an IAM policy; a stale etag is refused, as two writers at once would see it.

    Google takes a policy without an etag, which undoes what another writer did meanwhile: nobody is to send one.
    """
    key = _policy_key(request)
    policy = dict(request.body.get("policy", request.body))
    before = cloud.policies.get(key)
    if before and policy.get("etag") != before["etag"]:
        raise Refusal(409, "There were concurrent policy changes.", "aborted", "ABORTED")
    if any("condition" in binding for binding in policy.get("bindings", [])) and policy.get("version") != 3:
        raise Refusal(400, "Policies with conditions have to be of version 3.")
    policy["etag"] = f"Bw{cloud.number()[-9:]}="
    cloud.policies[key] = policy
    return Answer(policy)


@handles("*.testIamPermissions")
def test_permissions(_cloud: Cloud, request: Request) -> Answer:
    """Everything is allowed unless a fault says otherwise."""
    return Answer({"permissions": list((request.body or {}).get("permissions", []))})
