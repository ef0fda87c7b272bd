"""A checkout with a stack for every test; what several tests start from is made once and copied."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import workshop as shop
from tests.support.workshop import Workshop

Start = Callable[[str, Callable[[Workshop], object]], Workshop]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.engine)


@pytest.fixture(scope="session")
def engine_path() -> str:
    """Return the folder of the engine; the tests that need one fail without it, they are not skipped."""
    program = shutil.which("pulumi")
    assert program, "there is no pulumi on PATH: run `make setup`"
    return str(Path(program).parent)


@pytest.fixture
def start(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, engine_path: str) -> Iterator[Start]:
    """Return a function that starts a test from a named state, which the first test that needs it makes.

    All tests of a worker work in the same folder, since a stack's state holds absolute paths.
    """
    base = tmp_path_factory.getbasetemp()
    folder = base / "checkout"

    def make(name: str, prepare: Callable[[Workshop], object]) -> Workshop:
        kept = base / f"checkout-{prepare.__module__}-{name}"  # files may give their states the same names
        if kept.exists():
            shutil.copytree(kept, folder, symlinks=True)
            return Workshop(folder, shop.environment(folder, base / "pulumi-home", engine_path))
        made = shop.init(shop.make(folder, base / "pulumi-home", engine_path))
        prepare(made)
        shutil.copytree(folder, kept, symlinks=True)
        return made

    yield make
    if folder.exists():
        folder.rename(tmp_path / "checkout")  # where pytest keeps it for a look


@pytest.fixture
def workshop(start: Start) -> Workshop:
    """Return an empty stack; tests add recipes."""
    return start("empty", lambda _made: None)


@pytest.fixture
def pair(start: Start) -> Workshop:
    """A parent with a child, both promoted."""

    def prepare(workshop: Workshop) -> None:
        workshop.recipe("base")
        workshop.recipe("child", parent="base")
        workshop.must_up()

    return start("pair", prepare)


def edit(workshop: Workshop, name: str, text: str = "edited") -> None:
    """Give a recipe another script."""
    workshop.write(f"packages/{name}/install.sh", f"#!/bin/bash\necho {text}\n")
