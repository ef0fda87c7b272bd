"""How version 0.1.0 turned values into the bytes that digests and orders are made of: a frozen copy, never edited.

It is taken from ``canonical``, ``content``, ``digest`` and ``tests_digest`` of that version's module of digests, and
from ``encode`` of its codec, and depends on nothing of the bakery. A change of today's functions is right only while it
gives the same bytes as these.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

FORMAT = "image-bakery/2"

_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, default=vars)


def canonical(value: Any) -> str:
    """The value (JSON, or models of JSON values) as canonical JSON."""
    return _encoder.encode(value)


def sha256(text: str) -> str:
    """SHA-256 of the text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def content(material: Any) -> str:
    """SHA-256 in hex of what counts besides the base image."""
    return sha256(canonical([FORMAT, "content", vars(material) | {"files": _listed(material.files)}]))


def digest(base: Any, content: str) -> str:
    """The image's digest: SHA-256 in hex of its base's digest and its content's."""
    return sha256(canonical([FORMAT, "image", base.digest, content]))


def tests_digest(suite: Any, files: Iterable[Any]) -> str:
    """The digest of what proves an image."""
    jobs = [canonical(job) for job in suite.jobs]
    return sha256(canonical([FORMAT, "tests", jobs, canonical(suite.cluster), _listed(files)]))


def _listed(files: Iterable[Any]) -> list[list[Any]]:
    return sorted([file.path, file.mode, file.sha256] for file in files)


def encode(value: Any) -> Any:
    """The value as json.dumps takes it: dataclasses and mappings to objects, tuples to lists, paths to strings."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): encode(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(entry) for entry in value]
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def order_bytes(order: Any) -> bytes:
    """An order's file."""
    return json.dumps(encode(order), sort_keys=True, separators=(",", ":")).encode()
