"""A real Spack environment in a baked image: built, found by a login, kept in a binary cache, installed again from it.

Needs a Spack: ``make test-spack SPACK_SOURCE=<git url, folder or archive>``. ``SPACK_PACKAGES`` is the same of the
package recipes, ``SPACK_REF`` and ``SPACK_PACKAGES_REF`` pin both, ``SPACK_MIRROR`` is a mirror with bzip2's sources.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bakery import library, ovens
from bakery.activity import Activity
from bakery.fluid_run import clusters, runner
from bakery.fluid_run.base import RunResult, Verdict
from bakery.ovens.base import BakeOutcome
from bakery.paths import StatePaths
from bakery.plan import plan
from bakery.plan.order import bake_order, test_order
from bakery.recipe import lockfile
from bakery.recipe.load import load
from bakery.settings import Settings, parse
from tests.spack import shelf
from tests.spack.shelf import Shelf

GIVEN = {name: os.environ.get(name, "") for name in ("SPACK_SOURCE", "SPACK_PACKAGES", "SPACK_MIRROR")}
REFS = {"SPACK_REF": "v1.1.0", "SPACK_PACKAGES_REF": "v2025.11.0"}

pytestmark = [
    pytest.mark.spack,
    pytest.mark.skipif(not GIVEN["SPACK_SOURCE"], reason="no Spack: make test-spack SPACK_SOURCE=..."),
]


@dataclass(frozen=True)
class Kitchen:
    """A checkout of two packages, rcc-debian and the environment on top of it, and what its bakes fetch."""

    folder: Path
    shelf: Shelf
    spack: dict[str, str]

    def settings(self, cache: str, nonce: str) -> Settings:
        """A stack that bakes with this cache; another nonce makes another image of the same recipe."""
        values: dict[str, object] = {
            "local": {"cores": 2, "memoryMb": 2048, "diskGb": 10},
            "spack": {**self.spack, "cache": cache},
            "nonce": {"bzip2": nonce},
        }
        return parse(values, "spack", self.folder)

    def bake(self, settings: Settings) -> tuple[str, RunResult]:
        """Bake the environment (and what it stands on, once) and test it; the bake's log and the run."""
        made = plan.make(settings, load(settings.packages, settings.common), lockfile.read(settings.lock))
        assert [image.package for image in made.images] == ["rcc-debian", "bzip2"]
        activity = Activity(lambda phase: print(phase, flush=True))
        baked = [ovens.make(settings).bake(bake_order(image), activity) for image in made.images]
        assert baked[-1].outcome is BakeOutcome.BAKED
        shelves, machines = library.make(settings), clusters.make(settings)
        run = runner.run(test_order(made.images[-1]), shelves, machines, StatePaths(settings.state), activity)
        print(f"{baked[-1].name}: {baked[-1].seconds / 60:.1f} min to bake, stages of the test: {run.timings}")
        return Path(str(baked[-1].log)).read_text(encoding="utf-8"), run


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kitchen]:
    folder = shelf.checkout(tmp_path_factory.mktemp("spack"))
    with shelf.serve(folder.parent / "shelf") as served:
        refs = {name: os.environ.get(name) or default for name, default in REFS.items()}
        source = served.put_source("spack", GIVEN["SPACK_SOURCE"], refs["SPACK_REF"])
        packages = served.put_source("spack-packages", GIVEN["SPACK_PACKAGES"], refs["SPACK_PACKAGES_REF"])
        served.put_wheels()
        build = folder / "packages/bzip2/cloudbuild.yaml"
        build.write_text(build.read_text(encoding="utf-8").replace("@PORT@", str(served.port)), encoding="utf-8")
        spack = {
            "source": source.source,
            "ref": source.ref,
            "packagesSource": packages.source,
            "packagesRef": packages.ref,
            "mirror": served.put_mirror(GIVEN["SPACK_MIRROR"]),
        }
        yield Kitchen(folder, served, spack)


def test_built_found_kept_and_installed_again_without_building(kitchen: Kitchen) -> None:
    log, run = kitchen.bake(kitchen.settings("file:///var/cache/spack", "built"))
    assert run.verdict is Verdict.PASSED, run.reason
    assert "bzip2: Executing phase" in log
    assert list((kitchen.shelf.folder / "cache").rglob("*bzip2-1.0.8*")), "nothing was pushed to the cache"

    log, run = kitchen.bake(kitchen.settings(f"{kitchen.shelf.url}/cache", "cached"))
    assert run.verdict is Verdict.PASSED, run.reason
    assert "Executing phase" not in log, "something was built"
    assert "Extracting bzip2-1.0.8" in log
