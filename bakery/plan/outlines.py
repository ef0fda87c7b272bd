"""The outlines of a plan, with what an earlier plan worked out: only images that changed are worked out again.

What is remembered of a package holds for the digest of its recipe and for the settings, and an image's digest for its
base. So nothing is taken for granted that :func:`bakery.plan.plan.draft` would find out differently.
"""

from __future__ import annotations

import json
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol

from bakery.codec import encode
from bakery.errors import Problem
from bakery.plan.digest import canonical, sha256
from bakery.plan.graph import Node
from bakery.plan.layout import Bases, Seed, lay_out
from bakery.plan.lock import Lock
from bakery.plan.model import Base, Outline
from bakery.recipe.model import Found, Packages
from bakery.settings import Settings

if TYPE_CHECKING:
    from bakery.plan.expand import Point


class Memory(Protocol):
    """Contents by key; whatever it does not give back is worked out again."""

    def get(self, key: str) -> bytes | None:
        """The content that was put under that key, or None."""
        ...

    def put(self, key: str, content: bytes) -> None:
        """Keep a content, which has no line end in it."""
        ...


def outlines(
    settings: Settings, packages: Packages, lock: Lock, memory: Memory, *, locked: bool = True
) -> tuple[tuple[Outline, ...], tuple[Problem, ...]]:
    """The outlines of the images and all problems, as :func:`bakery.plan.plan.draft` has them."""
    shared = sha256(canonical(encode(settings)))
    keys = [sha256(found.digest + shared) for found in packages.found]
    # One list of all that is remembered: a parser called once takes half the time of one called a thousand times.
    held = json.loads(b"[%b]" % b",".join(memory.get(key) or b"null" for key in keys))
    known = [_Known(found, settings, memory, *more) for found, *more in zip(packages.found, keys, held, strict=True)]
    seeds = [seed for one in known for seed in one.seeds()]
    made = lay_out(settings, seeds, packages, Bases(settings, lock, locked))
    for one in known:
        one.keep()
    return made


class _Known:
    """What is known of one package: a list of its images, each as node, base and what it is with that base."""

    def __init__(self, found: Found, settings: Settings, memory: Memory, key: str, held: Any) -> None:
        self.found = found
        self.settings = settings
        self.memory = memory
        self.key = key
        self.fresh = held is None
        self.images = [[self.listed(point.node)] for point in self.points] if held is None else held

    @cached_property
    def points(self) -> list[Point]:
        from bakery.plan.expand import builtins, points  # here and below: not needed while nothing changes

        return list(points(self.found.recipe, self.settings, builtins(self.settings, "")))

    def listed(self, node: Node) -> list[Any]:
        """The node as it is remembered; files below the package's folder, wherever that lies."""
        at, base_at = ([file.removeprefix(f"{self.found.shown}/"), line] for file, line in (node.at, node.base_at))
        return [node.variant, node.family, node.base_family, node.base_project, at, base_at]

    def seeds(self) -> list[Seed[Outline]]:
        return [Seed(self.node(*held[0]), partial(self.image, index)) for index, held in enumerate(self.images)]

    def node(self, variant: str, family: str, base_family: str, base_project: str, *at: tuple[str, int]) -> Node:
        """What :meth:`listed` was given."""
        own, base = ((f"{self.found.shown}/{file}", line) for file, line in at)
        return Node(self.found.name, variant, family, base_family, base_project, own, base)

    def image(self, index: int, base: Base) -> Outline:
        """The outline of one of the images on that base."""
        node = self.images[index][0]
        on = [base.family, base.name, base.digest, base.project]
        if self.images[index][1:2] != [on]:
            from bakery.plan.plan import image

            made = image(self.points[index], self.settings, "", base)
            self.images[index] = [node, on, [made.name, made.digest, dict(made.inputs), made.tests_digest]]
            self.fresh = True
        name, digest, inputs, tests = self.images[index][2]
        return Outline(
            package=self.found.name,
            variant=node[0],
            family=node[1],
            name=name,
            digest=digest,
            base=base,
            inputs=inputs,
            tests_digest=tests,
        )

    def keep(self) -> None:
        """Remember it, if anything had to be worked out."""
        if self.fresh:
            self.memory.put(self.key, json.dumps(self.images, separators=(",", ":")).encode())
