"""One copy of the checkout, whose first ``make up`` bakes the images of all tests that boot machines here.

The workers of pytest-xdist share the copy and its images: the first worker that needs them makes them.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from bakery.host import locks
from tests.machines import make_checkout as checkouts
from tests.machines.machine_bake import MachineBake
from tests.machines.make_checkout import Checkout, Done

LONGEST = Path(__file__).with_name("test_make_up.py")
SLOWEST = Path(__file__).with_name("test_same_image.py")
IMAGE = "rcc-debian.qcow2"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest file first, and put the tests that wait for its image last.

    The bake in a machine runs in the background meanwhile; then come the tests whose machines need its slot.
    """
    items.sort(key=_place)


def waits_for_bake(item: pytest.Item) -> bool:
    """Whether a test needs the image that is baked in a machine."""
    return item.path == SLOWEST and "machine_bake" in getattr(item, "fixturenames", ())


def _place(item: pytest.Item) -> int:
    names = getattr(item, "fixturenames", ())
    if item.path == LONGEST:
        return 0
    if waits_for_bake(item):
        return 2
    return 3 if "rcc_debian" in names else 1


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all workers of this run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="package")
def first(shared: Path) -> Done:
    """Return the first ``make up`` in a new copy of the checkout."""
    kept = shared / "first.json"
    with locks.hold(shared / "first.lock", "making the first images"):
        if not kept.exists():
            kept.write_text(json.dumps(asdict(_first(shared))))
    done = Done(**json.loads(kept.read_text()))
    print(done.text)
    assert done.code == 0
    return done


def _copy(shared: Path) -> Checkout:
    return Checkout(shared / "user" / "image-bakery")


def _first(shared: Path) -> Done:
    """Make the copy and its images, and link the image that other tests boot to a place where no command finds it."""
    made = checkouts.copy(_copy(shared).folder)
    done = made.make("up")
    if done.code == 0:
        outputs = made.json("pulumi stack output --json --stack dev")
        os.link(outputs["images"]["rcc-debian"]["link"], shared / IMAGE)
    return done


@pytest.fixture(scope="package")
def checkout(shared: Path, first: Done) -> Iterator[Checkout]:
    """Return the copy, for the tests that work in it."""
    made = _copy(shared)
    yield made
    assert made.processes() == []


@pytest.fixture(scope="package")
def rcc_debian(request: pytest.FixtureRequest) -> Path:
    """Return the image rcc-debian, a qcow2 file; RCC_DEBIAN_IMAGE names an existing one, which saves the bake."""
    given = os.environ.get("RCC_DEBIAN_IMAGE")
    if given:
        return Path(given)
    request.getfixturevalue("first")
    shared: Path = request.getfixturevalue("shared")
    return shared / IMAGE


@pytest.fixture(scope="session")
def machine_bake(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MachineBake]:
    """Return the bake of rcc-debian in a machine. It begins here if a test will wait for it."""
    bake = MachineBake(tmp_path_factory.mktemp("machine-bake"))
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    if alone and any(map(waits_for_bake, request.session.items)):
        bake.begin()
    yield bake
    bake.end()


@pytest.fixture(scope="session")
def rcc_debian_slurm_gcp_6(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the image rcc-debian-slurm-gcp-6, baked and tested, or the one that RCC_DEBIAN_SLURM_GCP_6_IMAGE names.

    Its base is not in the checkout's lock file, so a copy of the checkout locks it.
    """
    given = os.environ.get("RCC_DEBIAN_SLURM_GCP_6_IMAGE")
    if given:
        return Path(given)
    folder = tmp_path_factory.mktemp("slurm-gcp-6")
    copy = checkouts.copy(folder / "checkout").folder
    settings = {"oven": "local", "state": str(folder / "state"), "select": "[rcc-debian-slurm-gcp-6]"}
    lines = [f"  image-bakery:{key}: {value}" for key, value in settings.items()]
    (copy / "Pulumi.v6.yaml").write_text("\n".join(["config:", *lines, ""]), encoding="utf-8")
    for words in (["lock"], ["bake", "rcc-debian-slurm-gcp-6"], ["test", "rcc-debian-slurm-gcp-6"]):
        command = ["bakery", "--config-file", "Pulumi.v6.yaml", *words, "--stack", "dev"]
        subprocess.run(command, cwd=copy, stdin=subprocess.DEVNULL, check=True)
    (image,) = (folder / "state/library/images").glob("*.qcow2")
    return image
