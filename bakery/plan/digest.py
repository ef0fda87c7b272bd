"""The digest: SHA-256 of everything that determines the content of an image, and of nothing else.

:class:`Material` lists what a recipe contributes; a value that is not in it does not count. The digest of the material,
the content digest, is computed once. The image's digest is computed from it and the base's digest, so a new base costs
one hash for each image that is baked from it. Digests cover canonical JSON (sorted keys, no blanks, ASCII), in which
strings are quoted and lists bracketed, so different materials have different texts. ``FORMAT`` is first, and has the
generation of the rules. Released rules are never edited: other rules are one more generation in :data:`GENERATIONS`,
and images that were proven under an old one are kept, see :func:`identify`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _quoted
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from bakery.plan.image_labels import DIGEST_IN_LABEL
from bakery.plan.summary import Base
from bakery.recipe.image_names import DIGEST_SHOWN

if TYPE_CHECKING:
    from bakery.recipe.model import ClusterShape, Json, Partition, SourceFile, Suite

FORMAT = "image-bakery/2"  # of the digests of generation 2, and of those of tests
VALUE_SHOWN = 60  # characters of a value in the manifest; longer ones are shown as their digest
EXECUTABLE = 0o100
LATER = (  # fields of clusters, and of partitions
    *("profile", "slurm_conf", "job_submit", "prolog", "epilog"),
    *("nic_type", "rdma_network", "threads_per_core", "reservation", "provisioning", "disk_type"),
)

_path = attrgetter("path")  # sorting by all fields takes ten times as long
# The encoder reads a model's fields directly, which is ten times faster than encoding the model first.
_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, default=vars)


@dataclass(frozen=True)
class Material:
    """What the digest covers, except the base image.

    ``files`` are those that reach the image; ``provisioners`` and ``builder`` are parts of the template whose variables
    are not filled in; ``variables`` are those that both refer to. ``nonce`` is a setting that forces a new bake.
    ``whole`` is what can't be followed exactly, by what it comes from. ``sensitive`` variables and options are
    shown nowhere. ``secrets`` maps those of the bake to their versions.
    """

    files: tuple[SourceFile, ...] = ()
    provisioners: Json = ()
    builder: Mapping[str, Json] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    nonce: str = ""
    whole: Mapping[str, Json] = field(default_factory=dict)
    sensitive: frozenset[str] = frozenset()
    secrets: Mapping[str, str] = field(default_factory=dict)


def canonical(value: Json) -> str:
    """Return the value (JSON, or models of JSON values) as canonical JSON."""
    return _encoder.encode(value)


def sha256(text: str) -> str:
    """Return the SHA-256 of the text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def content(material: Material) -> str:
    """Return the content digest: the SHA-256 of the material, in hex."""
    counted = {key: value for key, value in vars(material).items() if key != "sensitive"}
    for later in ("whole", "secrets"):  # they count only if there are any: other digests stay as they were
        if not counted[later]:
            del counted[later]
    return sha256(canonical([FORMAT, "content", counted | {"files": _listed(material.files)}]))


def digest(base: Base, content: str) -> str:
    """Return the image's digest: SHA-256, in hex, of the base's digest (or identity) and the content digest."""
    # What canonical() makes of this list, which a thousand calls of the encoder take longer for.
    return sha256(f'["{FORMAT}","image",{_quoted(base.digest)},{_quoted(content)}]')


class Rules(NamedTuple):
    """One generation of the rules: what counts of a material, and how the base's digest enters that of the image.

    ``content`` and ``digest`` are as the functions of this module. What they hash has the generation in it, so that no
    digest of one generation is one of another.
    """

    generation: int
    content: Callable[[Material], str]
    digest: Callable[[Base, str], str]


GENERATIONS = (Rules(2, content, digest),)  # oldest first; no release used generation 1


def contents(material: Material) -> tuple[str, ...]:
    """Return the content digest under each of the GENERATIONS."""
    return tuple(rules.content(material) for rules in GENERATIONS)


class Identity(NamedTuple):
    """An image's digest, and the generation of the rules that it has it by."""

    digest: str
    rules: int


def identify(base: Base, contents: Sequence[str], proven: Collection[str] = ()) -> Identity:
    """Return the digest of an image under the newest rules, or under old ones by which it is proven as it is.

    ``contents`` are its :func:`contents`. ``proven`` are digests of proven images, the first DIGEST_IN_LABEL characters
    of each. A base that was not proven under old rules has a digest of the newest ones, and so its children do, too.
    """
    pairs = zip(GENERATIONS, contents, strict=True)
    newest_first = [Identity(rules.digest(base, content), rules.generation) for rules, content in pairs][::-1]
    return next((one for one in newest_first if one.digest[:DIGEST_IN_LABEL] in proven), newest_first[0])


def _listed(files: Iterable[SourceFile]) -> list[list[Json]]:
    return sorted([file.path, file.mode, file.sha256] for file in files)


def manifest(material: Material, secrets: Collection[str] = ()) -> dict[str, str]:
    """Return the material for people: file, option or variable to a short digest or value, in a fixed order.

    A value that contains one of ``secrets`` is shown as its digest, one of a sensitive variable not at all.
    """
    hidden = [value for name, value in material.variables.items() if name in material.sensitive and value]
    shown = {file.path: _file(file) for file in sorted(material.files, key=_path)}
    shown["packer.json provisioners"] = sha256(canonical(material.provisioners))[:DIGEST_SHOWN]
    for key, value in sorted(material.builder.items()):
        option = f"packer.json {key}"
        shown[option] = "set" if option in material.sensitive else _value(canonical(value))
    shown |= {key: sha256(canonical(value))[:DIGEST_SHOWN] for key, value in sorted(material.whole.items())}
    for key, value in sorted(material.variables.items()):
        concealed = key in material.sensitive or any(secret in value for secret in hidden)
        shown[f"variable {key}"] = "set" if concealed else _value(value, secrets)
    shown |= {f"secret {name}": f"version {version}" for name, version in sorted(material.secrets.items())}
    if material.nonce:
        shown["nonce"] = _value(material.nonce, secrets)
    return shown


def based(base: Base, manifest: Mapping[str, str]) -> dict[str, str]:
    """Return the manifest with the base image first."""
    return {f"base {base.family}": short(base.digest), **manifest}


def short(identity: str) -> str:
    """Return a digest or identity as tables show it: its kind, if it has one, and the first characters."""
    kind, _, value = identity.rpartition(":")
    return f"{kind}:{value[:DIGEST_SHOWN]}" if kind else value[:DIGEST_SHOWN]


def _file(file: SourceFile) -> str:
    return file.sha256[:DIGEST_SHOWN] + (" executable" if file.mode & EXECUTABLE else "")


def _value(text: str, secrets: Collection[str] = ()) -> str:
    hidden = len(text) > VALUE_SHOWN or any(secret in text for secret in secrets)
    return sha256(text)[:DIGEST_SHOWN] if hidden else text


def tests_digest(suite: Suite, files: tuple[SourceFile, ...]) -> tuple[str, dict[str, str]]:
    """Return the digest of an image's tests, and its manifest: jobs, cluster, and the files that the jobs use.

    The upgrade counts only if the recipe asks for it. The image that a cluster is upgraded from never counts: each
    promotion would make the tests of all images new.
    """
    jobs = [canonical(job) for job in suite.jobs]
    cluster = _cluster(suite.cluster)
    shown = {
        f"job {index} {job.command_group}": sha256(text)[:DIGEST_SHOWN]
        for index, (job, text) in enumerate(zip(suite.jobs, jobs, strict=True), 1)
    }
    shown["cluster"] = sha256(cluster)[:DIGEST_SHOWN]
    shown |= {"profile": suite.cluster.profile.value} if suite.cluster.profile else {}
    shown |= {"tier": suite.tier} if suite.tier else {}
    shown |= {"upgrade test": "asked for"} if suite.upgrade else {}
    shown |= {file.path: _file(file) for file in sorted(files, key=_path)}
    asked = ["upgrade"] if suite.upgrade else []
    return sha256(canonical([FORMAT, "tests", jobs, cluster, _listed(files), *asked])), shown


@lru_cache(maxsize=64)
def _cluster(cluster: ClusterShape) -> str:
    """Return the cluster as canonical JSON. It is cached since most recipes are tested on the same cluster.

    The fields that it and partitions have since version 0.2 count only if they are set: other tests stay as they were.
    """
    return canonical({**_set(cluster), "partitions": [_set(one) for one in cluster.partitions]})


def _set(one: ClusterShape | Partition) -> dict[str, Json]:
    return {key: value for key, value in vars(one).items() if value or key not in LATER}
