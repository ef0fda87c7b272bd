"""A checkout with an empty stack for every test; the stack is made once and copied."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support import workshop as shop
from tests.support.workshop import Workshop


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.engine)


@pytest.fixture(scope="session")
def engine_path() -> str:
    """The folder of the engine; the tests that need one fail without it, they are not skipped."""
    found = shutil.which("pulumi")
    assert found, "there is no pulumi on PATH: run `make setup`"
    return str(Path(found).parent)


@pytest.fixture
def workshop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, engine_path: str) -> Workshop:
    """An empty stack; tests add recipes."""
    home = tmp_path_factory.getbasetemp() / "pulumi-home"
    return shop.init(shop.make(tmp_path / "checkout", home, engine_path))
