"""One copy of the checkout, whose first ``make up`` bakes the images of all tests that boot machines here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machines import make_checkout as checkouts
from tests.machines.make_checkout import Checkout, Done


@pytest.fixture(scope="package")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    made = checkouts.copy(tmp_path_factory.mktemp("user") / "image-bakery")
    yield made
    assert made.processes() == []


@pytest.fixture(scope="package")
def first(checkout: Checkout) -> Done:
    """The first ``make up``, from nothing."""
    done = checkout.make("up")
    print(done.text)
    assert done.code == 0
    return done


@pytest.fixture(scope="package")
def rcc_debian(request: pytest.FixtureRequest) -> Path:
    """The image rcc-debian, a qcow2 file; RCC_DEBIAN_IMAGE names one that is there, which saves the bake."""
    given = os.environ.get("RCC_DEBIAN_IMAGE")
    if given:
        return Path(given)
    request.getfixturevalue("first")
    made: Checkout = request.getfixturevalue("checkout")
    return Path(made.json("pulumi stack output --json --stack dev")["images"]["rcc-debian"]["link"])
