"""Orders as files: the program writes them and the plugin reads them, which keeps the state of the stack small."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from bakery.codec import decode, encode
from bakery.host.files import write_atomic
from bakery.orders.model import RunOrder, bake_order, run_order
from bakery.paths import StatePaths
from bakery.plan.digest import tests_digest
from bakery.plan.model import ImagePlan
from bakery.recipe.image_names import DIGEST_SHOWN
from bakery.redaction import redacted


def bake_file(paths: StatePaths, name: str) -> Path:
    """Return the file of the bake order of an image."""
    return paths.orders / f"{name}.json"


def run_file(paths: StatePaths, image: str, tests: str) -> Path:
    """Return the file of the run order of an image; ``tests`` is the digest of the tests, short or complete."""
    return paths.orders / f"{image}-{tests[:DIGEST_SHOWN]}.json"


def tests_inputs(paths: StatePaths, image: str, tests: str) -> Mapping[str, str]:
    """Return the manifest of tests that this checkout ordered before; empty if the order cannot be read."""
    try:
        order = decode(RunOrder, json.loads(run_file(paths, image, tests).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}
    return tests_digest(order.suite, order.files)[1]


def write(paths: StatePaths, image: ImagePlan) -> None:
    """Write the orders that the plugin reads to bake and to test the image. Raises InfrastructureFailed.

    An image that is taken from another stack is not baked, and only its smoke tests run here.
    """
    if image.taken is None:
        _put(bake_file(paths, image.name), encode(bake_order(image)))
    own = image if image.taken is None else replace(image, tests=image.smoke)
    if own.tests is not None:
        _put(run_file(paths, own.name, own.tests.digest), encode(run_order(own)))


def _put(file: Path, order: object) -> None:
    """Replace the file atomically if it changes, as another ``up`` may be reading it. Raises InfrastructureFailed."""
    text = json.dumps(order, sort_keys=True, separators=(",", ":"))
    content = redacted(text).encode()
    with suppress(OSError):
        if file.read_bytes() == content:
            return
    write_atomic(file, content, mode=0o600)
