"""Whatever is struck, whenever: nothing is lost, nothing is left over, and the next ``make up`` goes on.

Each CI run strikes 15 points, ``make chaos`` 200; see :mod:`tests.support.chaos.points`.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engine.conftest import Start
from tests.support.chaos.points import Point, chosen, combinations, points, seed
from tests.support.chaos.scene import (
    END_SECONDS,
    FAMILIES,
    Missed,
    Scene,
    command_line,
    own_disk,
    prepare,
    prepare_made,
)
from tests.support.chaos.strike import shifted_clock, strike

TRIES = 5
OWN_FRAME = re.compile(r'File ".*/bakery/')  # Python's own, of one that is interrupted while it starts, can't be helped
NewScene = Callable[[bool], Scene]


@pytest.fixture
def new_scene(start: Start, tmp_path: Path) -> Iterator[NewScene]:
    """Return a function that makes a checkout to strike, in place of the one before."""

    def make(fresh: bool) -> Scene:
        old = tmp_path.parent / "checkout"
        if old.exists():
            shutil.rmtree(old)
        return Scene(start("chaos-fresh", prepare) if fresh else start("chaos-made", prepare_made))

    yield make


@pytest.mark.parametrize("point", chosen(), ids=str)
def test_whatever_is_struck_the_next_make_up_goes_on(
    point: Point, new_scene: NewScene, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    replay = f"replay: make chaos SEED={seed()} POINT={point.number}   ({point})"
    request.node.add_report_section("call", "chaos", replay)
    for _ in range(TRIES):
        scene = new_scene(point.fresh)
        with ExitStack() as until_the_end:
            try:
                hit(scene, point, until_the_end, tmp_path)
                converges(scene, point)
                return
            except Missed:
                scene.wait(lambda: not scene.processes(), END_SECONDS)  # noqa: B023  it is called at once
    pytest.skip(f"{point.target} was not alive in {point.phase} in {TRIES} tries; {replay}")


def hit(scene: Scene, point: Point, until_the_end: ExitStack, tmp_path: Path) -> None:
    """Run what the point strikes, and strike."""
    disks = {"disk of the library": scene.state, "disk of the engine": scene.backend.parent}
    if point.target in disks and not until_the_end.enter_context(own_disk(disks[point.target])):
        pytest.skip("this user may not mount a disk")
    if point.target == "clock":
        if shutil.which("cc") is None:
            pytest.skip("there is no C compiler, which builds the clock that jumps")
        scene.preload = shifted_clock(tmp_path)
    if not point.fresh and point.phase != "destroy":
        scene.shop.write("packages/base/install.sh", "#!/bin/bash\necho changed\n")
    make = scene.begin("destroy" if point.phase == "destroy" else "up")
    try:
        strike(scene, point, make.pid)
    finally:
        scene.wait(lambda: make.poll() is not None and not scene.processes(), END_SECONDS)
    scene.preload = {}
    assert not OWN_FRAME.search(scene.output()), scene.output()
    for disk in disks.values():
        (disk / "fill").unlink(missing_ok=True)


def converges(scene: Scene, point: Point) -> None:
    """Do what the documents tell the user to do, and look at everything."""
    baked, tested, before = scene.baked(), scene.proven(), scene.runs()
    if point.phase == "destroy":
        scene.must("destroy")
        assert [one for one in scene.checkpoint().get("resources") or () if ":dynamic/" in one["type"]] == []
        assert scene.pointed() == {}
        assert scene.rows("SELECT * FROM wants") == []
    goes_on(scene, point)
    assert scene.seen == set()
    images = scene.images()
    assert {image["action"] for image in images} == {"keep"}
    assert scene.pointed() == {image["family"]: image["name"] for image in images}
    again = {name for name, at in baked.items() if scene.baked().get(name) != at}
    assert again == set(), f"baked again though it was finished: {again}"
    if point.target != "database":
        assert [name for name in tested if scene.runs().count(name) > before.count(name)] == []
    nothing_is_left(scene, point)


def goes_on(scene: Scene, point: Point) -> None:
    """Run ``make up``; a damaged database is first moved away, as the message says."""
    code, text = scene.make("up")
    if code != 0 and point.blow == "torn":
        assert "is damaged" in text, text
        assert f"{scene.database.parent}/damaged/" in text.replace("\n", ""), text
        (scene.database.parent / "damaged").mkdir()
        for file in scene.database.parent.glob(f"{scene.database.name}*"):
            file.rename(scene.database.parent / "damaged" / file.name)
        code, text = scene.make("up")
    assert code == 0, text
    assert "Traceback" not in text, text


def nothing_is_left(scene: Scene, point: Point) -> None:
    """Neither processes nor scratch, locks, pending operations, mounts."""
    deadline = time.monotonic() + 10  # the engine's children end after it
    while scene.processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [command_line(pid) for pid in scene.processes()] == []
    state = scene.checkpoint()
    assert not state.get("pending_operations")
    kinds = [one["type"].rpartition(":")[2] for one in state["resources"] if ":dynamic/" in one["type"]]
    assert sorted(kinds) == sorted(["BakedImage", "FluidRunTest", "PromotedImage"] * len(FAMILIES))
    assert [path for path in scene.work("*") if not path.name.startswith("fake-")] == []
    assert list(scene.state.rglob(".writing-*")) == []
    assert [path for path in (scene.backend / "locks").rglob("*") if path.is_file()] == []
    if point.target != "database":  # a want is lost with it, and registered again with the family's next image
        assert {str(family) for (family,) in scene.rows("SELECT family FROM wants")} == set(FAMILIES)
    assert [path.name for path in (scene.shop.folder / "tmp").iterdir()] == []


def test_a_campaign_strikes_every_kind_and_can_be_repeated() -> None:
    drawn = points(7, 200)
    assert drawn == points(7, 200) != points(8, 200)
    assert {(point.target, point.blow, point.phase) for point in drawn} == set(combinations())
    assert [point.number for point in drawn] == [*range(200)]
