"""The image summaries of a plan. Only packages that changed since an earlier plan are computed again.

The cached part of a package depends on the digest of its recipe and on the settings, not on its base images. Therefore
the result is always that of :func:`bakery.plan.plan.draft`.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
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

BORDER = b"\t"  # between images and manifests; JSON writes this character as \t


class SummaryCache(Protocol):
    """Contents by key. A content that is not returned is computed again."""

    def get(self, key: str) -> bytes | None:
        """Return the content of a key, or None."""

    def put(self, key: str, content: bytes) -> None:
        """Store a content that contains no line end."""


# Applies a function to every package, in any process, and returns the results in order, as the builtin map does.
Each = Callable[[Callable[[Package], bytes], Sequence[Package]], Iterable[bytes]]


def image_summaries(
    settings: Settings,
    packages: Packages,
    lock: Lock,
    cache: SummaryCache,
    *,
    locked: bool = True,
    each: Each = map,
    proven: Collection[str] = (),
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
    parts = [contents[key].partition(BORDER) for key in keys]
    # One list of all images: one call of the parser takes half the time of a thousand calls.
    values = json.loads(b"[%b]" % b",".join(images for images, _, _ in parts))
    unlinked = [
        image
        for package, images, (_, _, manifests) in zip(packages.packages, values, parts, strict=True)
        for image in _decode(package, images, manifests, proven)
    ]
    return link(settings, prefixed(unlinked, settings.google.prefix), packages, Bases(settings, lock, locked))


def encode_package(settings: Settings, package: Package) -> bytes:
    """Return a package's images without their bases, as JSON with files relative to the package's folder.

    It is what :func:`image_summaries` takes as ``prepared``. The manifests follow behind a border: most plans do not
    need them.
    """
    from bakery.plan.expand import builtins, variant_inputs  # here and below: not needed while nothing changes
    from bakery.plan.model import partition_names
    from bakery.plan.plan import image_material, suite_plan

    images, manifests = [], []
    for inputs in variant_inputs(package.recipe, settings, builtins(settings, "")):
        node, material, tests = inputs.node, image_material(inputs, settings), suite_plan(inputs, settings)
        at, base_at = ([file.removeprefix(f"{package.shown}/"), line] for file, line in (node.at, node.base_at))
        names = [node.variant, node.family, node.base_family, node.base_project]
        node_values = [*names, at, base_at, node.faults, node.features, node.needs, node.architecture]
        test_values = [tests.digest if tests else "", partition_names(node.family, tests), inputs.variant.owners]
        images.append([node_values, digest.contents(material), test_values])
        manifests.append([digest.manifest(material, settings.secrets.values()), tests.inputs if tests else {}])
    return BORDER.join(json.dumps(part, separators=(",", ":")).encode() for part in (images, manifests))


class _Manifests:
    """The manifests of a package's images and of their tests, parsed when one is looked at."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    @cached_property
    def values(self) -> list[list[dict[str, str]]]:
        values: list[list[dict[str, str]]] = json.loads(self.content)
        return values


class _Manifest(Mapping[str, str]):
    """One of them: that of an image, with its ``base`` first, or without one that of its tests."""

    def __init__(self, manifests: _Manifests, image: int, base: Base | None) -> None:
        self.place = (manifests, image, base)

    @cached_property
    def entries(self) -> dict[str, str]:
        manifests, image, base = self.place
        own, tests = manifests.values[image]
        return digest.based(base, own) if base else tests

    def __getitem__(self, name: str) -> str:
        return self.entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


def _decode(
    package: Package, images: list[Any], manifests: bytes, proven: Collection[str]
) -> Iterator[UnlinkedImage[ImageSummary]]:
    """Yield the images that :func:`encode_package` encoded."""
    held = _Manifests(manifests)
    for index, (node_values, contents, tests) in enumerate(images):
        variant, family, base_family, base_project, at, base_at, faults, features, needs, kind = node_values
        at, base_at = (f"{package.shown}/{at[0]}", at[1]), (f"{package.shown}/{base_at[0]}", base_at[1])
        facts = (tuple(map(tuple, faults)), tuple(features), tuple(map(tuple, needs)), kind)
        node = Node(package.name, variant, family, base_family, base_project, at, base_at, *facts)
        found = partial(digest.identify, contents=contents, proven=proven)
        yield UnlinkedImage(node, partial(_summary, node, found, tests, partial(_Manifest, held, index)))


def _summary(
    node: Node,
    identify: Callable[[Base], digest.Identity],
    tests: list[Any],
    manifest: Callable[[Base | None], _Manifest],
    base: Base,
) -> ImageSummary:
    identity, rules = identify(base)
    return ImageSummary(
        package=node.package,
        variant=node.variant,
        family=node.family,
        name=image_names.image_name(node.family, identity),
        digest=identity,
        base=base,
        inputs=manifest(base),
        tests_digest=tests[0],
        tests_inputs=manifest(None),
        partitions=tuple(tests[1]),
        owners=tuple(tests[2]),
        rules=rules,
    )
