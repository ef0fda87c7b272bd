"""The outlines of a plan, with what an earlier plan worked out: only packages that changed are worked out again.

What is remembered of a package holds for the digest of its recipe and for the settings, whatever its bases are. So
nothing is taken for granted that :func:`bakery.plan.plan.draft` would find out differently.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from bakery.codec import encode
from bakery.errors import Problem
from bakery.lock.model import Lock
from bakery.plan import digest
from bakery.plan.graph import Node
from bakery.plan.link import Bases, UnlinkedImage, lay_out
from bakery.plan.model import Base, ImageSummary
from bakery.recipe import image_names
from bakery.recipe.model import Found, Packages
from bakery.settings import Settings


class Memory(Protocol):
    """Contents by key; whatever it does not give back is worked out again."""

    def get(self, key: str) -> bytes | None:
        """The content that was put under that key, or None."""
        ...

    def put(self, key: str, content: bytes) -> None:
        """Keep a content, which has no line end in it."""
        ...


# Works on each of the packages, in whatever order or process, and gives what came out in theirs: ``map``, for one.
Each = Callable[[Callable[[Found], bytes], Sequence[Found]], Iterable[bytes]]


def outlines(
    settings: Settings, packages: Packages, lock: Lock, memory: Memory, *, locked: bool = True, each: Each = map
) -> tuple[tuple[ImageSummary, ...], tuple[Problem, ...]]:
    """The outlines of the images and all problems, as :func:`bakery.plan.plan.draft` has them."""
    shared = digest.sha256(digest.canonical(encode(settings)))
    keys = [digest.sha256(found.digest + shared) for found in packages.found]
    held = {key: content for key in keys if (content := memory.get(key)) is not None}
    fresh = {key: found for key, found in zip(keys, packages.found, strict=True) if key not in held}
    for key, content in zip(fresh, each(partial(_sketches, settings), list(fresh.values())), strict=True):
        memory.put(key, content)
        held[key] = content
    # One list of all that is held: a parser called once takes half the time of one called a thousand times.
    sketched = json.loads(b"[%b]" % b",".join(held[key] for key in keys))
    seeds = [seed for found, made in zip(packages.found, sketched, strict=True) for seed in _seeds(found, made)]
    return lay_out(settings, seeds, packages, Bases(settings, lock, locked))


def _sketches(settings: Settings, found: Found) -> bytes:
    """A package's images but for their bases, as JSON; files are below the package's folder, wherever that lies."""
    from bakery.plan.expand import builtins, points  # here and below: not needed while nothing changes
    from bakery.plan.plan import material, tests_of

    made = []
    for point in points(found.recipe, settings, builtins(settings, "")):
        node, counts, tests = point.node, material(point, settings), tests_of(point)
        at, base_at = ([file.removeprefix(f"{found.shown}/"), line] for file, line in (node.at, node.base_at))
        placed = [node.variant, node.family, node.base_family, node.base_project, at, base_at]
        proof = [tests.digest, tests.inputs] if tests else ["", {}]
        made.append([placed, digest.content(counts), digest.manifest(counts), proof])
    return json.dumps(made, separators=(",", ":")).encode()


def _seeds(found: Found, sketches: list[Any]) -> Iterator[UnlinkedImage[ImageSummary]]:
    """What :func:`_sketches` made of that package."""
    for (variant, family, base_family, base_project, at, base_at), *told in sketches:
        own, base = ((f"{found.shown}/{file}", line) for file, line in (at, base_at))
        node = Node(found.name, variant, family, base_family, base_project, own, base)
        yield UnlinkedImage(node, partial(_outline, node, *told))


def _outline(
    node: Node, content: str, inputs: dict[str, str], proof: tuple[str, dict[str, str]], base: Base
) -> ImageSummary:
    identity = digest.digest(base, content)
    return ImageSummary(
        package=node.package,
        variant=node.variant,
        family=node.family,
        name=image_names.image_name(node.family, identity),
        digest=identity,
        base=base,
        inputs=digest.based(base, inputs),
        tests_digest=proof[0],
        tests_inputs=proof[1],
    )
