#!/usr/bin/python3
"""What slurm-gcp calls of Google's gcloud, in a machine without it: ``gcloud storage cp gs://BUCKET/OBJECT FILE``.

``gcloud metadata PATH FILE``, which the real one does not have, fetches what the metadata server has there. Only the
standard library is used.
"""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

METADATA = "http://metadata.google.internal/computeMetadata/v1"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def fetch(url: str, headers: Mapping[str, str]) -> bytes:
    """Return the content of an address."""
    context = ssl.create_default_context(cafile=CERTIFICATES) if url.startswith("https:") else None
    with urlopen(Request(url, headers=dict(headers)), timeout=60, context=context) as answer:
        content: bytes = answer.read()
    return content


def metadata(path: str) -> bytes:
    """Return what the metadata server has at a path."""
    return fetch(f"{METADATA}/{path}", {"Metadata-Flavor": "Google"})


def of_storage(address: str) -> bytes:
    """Return the content of an object, asked for with the token of the machine's account."""
    bucket, _, name = address.removeprefix("gs://").partition("/")
    token = json.loads(metadata("instance/service-accounts/default/token"))["access_token"]
    url = f"https://storage.googleapis.com/download/storage/v1/b/{bucket}/o/{quote(name, safe='')}?alt=media"
    return fetch(url, {"Authorization": f"Bearer {token}"})


def main(words: list[str]) -> None:
    """Do what the words say; raise SystemExit if that is not known here."""
    match words:
        case ["metadata", path, target]:
            content = metadata(path)
        case ["storage", "cp", address, target]:
            content = of_storage(address)
        case _:
            sys.exit(f"gcloud {' '.join(words)}: not known here")
    Path(target).write_bytes(content)


if __name__ == "__main__":
    main(sys.argv[1:])
