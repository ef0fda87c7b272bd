"""The image summaries of a plan. Only packages that changed since an earlier plan are computed again.

The cached part of a package depends on the digest of its recipe and on the settings, not on its base images. Therefore
the result is always that of :func:`bakery.plan.plan.draft`.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from bakery.codec import encode
from bakery.errors import Problem
from bakery.lock.model import Lock
from bakery.plan import digest
from bakery.plan.graph import Node
from bakery.plan.link import Bases, UnlinkedImage, link, prefixed
from bakery.plan.summary import Base, ImageSummary
from bakery.recipe import image_names
from bakery.recipe.packages import Package, Packages
from bakery.settings import Settings


class SummaryCache(Protocol):
    """Contents by key. A content that is not returned is computed again."""

    def get(self, key: str) -> bytes | None:
        """Return the content of a key, or None."""

    def put(self, key: str, content: bytes) -> None:
        """Store a content that contains no line end."""


# Applies a function to every package, in any process, and returns the results in order, as the builtin map does.
Each = Callable[[Callable[[Package], bytes], Sequence[Package]], Iterable[bytes]]


def image_summaries(
    settings: Settings, packages: Packages, lock: Lock, cache: SummaryCache, *, locked: bool = True, each: Each = map
) -> tuple[tuple[ImageSummary, ...], tuple[Problem, ...]]:
    """Return the summaries of the images and all problems, equal to those of :func:`bakery.plan.plan.draft`."""
    shared = digest.sha256(digest.canonical(encode(settings)))
    keys = [digest.sha256(package.digest + shared) for package in packages.packages]
    contents = {key: content for key in keys if (content := cache.get(key)) is not None}
    changed = {key: package for key, package in zip(keys, packages.packages, strict=True) if key not in contents}
    left = {key: package for key, package in changed.items() if not package.prepared}
    made = dict(zip(left, each(partial(encode_package, settings), list(left.values())), strict=True))
    for key, package in changed.items():
        contents[key] = package.prepared or made[key]
        cache.put(key, contents[key])
    # One list of all contents: one call of the parser takes half the time of a thousand calls.
    values = json.loads(b"[%b]" % b",".join(contents[key] for key in keys))
    unlinked = [
        image for package, value in zip(packages.packages, values, strict=True) for image in _decode(package, value)
    ]
    return link(settings, prefixed(unlinked, settings.google.prefix), packages, Bases(settings, lock, locked))


def encode_package(settings: Settings, package: Package) -> bytes:
    """Return a package's images without their bases, as JSON with files relative to the package's folder.

    It is what :func:`image_summaries` takes as ``prepared``.
    """
    from bakery.plan.expand import builtins, variant_inputs  # here and below: not needed while nothing changes
    from bakery.plan.model import partition_names
    from bakery.plan.plan import image_material, suite_plan

    images = []
    for inputs in variant_inputs(package.recipe, settings, builtins(settings, "")):
        node, material, tests = inputs.node, image_material(inputs, settings), suite_plan(inputs)
        at, base_at = ([file.removeprefix(f"{package.shown}/"), line] for file, line in (node.at, node.base_at))
        names = [node.variant, node.family, node.base_family, node.base_project]
        node_values = [*names, at, base_at, node.faults, node.features, node.needs, node.architecture]
        test_values = [*([tests.digest, tests.inputs] if tests else ["", {}]), partition_names(node.family, tests)]
        test_values.append(inputs.variant.owners)
        images.append(
            [node_values, digest.content(material), digest.manifest(material, settings.secrets.values()), test_values]
        )
    return json.dumps(images, separators=(",", ":")).encode()


def _decode(package: Package, images: list[Any]) -> Iterator[UnlinkedImage[ImageSummary]]:
    """Yield the images that :func:`encode_package` encoded."""
    for (variant, family, base_family, base_project, *positions, faults, features, needs, kind), *values in images:
        at, base_at = ((f"{package.shown}/{file}", line) for file, line in positions)
        facts = (tuple(map(tuple, faults)), tuple(features), tuple(map(tuple, needs)), kind)
        node = Node(package.name, variant, family, base_family, base_project, at, base_at, *facts)
        yield UnlinkedImage(node, partial(_summary, node, *values))


def _summary(node: Node, content: str, inputs: dict[str, str], tests: list[Any], base: Base) -> ImageSummary:
    identity = digest.digest(base, content)
    return ImageSummary(
        package=node.package,
        variant=node.variant,
        family=node.family,
        name=image_names.image_name(node.family, identity),
        digest=identity,
        base=base,
        inputs=digest.based(base, inputs),
        tests_digest=tests[0],
        tests_inputs=tests[1],
        partitions=tuple(tests[2]),
        owners=tuple(tests[3]),
    )
