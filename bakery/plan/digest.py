"""The digest: SHA-256 of everything that decides what is in an image, and of nothing else.

:class:`Material` is the list of what a recipe brings; a value that is not in it does not count. Its own digest, the
content's, is worked out once, and with the base image's it makes the image's: a new base costs one hash for each image
that stands on it. Digests are taken over canonical JSON (sorted keys, no blanks, ASCII), in which strings are quoted
and lists bracketed, so that no two materials read alike. ``FORMAT`` stands first: another format gives other digests,
on purpose.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from bakery.plan.model import Base
from bakery.recipe.image_names import DIGEST_SHOWN
from bakery.recipe.model import ClusterShape, Json, SourceFile, Suite

FORMAT = "image-bakery/2"
VALUE_SHOWN = 60  # characters of a value in the manifest; longer ones are shown as their digest
EXECUTABLE = 0o100

# A model's fields are read as they are: ten times faster than to make plain values of them first.
_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, default=vars)


@dataclass(frozen=True)
class Material:
    """What counts but for the base image.

    ``files`` reach the image; ``provisioners`` and ``builder`` stand as in the template, before variables are filled
    in; ``variables`` are those that both refer to. ``nonce`` is the stack's word that forces a new bake.
    """

    files: tuple[SourceFile, ...] = ()
    provisioners: Json = ()
    builder: Mapping[str, Json] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    nonce: str = ""


def canonical(value: Json) -> str:
    """The value (JSON, or models of JSON values) as canonical JSON."""
    return _encoder.encode(value)


def sha256(text: str) -> str:
    """SHA-256 of the text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def content(material: Material) -> str:
    """SHA-256 in hex of what counts but for the base image."""
    return sha256(canonical([FORMAT, "content", vars(material) | {"files": _listed(material.files)}]))


def digest(base: Base, content: str) -> str:
    """The image's digest: SHA-256 in hex of its base's (a base image from outside: its identity) and its content's."""
    return sha256(canonical([FORMAT, "image", base.digest, content]))


def _listed(files: Iterable[SourceFile]) -> list[list[Json]]:
    return sorted([file.path, file.mode, file.sha256] for file in files)


def manifest(material: Material) -> dict[str, str]:
    """What counts, for people: file, option or variable to a short digest or value, in a fixed order."""
    shown = {file.path: _file(file) for file in sorted(material.files)}
    shown["packer.json provisioners"] = sha256(canonical(material.provisioners))[:DIGEST_SHOWN]
    shown |= {f"packer.json {key}": _value(canonical(value)) for key, value in sorted(material.builder.items())}
    shown |= {f"variable {key}": _value(value) for key, value in sorted(material.variables.items())}
    if material.nonce:
        shown["nonce"] = _value(material.nonce)
    return shown


def based(base: Base, manifest: Mapping[str, str]) -> dict[str, str]:
    """The manifest with the base image before all else."""
    return {f"base {base.family}": short(base.digest), **manifest}


def short(identity: str) -> str:
    """A digest or identity as tables show it: the kind, if it has one, and the first characters."""
    kind, _, value = identity.rpartition(":")
    return f"{kind}:{value[:DIGEST_SHOWN]}" if kind else value[:DIGEST_SHOWN]


def _file(file: SourceFile) -> str:
    return file.sha256[:DIGEST_SHOWN] + (" executable" if file.mode & EXECUTABLE else "")


def _value(text: str) -> str:
    return text if len(text) <= VALUE_SHOWN else sha256(text)[:DIGEST_SHOWN]


def tests_digest(suite: Suite, files: tuple[SourceFile, ...]) -> tuple[str, dict[str, str]]:
    """The digest of what proves an image, and its manifest: the suite's jobs and cluster, and the files jobs use."""
    jobs = [canonical(job) for job in suite.jobs]
    cluster = _cluster(suite.cluster)
    shown = {
        f"job {index} {job.command_group}": sha256(text)[:DIGEST_SHOWN]
        for index, (job, text) in enumerate(zip(suite.jobs, jobs, strict=True), 1)
    }
    shown["cluster"] = sha256(cluster)[:DIGEST_SHOWN]
    shown |= {file.path: _file(file) for file in sorted(files)}
    return sha256(canonical([FORMAT, "tests", jobs, cluster, _listed(files)])), shown


@lru_cache(maxsize=64)
def _cluster(cluster: ClusterShape) -> str:
    """Most recipes are tested on the same cluster."""
    return canonical(cluster)
