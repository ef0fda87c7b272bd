"""Cloud Storage, BigQuery and Pub/Sub where it is about content: objects, rows, messages."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote

import google_crc32c

from tests.fake_google import crud, words
from tests.fake_google.cloud import Answer, Cloud, Refusal, Request, handles, rfc3339

Json = Any


def _key(bucket: str, name: str) -> str:
    return f"storage/storage/v1/b/{bucket}/o/{name}"


def _check_bucket(cloud: Cloud, bucket: str) -> None:
    if f"storage/storage/v1/b/{bucket}" not in cloud.items:
        raise Refusal(404, "The specified bucket does not exist.")


def _store(  # noqa: PLR0917
    cloud: Cloud, bucket: str, meta: Json, content: bytes, query: Mapping[str, str], base: str
) -> Json:
    name = meta["name"]
    key = _key(bucket, name)
    wanted = query.get("ifGenerationMatch")
    there = cloud.items.get(key, {}).get("generation", "0")
    if wanted is not None and wanted != there:
        raise Refusal(412, "At least one of the pre-conditions you specified did not hold.", "conditionNotMet")
    now = rfc3339(time.time())
    checksum = struct.pack(">I", google_crc32c.value(content))
    cloud.media[key] = content
    cloud.items[key] = {
        "kind": "storage#object",
        "contentType": "application/octet-stream",
        **{k: v for k, v in meta.items() if v is not None},
        "bucket": bucket,
        "id": f"{bucket}/{name}/1",
        "generation": cloud.number(),
        "metageneration": "1",
        "size": str(len(content)),
        "md5Hash": base64.b64encode(hashlib.md5(content).digest()).decode(),
        "crc32c": base64.b64encode(checksum).decode(),
        "timeCreated": now,
        "updated": now,
        "etag": "CAE=",
        "mediaLink": f"{base}/download/storage/v1/b/{bucket}/o/{quote(name, safe='')}?alt=media",
    }
    for hook in cloud.hooks:
        hook(cloud, bucket, name, content)
    return cloud.items[key]


def add_object(cloud: Cloud, bucket: str, name: str, content: bytes) -> Json:
    """Store an object as another program did, in a bucket that is made if it is not there."""
    cloud.items.setdefault(f"storage/storage/v1/b/{bucket}", {"kind": "storage#bucket", "name": bucket})
    return _store(cloud, bucket, {"name": name}, content, {}, "https://storage.googleapis.com")


@handles("storage.objects.insert")
def insert_object(cloud: Cloud, request: Request) -> Answer:
    """Upload an object: at once, or the start of a resumable upload."""
    bucket = request.call.params["bucket"]
    _check_bucket(cloud, bucket)
    if request.query.get("uploadType") == "resumable":
        session = cloud.fresh_id()
        meta = {"name": request.query.get("name"), **(request.body or {})}
        upload = {"bucket": bucket, "meta": meta, "query": dict(request.query), "content": b"", "base": request.base}
        cloud.items[f"upload/{session}"] = upload
        return Answer({}, headers={"Location": f"{request.base}/resumable/{session}"}, checked=False)
    meta = {"name": request.query.get("name"), **(request.body or {})}
    return Answer(_store(cloud, bucket, meta, request.media, request.query, request.base))


def resume(cloud: Cloud, session: str, content: bytes, headers: Mapping[str, str]) -> Answer:
    """One chunk of a resumable upload."""
    with cloud.lock:
        upload = cloud.items.get(f"upload/{session}")
        if upload is None:
            raise Refusal(404, "No such upload session")
        upload["content"] += content
        given = {k.lower(): v for k, v in headers.items()}.get("content-range", "")
        total = given.rpartition("/")[2]
        if total == "*" or (total and len(upload["content"]) < int(total)):
            return Answer({}, 308, {"Range": f"bytes=0-{len(upload['content']) - 1}"}, checked=False)
        del cloud.items[f"upload/{session}"]
        item = _store(cloud, upload["bucket"], upload["meta"], upload["content"], upload["query"], upload["base"])
        return Answer(item, checked=False)


@handles("storage.objects.get")
def get_object(cloud: Cloud, request: Request) -> Answer:
    """An object's metadata, or with ``alt=media`` its content, a range of it too."""
    key = _key(request.call.params["bucket"], unquote(request.call.params["object"]))
    if request.query.get("alt") != "media":
        return Answer(cloud.get(key))
    if key not in cloud.items:  # plain text: https://github.com/firebase/firebase-tools/pull/3647, 2021-08-09
        return Answer(words.absent(key).encode(), 404, {"Content-Type": "text/html; charset=UTF-8"})
    item = cloud.items[key]
    content = cloud.media[key]
    headers = {"Content-Type": "application/octet-stream"}
    if "crc32c" in item:
        headers["X-Goog-Hash"] = f"crc32c={item['crc32c']}"
    wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if not wanted:
        return Answer(content, headers=headers)
    first, last = int(wanted[1]), int(wanted[2] or len(content) - 1)
    if first >= len(content):
        raise Refusal(416, "The requested range cannot be satisfied.")
    part = content[first : last + 1]
    headers = {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(content)}", "Content-Type": "text/plain"}
    return Answer(part, 206, headers)


@handles("storage.objects.list")
def list_objects(cloud: Cloud, request: Request) -> Answer:
    """The objects of a bucket below a prefix, by name."""
    bucket = request.call.params["bucket"]
    _check_bucket(cloud, bucket)
    start = _key(bucket, request.query.get("prefix", ""))
    return crud.page(cloud, request, [cloud.items[key] for key in sorted(cloud.items) if key.startswith(start)])


@handles("storage.objects.delete")
def delete_object(cloud: Cloud, request: Request) -> Answer:
    """Take an object away."""
    key = _key(request.call.params["bucket"], unquote(request.call.params["object"]))
    cloud.get(key)
    del cloud.items[key], cloud.media[key]
    return Answer(b"", 204)


@handles("bigquery.datasets.delete")
def delete_dataset(cloud: Cloud, request: Request) -> Answer:
    """Take a dataset away, unless it has tables and nobody says that these may go."""
    cloud.get(request.key)
    tables = [key for key in cloud.items if key.startswith(f"{request.key}/tables/")]
    if tables and request.query.get("deleteContents") != "true":
        raise Refusal(400, f"Dataset {request.key.rpartition('/')[2]} is still in use")
    for key in (request.key, *tables):
        del cloud.items[key]
    return Answer(b"", 204)


@handles("bigquery.tables.delete")
def delete_table(cloud: Cloud, request: Request) -> Answer:
    """Take a table away, its rows too."""
    crud.delete(cloud, request)
    cloud.rows.pop(request.key, None)
    return Answer(b"", 204)


@handles("storage.buckets.insert")
def insert_bucket(cloud: Cloud, request: Request) -> Answer:
    """Make a bucket. Its project's basic roles have grants on it from the start, so its policy is never empty.

    That counts: the provider leaves out the etag of a policy that it took the last grant from.
    """
    made = crud.create(cloud, request)
    project = request.query["project"]
    owners = [f"projectEditor:{project}", f"projectOwner:{project}"]
    bindings = [
        {"role": "roles/storage.legacyBucketOwner", "members": owners},
        {"role": "roles/storage.legacyBucketReader", "members": [f"projectViewer:{project}"]},
        {"role": "roles/storage.legacyObjectOwner", "members": owners},
        {"role": "roles/storage.legacyObjectReader", "members": [f"projectViewer:{project}"]},
    ]
    policy = {"kind": "storage#policy", "version": 1, "etag": "CAE=", "bindings": bindings}
    cloud.policies[f"{request.key}/{request.body['name']}"] = policy
    return made


@handles("storage.buckets.patch", "storage.buckets.update")
def patch_bucket(cloud: Cloud, request: Request) -> Answer:
    """Change a bucket; a lifecycle without rules is none."""
    answer = crud.patch(cloud, request)
    item = cloud.get(request.key)
    item["metageneration"] = str(int(item.get("metageneration", "1")) + 1)
    if item.get("lifecycle") == {"rule": []}:
        del item["lifecycle"]
    return answer


@handles("storage.buckets.delete")
def delete_bucket(cloud: Cloud, request: Request) -> Answer:
    """Take a bucket away, only when it is empty."""
    cloud.get(request.key)
    if any(key.startswith(f"{request.key}/o/") for key in cloud.items):
        raise Refusal(409, "The bucket you tried to delete is not empty.")
    del cloud.items[request.key]
    cloud.policies.pop(request.key, None)
    return Answer(b"", 204)


# What a new dataset grants, and the short names that BigQuery keeps for roles it was given by their long ones.
OWNERS = [
    {"role": "WRITER", "specialGroup": "projectWriters"},
    {"role": "OWNER", "specialGroup": "projectOwners"},
    {"role": "OWNER", "userByEmail": "caller@p.iam.gserviceaccount.com"},
    {"role": "READER", "specialGroup": "projectReaders"},
]
SHORT_ROLES = {
    "roles/bigquery.dataOwner": "OWNER",
    "roles/bigquery.dataEditor": "WRITER",
    "roles/bigquery.dataViewer": "READER",
}


def _dataset(cloud: Cloud, request: Request, item: Json) -> Answer:
    item["access"] = [
        {**entry, "role": SHORT_ROLES.get(entry["role"], entry["role"])} if "role" in entry else entry
        for entry in item.get("access") or OWNERS
    ]
    return Answer(item)


@handles("bigquery.datasets.insert")
def insert_dataset(cloud: Cloud, request: Request) -> Answer:
    """A dataset; without an access list it gets the usual one."""
    made = crud.create(cloud, request).body
    made["datasetReference"]["projectId"] = request.call.params["projectId"]
    return _dataset(cloud, request, made)


def _without_empty_tags(value: Json) -> Json:
    if isinstance(value, list):
        return [_without_empty_tags(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: _without_empty_tags(each) for name, each in value.items() if (name, each) != ("policyTags", {})}


@handles("bigquery.tables.update", "bigquery.tables.patch")
def change_table(cloud: Cloud, request: Request) -> Answer:
    """Change a table."""
    return crud.patch(cloud, replace(request, body=_without_empty_tags(request.body)))


@handles("bigquery.tables.insert")
def insert_table(cloud: Cloud, request: Request) -> Answer:
    """A table; it has the key of its dataset, and no empty policy tags."""
    made = crud.create(cloud, replace(request, body=_without_empty_tags(request.body))).body
    key = cloud.items[request.key.rpartition("/tables")[0]].get("defaultEncryptionConfiguration")
    if key:
        made.setdefault("encryptionConfiguration", key)
    return Answer(made)


OPTIONAL = {"defaultEncryptionConfiguration", "description", "friendlyName", "labels"}


@handles("bigquery.datasets.patch", "bigquery.datasets.update")
def patch_dataset(cloud: Cloud, request: Request) -> Answer:
    """Change a dataset, its access list too. An update, the PUT of the provider, takes away what it leaves out."""
    if request.call.method.verb == "PUT":
        item = cloud.get(request.key)
        for name in OPTIONAL - set(request.body):
            item.pop(name, None)
    return _dataset(cloud, request, crud.patch(cloud, request).body)


@handles("bigquery.tabledata.insertAll")
def insert_rows(cloud: Cloud, request: Request) -> Answer:
    """Append rows, and tell insert ids apart. If one breaks the table's schema, none is taken: the others "stopped".

    Source: https://github.com/fluent-plugins-nursery/fluent-plugin-bigquery/pull/38, 2015-03-19.
    """
    table_key = request.key.removesuffix("/insertAll")
    table = cloud.get(table_key)
    fields = {field["name"]: field for field in table.get("schema", {}).get("fields", [])}
    errors = []
    given = request.body.get("rows", [])
    if request.body.get("ignoreUnknownValues"):
        given = [{**row, "json": {key: row["json"][key] for key in row["json"] if key in fields}} for row in given]
    for index, row in enumerate(given):
        wrong = [(name, f"no such field: {name}.") for name in row["json"] if name not in fields]
        required = [name for name, field in fields.items() if field.get("mode") == "REQUIRED"]
        wrong += [("", f"Missing required field: {name}.") for name in required if row["json"].get(name) is None]
        if wrong:
            detail = [
                {"reason": "invalid", "location": place, "debugInfo": "", "message": text} for place, text in wrong
            ]
            errors.append({"index": index, "errors": detail})
    if errors:
        broken = {error["index"] for error in errors}
        stopped = [{"reason": "stopped", "location": "", "message": ""}]
        errors = [{"index": index, "errors": stopped} for index in range(len(given)) if index not in broken] + errors
    rows = cloud.rows.setdefault(table_key, [])
    seen = {row.get("insertId") for row in rows}
    if not errors:
        rows += [row for row in given if row.get("insertId") is None or row["insertId"] not in seen]
    return Answer({"kind": "bigquery#tableDataInsertAllResponse"} | ({"insertErrors": errors} if errors else {}))


@handles("bigquery.tabledata.list")
def list_rows(cloud: Cloud, request: Request) -> Answer:
    """Rows of a table, in BigQuery's cells."""
    key = request.key.removesuffix("/data")
    names = [field["name"] for field in cloud.get(key)["schema"]["fields"]]

    def cell(value: Any) -> Any:
        return {"v": None if value is None else value if isinstance(value, str) else json.dumps(value)}

    rows = [{"f": [cell(row["json"].get(name)) for name in names]} for row in cloud.rows.get(key, [])]
    return Answer({"kind": "bigquery#tableDataList", "totalRows": str(len(rows)), "rows": rows})


@handles("pubsub.projects.topics.patch")
def patch_topic(cloud: Cloud, request: Request) -> Answer:
    """Change what the mask names of a topic: the mask decides, a field that is not in the body is taken away."""
    item = cloud.get(request.key)
    mask = request.query.get("updateMask") or request.body.get("updateMask")
    if not mask:
        raise Refusal(
            400, "The update_mask in the UpdateTopicRequest must be set, and must contain a non-empty paths list."
        )
    for name in mask.split(","):
        item.pop(name, None)
        if name in request.body["topic"]:
            item[name] = request.body["topic"][name]
    return Answer(item)


@handles("pubsub.projects.topics.publish")
def publish(cloud: Cloud, request: Request) -> Answer:
    """Take messages; tests read them from ``cloud.messages``."""
    key = request.key.removesuffix(":publish")
    cloud.get(key)
    taken = cloud.messages.setdefault(key, [])
    ids = []
    for message in request.body.get("messages", []):
        taken.append({"data": base64.b64decode(message.get("data", "")), "attributes": message.get("attributes", {})})
        ids.append(cloud.number())
    return Answer({"messageIds": ids})
