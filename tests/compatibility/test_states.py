"""Stacks that version 0.1.0 made go on with today's program: nothing is changed, baked, tested or promoted again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bakery.plan.digest import LATER
from tests.compatibility import made, planning, record, shapes
from tests.support.every import every
from tests.support.promotions import history as events
from tests.support.workshop import Done, Workshop, init

pytestmark = pytest.mark.engine

FLAKY = {"FluidRunTest flaky": "create", "PromotedImage flaky": "create"}
Open = Callable[..., Workshop]


@pytest.fixture
def opened(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Open:
    """Imports the recorded state of a stack into a checkout of its own, with the library that belongs to it."""

    def make(stack: str, recorded: bool = True) -> Workshop:
        engine = shutil.which("pulumi")
        assert engine, "there is no pulumi on PATH: run `make setup`"
        home = tmp_path_factory.getbasetemp() / "pulumi-home"
        shop = made.workshop(tmp_path / "checkout", home, str(Path(engine).parent), stack)
        init(shop)
        if recorded:
            made.restore(made.FIRST, shop.folder)
            file = tmp_path / "state.json"
            file.write_text(made.state(stack, shop.folder), encoding="utf-8")
            succeeded(shop.run("stack", "import", "--file", str(file)))
        return shop

    return make


def succeeded(done: Done) -> str:
    assert done.code == 0, done.text
    return done.text


def modified(shop: Workshop) -> dict[str, str]:
    """URN to when the resource last changed, without the stack itself, whose outputs are written each time."""
    return {one["urn"]: one["modified"] for one in shop.resources()}


def history(shop: Workshop) -> dict[str, Any]:
    """What the library remembers: every promotion, and every image with its state."""
    images = {image.name: (image.state, image.family, image.proof) for image in shop.library.images()}
    families = {image.candidate_for for image in shop.library.images()}
    promotions = {family: [*map(tuple, events(shop.library, family))] for family in families}
    return {"images": images, "promotions": promotions}


def everything(shop: Workshop) -> tuple[Any, ...]:
    """All that a bake, a Fluid-Run, a promotion or a changed resource would change."""
    return made.traces(shop.folder), history(shop), modified(shop)


def public(shop: Workshop) -> dict[str, Any]:
    """The shape of the stack as it is now."""
    return shapes.shape({"deployment": shop.deployment()}, str(shop.folder))


def recorded_shape(stack: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((planning.HERE / record.SHAPES).read_text(encoding="utf-8"))[stack]
    return found


def orders(folder: Path, made_at: str) -> dict[str, Any]:
    """File name to order, without the git commit of the checkout that wrote it, and without later fields."""
    texts = {file.name: file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.json"))}
    return {name: without_commit(json.loads(text.replace(made_at, "<checkout>"))) for name, text in texts.items()}


def without_commit(value: Any) -> Any:
    if isinstance(value, dict):
        later = ("isolation", "layers", "secrets", "upgrade", "origin", "architecture", "tier", "licence_servers")
        left_out = ("bakery-revision", "git_sha", *later, *LATER)
        return {key: without_commit(entry) for key, entry in value.items() if key not in left_out}
    return [without_commit(entry) for entry in value] if isinstance(value, list) else value


def destroyed(shop: Workshop) -> None:
    """Destroy the stack: families are given back, images are deprecated, and nothing is deleted or run."""
    before = made.traces(shop.folder)
    families = {one["id"] for one in shop.resources("PromotedImage")}
    names = {one["id"] for one in shop.resources("BakedImage")}
    assert families, "resources were imported"
    assert {shop.families()[family] for family in families} == names
    succeeded(shop.run("destroy", "--yes", "--skip-preview"))
    assert shop.resources() == []
    assert families.isdisjoint(shop.families()), "no family points anywhere, whatever older images there are"
    states = {image.name: str(image.state) for image in shop.library.images()}
    assert {states[name] for name in names} == {"DEPRECATED"}
    assert made.traces(shop.folder) == before


def test_parent_and_child_are_left_as_they_are(opened: Open) -> None:
    shop = opened("promoted")
    before = everything(shop)
    succeeded(shop.preview("--expect-no-changes"))
    succeeded(shop.up("--expect-no-changes"))
    assert everything(shop) == before
    assert public(shop) == recorded_shape("promoted")
    # Reads each resource with the provider that the state names.
    succeeded(shop.run("refresh", "--yes", "--skip-preview", "--expect-no-changes"))
    assert everything(shop)[:2] == before[:2]
    destroyed(shop)


def test_a_matrix_is_left_as_it_is(opened: Open) -> None:
    shop = opened("matrix")
    before = everything(shop)
    succeeded(shop.up("--expect-no-changes"))
    assert everything(shop) == before
    assert public(shop) == recorded_shape("matrix")
    destroyed(shop)


def test_a_failed_test_is_all_that_is_done_again(opened: Open) -> None:
    shop = opened("failed")
    before = made.traces(shop.folder)
    assert shop.steps() == FLAKY
    del shop.extra["fake"]  # now the test passes
    succeeded(shop.up())
    new = set(made.traces(shop.folder)) - set(before)
    assert len(new) == 1, "one Fluid-Run"
    assert new.pop().startswith("flaky-")
    assert every(made.traces(shop.folder)[name] == content for name, content in before.items()), "nothing was baked"
    assert set(shop.families()) >= {"flaky", "steady"}


def test_a_removed_family_is_adopted_when_it_is_selected_again(opened: Open) -> None:
    shop = opened("removed")
    before = made.traces(shop.folder)
    succeeded(shop.preview("--refresh", "--expect-no-changes"))
    assert "gone" not in shop.families()
    shop.extra["select"] = made.REMOVED_BEFORE
    succeeded(shop.up())
    assert shop.families()["gone"].startswith("gone-")
    assert made.traces(shop.folder) == before, "neither baked nor tested"


@pytest.mark.parametrize("stack", ["promoted", "matrix"])
def test_a_new_stack_has_the_recorded_shape(opened: Open, stack: str) -> None:
    """URNs, inputs, names of outputs, provider references and orders of a fresh stack are those of version 0.1.0."""
    shop = opened(stack, recorded=False)
    succeeded(shop.up())
    fresh, recorded = public(shop), recorded_shape(stack)
    for part in recorded:
        assert fresh[part] == recorded[part], part
    assert fresh == recorded
    written = orders(shop.folder / ".bakery/orders", str(shop.folder))
    before = orders(made.LIBRARIES / made.FIRST / "state/orders", made.MADE_AT)
    assert written, "an up writes orders"
    for name, order in written.items():
        assert order == before[name], name
