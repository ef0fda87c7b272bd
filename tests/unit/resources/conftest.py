"""Providers called outside of the plugin."""

from __future__ import annotations

import sys

import pytest

from bakery.resources import provider


@pytest.fixture(autouse=True)
def whole_tracebacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that a provider reports without an engine cuts the tracebacks of the whole process; undo that."""
    monkeypatch.setattr(sys, "tracebacklimit", 1000, raising=False)


@pytest.fixture(autouse=True)
def new_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test is a plugin of its own, which has not listed yet what stacks want."""
    monkeypatch.setattr(provider.wants, "_wants", None)
