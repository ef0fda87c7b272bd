"""An image goes from the stack that baked it to one that has a library of its own, and outlives the first."""

from __future__ import annotations

from bakery.backends import backend
from bakery.operations.release import release
from tests.support import workshop as shop
from tests.support.workshop import Workshop


def test_a_stack_promotes_what_was_released_to_it_without_a_bake_and_keeps_it(pair: Workshop) -> None:
    prod = shop.init(Workshop(pair.folder, pair.env, stack="prod", state=".prod"))
    child = pair.families()["child"]
    change = release(backend(pair.settings), backend(prod.settings), "child")
    assert f"{child}: copied, with its tests, from the stack dev" in change.notes
    prod.extra["pins"] = {"child": child}  # what it wrote, as the workshop writes the whole file
    prod.must_up()
    assert (dict(prod.families()), prod.bake_logs()) == (dict(pair.families()), 0)
    assert len(prod.library.runs(child)) == len(pair.library.runs(child)) == 1, "it was not tested again"
    assert pair.run("destroy", "--yes", "--skip-preview").code == 0
    assert prod.families()["child"] == child
    assert prod.up("--expect-no-changes").code == 0
