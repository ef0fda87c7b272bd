"""A real Spack environment in a baked image: built, found by a login, kept in a binary cache, installed again from it.

Needs a Spack: ``make test-spack SPACK_SOURCE=<git url, folder or archive>``. ``SPACK_PACKAGES`` is the same of the
package recipes, ``SPACK_REF`` and ``SPACK_PACKAGES_REF`` pin both, ``SPACK_MIRROR`` is a mirror with bzip2's sources.
``RCC_DEBIAN_IMAGE`` names an image rcc-debian that is there, which saves its bake.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bakery.backends import backend
from bakery.fluid_run import runner
from bakery.library.local.library import LocalLibrary
from bakery.lock import file as lock_file
from bakery.orders.model import BakeOrder, bake_order, run_order
from bakery.ovens import single_flight
from bakery.ovens.base import BakeOutcome
from bakery.paths import StatePaths
from bakery.plan import plan
from bakery.progress.activity import Activity
from bakery.recipe.load import load
from bakery.results.model import RunResult, Verdict
from bakery.settings import Settings, parse
from tests.spack import shelf

SOURCE = os.environ.get("SPACK_SOURCE", "")

pytestmark = [
    pytest.mark.spack,
    pytest.mark.skipif(not SOURCE, reason="no Spack: make test-spack SPACK_SOURCE=..."),
]


def spack_settings() -> dict[str, str]:
    """The stack's Spack settings as the command line gives them; left-out refs are those of the packages."""

    def place(name: str) -> str:
        given = os.environ.get(name, "")
        return str(Path(given).resolve()) if given and Path(given).exists() else given

    found = {
        "source": place("SPACK_SOURCE"),
        "ref": os.environ.get("SPACK_REF") or "v1.1.0",
        "packagesSource": place("SPACK_PACKAGES"),
        "packagesRef": os.environ.get("SPACK_PACKAGES_REF") or "v2025.11.0",
        "mirror": place("SPACK_MIRROR"),
    }
    return {name: value for name, value in found.items() if value}


def bring(order: BakeOrder, settings: Settings) -> None:
    """Put the image that RCC_DEBIAN_IMAGE names, if any, into the library as what ``order`` would bake."""
    given, shelves = os.environ.get("RCC_DEBIAN_IMAGE"), LocalLibrary(settings)
    if given and shelves.find(order.name) is None:
        brought = settings.root / "rcc-debian.qcow2"
        shutil.copyfile(given, brought)
        shelves.publish(single_flight.record(order, 0.0), brought)


@dataclass(frozen=True)
class Kitchen:
    """A stack in ``folder``, a checkout of two packages: rcc-debian and the environment on top of it."""

    folder: Path
    cache: Path

    def settings(self, nonce: str) -> Settings:
        """The stack's settings; another nonce makes another image of the same recipe."""
        values: dict[str, object] = {
            "local": {"cores": 2, "memoryMb": 2048, "diskGb": 10},
            "spack": {**spack_settings(), "cache": str(self.cache)},
            "nonce": {"bzip2": nonce},
        }
        return parse(values, "spack", self.folder)

    def bake(self, settings: Settings) -> tuple[str, str, RunResult]:
        """Bake the environment (and what it stands on, once) and test it: the image's name, the bake's log, the run."""
        made = plan.make(settings, load(settings.packages, settings.common), lock_file.read(settings.lock))
        assert [image.package for image in made.images] == ["rcc-debian", "bzip2"]
        activity = Activity(lambda phase: print(phase, flush=True))
        orders = [bake_order(image) for image in made.images]
        bring(orders[0], settings)
        baked = [backend(settings).oven().bake(order, activity) for order in orders]
        assert baked[-1].outcome is BakeOutcome.BAKED
        shelves, machines = backend(settings).library(), backend(settings).clusters()
        run = runner.run(run_order(made.images[-1]), shelves, machines, StatePaths(settings.state), activity)
        print(f"{baked[-1].name}: {baked[-1].seconds / 60:.1f} min to bake, stages of the test: {run.timings}")
        return baked[-1].name, Path(str(baked[-1].log)).read_text(encoding="utf-8"), run


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kitchen]:
    folder = tmp_path_factory.mktemp("spack")
    shelf.fetch_wheels(folder / "wheels")
    with shelf.serve(folder / "wheels") as port:
        yield Kitchen(shelf.checkout(folder, port), folder / "cache")


def test_built_found_kept_and_installed_again_without_building(kitchen: Kitchen) -> None:
    settings = kitchen.settings("built")
    image, log, run = kitchen.bake(settings)
    assert run.verdict is Verdict.PASSED, run.reason
    assert "bzip2: Executing phase" in log
    assert list(kitchen.cache.rglob("*bzip2-1.0.8*")), "nothing was pushed to the cache"
    lock = LocalLibrary(settings).files.kept(image) / "spack.lock"
    assert "bzip2" in lock.read_text(encoding="utf-8")

    _, log, run = kitchen.bake(kitchen.settings("cached"))
    assert run.verdict is Verdict.PASSED, run.reason
    assert "Executing phase" not in log, "something was built"
    assert "Extracting bzip2-1.0.8" in log
