"""Plain create, read, list, update and delete, as most of Google's resources have them."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from tests.fake_google import defaults, discovery
from tests.fake_google.cloud import Answer, Cloud, Refusal, Request, handles, rfc3339

Json = Any
Begun = tuple[str, Json, Json]  # an operation: where it is kept, how it begins, what its end changes
NAMED_BY_PATH = ("artifactregistry", "cloudbuild", "cloudkms", "cloudscheduler", "pubsub", "logging")
# Query parameters that name what is made, where the body does not.
NAMES_IN_QUERY = ("repositoryId", "connectionId", "keyRingId", "cryptoKeyId", "schemaId")


def name_of(request: Request) -> str:
    """The last part of the key that a new item gets."""
    body: Json = request.body or {}
    for parameter in request.call.method.query.intersection(NAMES_IN_QUERY) & set(request.query):
        return request.query[parameter]
    for reference, part in (("tableReference", "tableId"), ("datasetReference", "datasetId")):
        if reference in body:
            return str(body[reference][part])
    name = body.get("roleId") or body.get("projectId") or body.get("name")
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
        "selfLinkWithId": f"{request.base}/{path}",
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
    item |= {name: value for name, value in body.items() if value is not None}
    if service == "compute" and "status" in known and "READY" in known["status"].get("enum", []):
        item["status"] = "READY"
    if service in NAMED_BY_PATH and "name" in known:
        item["name"] = path.partition("/")[2]
    return item


def operation(  # noqa: PLR0917
    cloud: Cloud, request: Request, kind: str, target: str, item: Json | None = None, failure: Json | None = None
) -> Json:
    """What a method that takes time answers: Compute Engine's Operation, or google.longrunning's.

    The answer to the call itself never says that it is done, however short it takes. ``failure`` are the fields that
    an operation which fails has at its end.
    """
    if request.call.method.product == "compute":
        where, begun, ended = _compute_operation(cloud, request, kind, target, item)
    else:
        where, begun, ended = _long_running(cloud, request, target, item)
        ended = {"done": True} if failure else ended
    stored = cloud.items[where] = dict(begun)
    cloud.at(time.time() + cloud.operation_seconds, lambda: stored.update({**ended, **(failure or {})}))
    return begun


def _compute_operation(cloud: Cloud, request: Request, kind: str, target: str, item: Json | None) -> Begun:
    now = rfc3339(time.time())
    scope = target.rpartition("/")[0].rpartition("/")[0]
    name = f"operation-{cloud.number()}"
    begun = {
        "kind": "compute#operation",
        "id": cloud.number(),
        "name": name,
        "operationType": kind,
        "targetLink": f"{request.base}/{target.partition('/')[2]}",
        "targetId": (item or {}).get("id", "0"),
        "status": "RUNNING",
        "progress": 0,
        "insertTime": now,
        "startTime": now,
        "user": "caller@p.iam.gserviceaccount.com",
        "selfLink": f"{request.base}/{scope.partition('/')[2]}/operations/{name}",
    }
    for place in ("zone", "region"):
        if f"/{place}s/" in scope:
            begun[place] = f"{request.base}/{scope.partition('/')[2]}"
    ended = {"status": "DONE", "progress": 100, "endTime": rfc3339(time.time() + cloud.operation_seconds)}
    return f"{scope}/operations/{name}", begun, ended


# What Compute Engine calls the operations of some changes.
OPERATION_TYPES = {"compute.networks.patch": "updateNetwork", "compute.firewalls.patch": "compute.firewalls.patch"}
# An operation of these APIs is named like the location that it belongs to; those of the others have no parent.
LOCAL_OPERATIONS = ("artifactregistry", "cloudbuild")


def _long_running(cloud: Cloud, request: Request, target: str, item: Json | None) -> Begun:
    method, version = request.call.method, request.call.path.split("/")[1]
    location = re.search(r"projects/[^/]+/locations/[^/]+", target)
    parent = f"{location[0]}/" if location and method.product in LOCAL_OPERATIONS else ""
    name = f"{parent}operations/{cloud.fresh_id()}"
    begun: Json = {"name": name}
    if method.product in LOCAL_OPERATIONS:
        kind = f"google.devtools.{method.product}.{version}.OperationMetadata"
        begun["metadata"] = {"@type": f"type.googleapis.com/{kind}"}
    response = {"@type": "type.googleapis.com/google.protobuf.Empty"}
    if item:
        response = {"@type": "type.googleapis.com/fake", **item}
    return f"{target.partition('/')[0]}/{version}/{name}", begun, {"done": True, "response": response}


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
    return changed(cloud, request, OPERATION_TYPES.get(request.id, "patch"), request.key, item)


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
    kind = {"kind": known["kind"]["default"]} if "default" in known.get("kind", {}) else {}
    answer: dict[str, Any] = kind | {name: found[start : start + size]} if found[start : start + size] else kind
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
    policy = cloud.policies.get(_policy_key(request), {"etag": "BwAAAAAAAAA="})
    if _policy_version(request) >= 3:
        return Answer(policy)
    bindings = [
        {"role": f"{binding['role']}_withcond_1", "members": binding["members"]} if "condition" in binding else binding
        for binding in policy.get("bindings", [])
    ]
    return Answer(policy | ({"bindings": bindings, "version": 1} if bindings else {}))


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
    policy["version"] = 3 if any("condition" in binding for binding in policy.get("bindings", [])) else 1
    policy["etag"] = f"Bw{cloud.number()[-9:]}="
    cloud.policies[key] = policy
    return Answer(policy)


@handles("*.testIamPermissions")
def test_permissions(_cloud: Cloud, request: Request) -> Answer:
    """Everything is allowed unless a fault says otherwise."""
    return Answer({"permissions": list((request.body or {}).get("permissions", []))})
