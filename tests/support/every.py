"""A check of all elements that fails for no elements."""

from __future__ import annotations

from collections.abc import Iterable


def every(results: Iterable[object]) -> bool:
    """Return whether all results are true. Raises AssertionError for no results, for which ``all`` is true."""
    listed = list(results)
    assert listed, "there is nothing to check"
    return all(listed)
