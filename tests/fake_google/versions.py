"""Versions of objects: a bucket that has them on keeps what is deleted or replaced, until its rules say otherwise.

A request that names a generation means that version: deleting one so is for good.
Source: https://cloud.google.com/storage/docs/object-versioning and the discovery document of storage v1.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from tests.fake_google import crud
from tests.fake_google.cloud import CONSULTED, Answer, Cloud, Refusal, Request

Json = Any


def consult(cloud: Cloud, request: Request) -> Answer | None:
    """Keep the version that the request replaces or deletes; list and delete the kept ones."""
    bucket = f"storage/storage/v1/b/{request.call.params.get('bucket', '')}"
    if not cloud.items.get(bucket, {}).get("versioning", {}).get("enabled"):
        return None
    if request.id == "storage.objects.list" and request.query.get("versions", "").lower() == "true":
        start = f"{bucket}/o/{request.query.get('prefix', '')}"
        found = [item for key, item in sorted(cloud.items.items()) if key.startswith(start)]
        found += [item for key, kept in sorted(cloud.archived.items()) if key.startswith(start) for item in kept]
        return crud.page(cloud, request, found)
    if request.id == "storage.objects.insert":
        key = f"{bucket}/o/{request.query.get('name') or (request.body or {}).get('name')}"
        there = cloud.items.get(key, {}).get("generation", "0")
        if request.query.get("ifGenerationMatch", there) == there:  # else nothing is replaced
            _archive(cloud, key)
    if request.id == "storage.objects.delete":
        return _delete(cloud, f"{bucket}/o/{unquote(request.call.params['object'])}", request.query.get("generation"))
    return None


def _archive(cloud: Cloud, key: str) -> None:
    if key in cloud.items:
        cloud.archived.setdefault(key, []).append(dict(cloud.items[key]))


def _delete(cloud: Cloud, key: str, generation: str | None) -> Answer | None:
    if generation is None:
        _archive(cloud, key)
    elif generation != cloud.items.get(key, {}).get("generation"):
        kept = cloud.archived.get(key, [])
        if not any(item["generation"] == generation for item in kept):
            raise Refusal(404, f"No such object: {key.partition('/b/')[2]}")
        cloud.archived[key] = [item for item in kept if item["generation"] != generation]
        return Answer(b"", 204)
    return None


CONSULTED.append(consult)
