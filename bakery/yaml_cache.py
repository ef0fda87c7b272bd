"""A cache of parsed YAML files. Importing PyYAML takes a sixth of the time of a plan without changes."""

import hashlib
import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from bakery import paths


def parsed(content: bytes, kind: str, parse: Callable[[bytes], Any]) -> Any:
    """Return ``parse(content)`` from the user's cache, where it is kept as JSON by the digest of ``kind`` and content.

    ``kind`` names what ``parse`` does and its version. A value that JSON does not keep exactly is not stored, nor is
    the result of a ``parse`` that raises. The cache may be deleted, damaged or shared at any time.
    """
    file = paths.cache() / "yaml" / hashlib.sha256(f"{kind}\0".encode() + content).hexdigest()
    with suppress(OSError, ValueError):
        checksum, _, text = file.read_bytes().partition(b" ")
        if checksum == _checksum(text):
            return json.loads(text)
    value = parse(content)
    with suppress(OSError, TypeError, ValueError):
        text = json.dumps(value).encode()
        if json.loads(text) == value:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(_checksum(text) + b" " + text)  # a half-written file fails its checksum
    return value


def _checksum(text: bytes) -> bytes:
    return b"%08x" % zlib.crc32(text)
