"""The digest: SHA-256 of everything that decides what is in an image, and of nothing else.

:class:`Material` is the list of what counts; a value that is not in it does not count. The digest is taken over
canonical JSON (sorted keys, no blanks, ASCII), in which strings are quoted and lists bracketed, so that no two
materials read alike. ``FORMAT`` stands first: another format gives other digests, on purpose.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from bakery.plan.model import DIGEST_SHOWN
from bakery.recipe.model import ClusterShape, Json, SourceFile, Suite

FORMAT = "image-bakery/1"
VALUE_SHOWN = 60  # characters of a value in the manifest; longer ones are shown as their digest
EXECUTABLE = 0o100

# A model's fields are read as they are: ten times faster than to make plain values of them first.
_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, default=vars)


@dataclass(frozen=True)
class Material:
    """What counts. ``base`` is the parent's digest or the external base image's identity.

    ``files`` reach the image; ``provisioners`` and ``builder`` stand as in the template, before variables are filled
    in; ``variables`` are those that both refer to. ``nonce`` is the stack's word that forces a new bake.
    """

    base: str
    base_family: str = ""  # for the manifest only: a family is a name
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


def digest(material: Material) -> str:
    """SHA-256 in hex of what counts."""
    return sha256(canonical([FORMAT, _counts(material)]))


def _counts(material: Material) -> dict[str, Json]:
    return {
        "base": material.base,
        "files": _listed(material.files),
        "provisioners": material.provisioners,
        "builder": material.builder,
        "variables": material.variables,
        "nonce": material.nonce,
    }


def _listed(files: Iterable[SourceFile]) -> list[list[Json]]:
    return sorted([file.path, file.mode, file.sha256] for file in files)


def manifest(material: Material) -> dict[str, str]:
    """What counts, for people: file, option, variable or base to a short digest or value, in a fixed order."""
    shown = {f"base {material.base_family}": short(material.base)}
    shown |= {file.path: _file(file) for file in sorted(material.files)}
    shown["packer.json provisioners"] = sha256(canonical(material.provisioners))[:DIGEST_SHOWN]
    shown |= {f"packer.json {key}": _value(canonical(value)) for key, value in sorted(material.builder.items())}
    shown |= {f"variable {key}": _value(value) for key, value in sorted(material.variables.items())}
    if material.nonce:
        shown["nonce"] = _value(material.nonce)
    return shown


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
