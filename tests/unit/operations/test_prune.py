"""``bakery prune`` is the remedy for a full disk, so it works on one."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.backends import backend
from bakery.errors import MAKE_ROOM, InfrastructureFailed, Uncertain
from bakery.host.files import write_atomic
from bakery.library.base import ImageRecord, Proof
from bakery.library.local.library import LocalLibrary
from bakery.library.revocation import Enforced
from bakery.operations.prune import prune
from bakery.paths import StatePaths
from bakery.settings import Settings, parse
from tests.support.checkout import make
from tests.support.full_disk import fill, small_disk


def on(disk: Path, root: Path) -> tuple[Settings, ImageRecord]:
    """A library on the disk with one image, which was deprecated long ago."""
    settings = parse({"oven": "fake", "state": str(disk / "state")}, "dev", root)
    library = LocalLibrary(settings, clock=lambda: "2020-01-01T00:00:00Z")
    digest = hashlib.sha256(b"old").hexdigest()
    baked = disk / "baked"
    baked.write_bytes(bytes(100_000))
    image = library.publish(ImageRecord(f"old-{digest[:12]}", digest, "old", "", "old", ""), baked)
    assert library.deprecate(image.name)
    library.database.close()
    return settings, image


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return make(tmp_path).root


def test_prune_makes_room_on_a_disk_that_is_full_to_the_last_byte(root: Path) -> None:
    with small_disk(root) as disk:
        settings, image = on(disk, root)
        fill(disk)
        with pytest.raises(InfrastructureFailed, match=r"no space left for .*sqlite") as full:
            LocalLibrary(settings).images()
        assert not isinstance(full.value, Uncertain) and full.value.hint == MAKE_ROOM
        done = prune(backend(settings))
        assert ([step.image.name for step in done.moved], done.freed) == ([image.name], image.size)
        assert not Path(image.location).exists()


def test_the_reserve_comes_back_with_the_next_image_and_a_dry_run_keeps_it(root: Path) -> None:
    with small_disk(root) as disk:
        settings, _ = on(disk, root)
        reserve = disk / "state/library/reserve"
        assert reserve.stat().st_size == 1 << 20
        prune(backend(settings), dry_run=True)
        assert reserve.exists()
        prune(backend(settings))
        assert not reserve.exists(), "the disk is small, so it counts as full"
        on(disk, root)
        assert reserve.exists()


def test_a_pinned_image_is_kept_before_the_up_that_moves_the_family(root: Path) -> None:
    settings, image = on(root, root)
    (step,) = prune(backend(replace(settings, pins={"old": image.name}))).kept
    assert (step.image.name, step.why) == (image.name, "the settings pin old to it")
    (step,) = prune(backend(settings)).moved
    assert step.image.name == image.name


def test_on_the_fixed_date_all_that_was_baked_before_is_obsolete_even_if_it_is_promoted(root: Path) -> None:
    settings = parse({"oven": "fake", "retention": {"old": {"obsoleteOn": "2020-06-01"}}}, "dev", root)
    library = LocalLibrary(settings)
    for number, (family, created) in enumerate([("old", "2020-05-31"), ("old", "2020-06-02"), ("kept", "2020-05-31")]):
        baked = root / "baked"
        baked.write_bytes(b"x")
        name = f"{family}-{number}"
        library.publish(ImageRecord(name, str(number) * 64, family, "", family, f"{created}T00:00:00Z"), baked)
        library.record_test(name, Proof.PASSED, "t")
    library.promote("old-0", "old")
    library.promote("kept-2", "kept")
    would = prune(backend(settings), dry_run=True)
    assert library.families() == {"old": "old-0", "kept": "kept-2"}
    done = prune(backend(settings))
    assert would.enforced == done.enforced == Enforced({"old": ("old-0", "old-1")}, ("old-0",))
    assert [(step.image.name, step.why) for step in would.kept] == [(step.image.name, step.why) for step in done.kept]
    assert library.families() == {"old": "old-1", "kept": "kept-2"}
    states = {image.name: image.state for image in library.images()}
    assert states == {"old-0": "OBSOLETE", "old-1": "ACTIVE", "kept-2": "ACTIVE"}
    (revocation,) = library.revocations()
    assert (revocation.image, revocation.at) == ("old-0", "2020-06-01T00:00:00Z")
    assert revocation.reason == "it was baked before 2020-06-01, see retention.old.obsoleteOn"
    library.database.close()


def test_boot_snapshots_beyond_their_budget_count_with_the_layers(root: Path) -> None:
    settings = parse({"oven": "fake", "local": {"bootSnapshots": {"budgetGb": 0}}}, "dev", root)
    state = StatePaths(settings.state).snapshots / "a" / "machine.state"
    write_atomic(state, bytes(100_000), sync=True)
    (state.parent / "about.json").write_text("{}")
    assert prune(backend(settings), dry_run=True).layers > 99_999
    assert state.exists()
    assert prune(backend(settings)).layers > 99_999
    assert not state.exists()


def test_layers_beyond_their_budget_go_and_a_dry_run_only_counts_them(root: Path) -> None:
    settings = parse({"oven": "fake", "local": {"layers": {"budgetGb": 0}}}, "dev", root)
    layer = StatePaths(settings.state).layers / "a.raw"
    write_atomic(layer, bytes(100_000), sync=True)
    assert prune(backend(settings), dry_run=True).layers == layer.stat().st_blocks * 512 > 0
    assert layer.exists()
    assert prune(backend(settings)).layers > 0
    assert not layer.exists()
