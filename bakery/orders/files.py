"""Orders on disk: the program writes them, the plugin reads them. The state of the stack stays small that way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bakery.host.files import write_atomic
from bakery.orders.build import bake_order, test_from_json, test_order, to_json
from bakery.paths import StatePaths
from bakery.plan.digest import tests_digest
from bakery.plan.model import ImagePlan
from bakery.recipe.image_names import DIGEST_SHOWN


def bake_file(paths: StatePaths, name: str) -> Path:
    """Where the BakeOrder of an image is."""
    return paths.orders / f"{name}.json"


def test_file(paths: StatePaths, image: str, tests: str) -> Path:
    """Where the TestOrder of an image is; ``tests`` is the digest of the tests, short or whole."""
    return paths.orders / f"{image}-{tests[:DIGEST_SHOWN]}.json"


test_file.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever pytest thinks


def tests_inputs(paths: StatePaths, image: str, tests: str) -> Mapping[str, str]:
    """The manifest of tests that were ordered in this checkout before; empty when nothing is known of them."""
    try:
        order = test_from_json(json.loads(test_file(paths, image, tests).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
    return tests_digest(order.suite, order.files)[1]


def write(paths: StatePaths, image: ImagePlan) -> None:
    """Write what the plugin needs to bake and to test the image."""
    _put(bake_file(paths, image.name), to_json(bake_order(image)))
    if image.tests is not None:
        _put(test_file(paths, image.name, image.tests.digest), to_json(test_order(image)))


def _put(file: Path, order: object) -> None:
    """Replace the file in one step if it changes: another ``up`` may be reading it. Raises InfrastructureFailed."""
    content = json.dumps(order, sort_keys=True, separators=(",", ":")).encode()
    with suppress(OSError):
        if file.read_bytes() == content:
            return
    write_atomic(file, content, mode=0o600)
