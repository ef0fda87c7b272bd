"""A bake that has finished is not lost, whatever happens while its image is published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bakery.backends import backend
from bakery.errors import InfrastructureFailed
from bakery.ovens.base import BakeOutcome
from bakery.ovens.local import scratch
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.settings import Settings
from tests.support.bake_orders import order
from tests.support.full_disk import fill, small_disk

MakeSettings = Callable[..., Settings]


def test_a_bake_whose_library_has_no_room_is_kept_and_published_when_there_is_some(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    stack = backend(make_settings(fake={"phases": ["baking"]}))
    state = StatePaths(stack.settings.state)
    state.library.parent.mkdir()
    with small_disk(tmp_path) as disk:
        state.library.symlink_to(disk)
        wanted, files = order("app"), []
        with pytest.raises(InfrastructureFailed, match="No space left") as full:
            stack.oven().bake(
                wanted, Activity(lambda phase: files.append(fill(disk)) if phase == "publishing" else None)
            )
        assert full.value.hint.endswith("the finished bake is kept, the next up publishes it")
        assert list(stack.library().images()) == []
        log = (state.logs / f"{wanted.name}.log").read_text()
        files[0].unlink()
        assert stack.recover() == [], "the kept bake is no leftover"
        phases: list[str] = []
        bake = stack.oven().bake(wanted, Activity(phases.append))
        assert (bake.outcome, phases) == (BakeOutcome.BAKED, ["publishing"])
        assert bake.log is not None and bake.log.read_text() == log
        assert [image.name for image in stack.library().images()] == [wanted.name]
        assert list(state.work.iterdir()) == []


def test_a_finished_bake_that_was_not_wanted_for_a_week_is_cleared(
    tmp_path: Path, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = backend(make_settings())
    state = StatePaths(stack.settings.state)
    with pytest.raises(InfrastructureFailed), scratch.folder(state, "app-1") as work:
        (work / scratch.FINISHED).touch()
        (work / "output").mkdir()
        raise InfrastructureFailed("no room")
    assert (work / scratch.FINISHED).exists() and not (work / "output").exists()
    (work / "owner.json").unlink()
    monkeypatch.setattr("bakery.host.locks.SIGN_SECONDS", -1.0)
    assert stack.recover() == []
    monkeypatch.setattr(scratch, "FINISHED_SECONDS", 0.0)
    assert stack.recover() == [f"cleared what a killed bake had left ({work.name})"]
