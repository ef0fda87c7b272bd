"""What every oven promises, held by each: the fake one always, the local one where machines can be booted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.backends import backend
from bakery.errors import BakeFailed, InputError, Interrupted
from bakery.library.local.library import LocalLibrary
from bakery.orders.build import to_json
from bakery.orders.model import BakeOrder
from bakery.ovens.base import BakeOutcome
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.settings import Settings, parse
from tests.support.bake_orders import order, source

KINDS = [pytest.param("fake"), pytest.param("local", marks=pytest.mark.machines)]
SLOW = "sleep 60\n"


class Kitchen:
    """One oven in a stack of its own, with orders it can bake."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.folder = folder
        self.values: dict[str, object] = {
            "oven": kind,
            "fake": {
                "seconds": 0.4,
                "bakes": {"slow": {"seconds": 60}, "bad": {"fail": "bake"}},
            },
            "local": {"cores": 1, "memoryMb": 768, "diskGb": 4},
        }

    @property
    def settings(self) -> Settings:
        return parse(self.values, "test", self.folder)

    @property
    def library(self) -> LocalLibrary:
        return LocalLibrary(self.settings)

    def order(self, package: str) -> BakeOrder:
        script = {"slow": SLOW, "bad": "echo about to fail\nexit 3\n"}.get(package, f"echo {package} >/opt/made\n")
        files = (
            source(self.folder, f"packages/{package}/install.sh", script, 0o755),
            source(self.folder, f"packages/{package}/share/text", "some text"),
        )
        return order(package, files)

    def bake(self, wanted: BakeOrder, activity: Activity | None = None) -> BakeOutcome:
        return backend(self.settings).oven().bake(wanted, activity or Activity()).outcome

    def leftovers(self) -> list[str]:
        """Scratch folders and machines that are there now."""
        work = StatePaths(self.settings.state).work
        machines = subprocess.run(["pgrep", "-f", str(work)], capture_output=True, text=True, check=False).stdout
        return [*(path.name for path in work.glob("bake-*")), *machines.split()]


@pytest.fixture(params=KINDS)
def kitchen(request: pytest.FixtureRequest, tmp_path: Path) -> Kitchen:
    return Kitchen(request.param, tmp_path / "it's a, b %20 #1 é")  # as people name their folders, and worse


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_a_bake_publishes_a_candidate_and_a_second_one_adopts_it(kitchen: Kitchen):
    wanted = kitchen.order("good")
    phases: list[str] = []
    done = backend(kitchen.settings).oven().bake(wanted, Activity(phases.append))
    assert done.outcome is BakeOutcome.BAKED and done.name == wanted.name and done.seconds > 0
    found = kitchen.library.find(wanted.name)
    assert found is not None
    assert (found.digest, found.candidate_for, found.family) == (wanted.digest, "good", "")
    assert (found.labels, found.inputs, found.parent) == (wanted.labels, wanted.inputs, "")
    assert found.bake_seconds > 0 and found.size == kitchen.library.image_file(wanted.name).stat().st_size
    assert any(phase.startswith("baking: provisioner 2 of 2") for phase in phases)
    assert Path(str(done.log)).is_file()
    assert kitchen.bake(wanted) is BakeOutcome.ADOPTED
    assert kitchen.leftovers() == []


def test_two_at_once_bake_once(kitchen: Kitchen):
    wanted = kitchen.order("good")
    phases: list[str] = []
    joined = threading.Event()

    def say(phase: str) -> None:
        """The one that bakes goes on when the other one has joined, also where that one is slow to begin."""
        phases.append(phase)
        if phase.startswith("joined the bake of"):
            joined.set()
        elif phase.startswith("booting"):
            assert joined.wait(120)

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda _: kitchen.bake(wanted, Activity(say)), range(2)))
    assert sorted(outcomes) == [BakeOutcome.BAKED, BakeOutcome.JOINED]
    assert joined.is_set() and phases.count("booting") == 1


def test_a_recipe_that_fails_leaves_its_log_and_nothing_else(kitchen: Kitchen):
    wanted = kitchen.order("bad")
    with pytest.raises(BakeFailed) as caught:
        kitchen.bake(wanted)
    error = caught.value
    assert error.tail and error.replay and Path(str(error.log)).is_file()
    if kitchen.kind == "local":  # the fake's is a command of the checkout, which tests/commands runs
        again = subprocess.run(["bash", "-c", error.replay], capture_output=True, text=True, check=False, timeout=600)
        assert again.returncode != 0 and "about to fail" in again.stdout, again.stdout + again.stderr
    assert kitchen.library.find(wanted.name) is None
    with pytest.raises(BakeFailed):
        kitchen.bake(wanted)


def test_a_cancelled_bake_ends_in_seconds_and_leaves_nothing(kitchen: Kitchen):
    wanted = kitchen.order("slow")
    phases: list[str] = []
    activity = Activity(phases.append)

    def cancel() -> None:
        wait_for(lambda: any(phase.startswith(("baking", "booting")) for phase in phases))
        time.sleep(0.5)
        activity.cancelled.set()

    stopper = threading.Thread(target=cancel)
    stopper.start()
    with pytest.raises(Interrupted):
        kitchen.bake(wanted, activity)
    ended = time.monotonic()
    stopper.join()
    assert time.monotonic() - ended < 8
    assert kitchen.leftovers() == []
    assert kitchen.library.find(wanted.name) is None


def test_a_file_that_changed_after_the_plan_is_not_baked(kitchen: Kitchen):
    wanted = kitchen.order("good")
    wanted.files[0].source.write_text("echo changed\n")
    with pytest.raises(InputError, match=r"packages/good/install\.sh:1: error: was changed during the up"):
        kitchen.bake(wanted)
    assert kitchen.leftovers() == []


CHILD = """
import json, sys
from pathlib import Path
from bakery.backends import backend
from bakery.progress.activity import Activity
from bakery.orders.build import bake_from_json
from bakery.settings import parse
values, folder, order = json.loads(sys.stdin.read())
activity = Activity(lambda phase: print(phase, flush=True))
backend(parse(values, "test", Path(folder))).oven().bake(bake_from_json(order), activity)
"""


def test_a_killed_process_leaves_no_lock_and_the_next_one_bakes(kitchen: Kitchen):
    import json

    wanted = kitchen.order("slow")
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert child.stdin and child.stdout
    with child.stdin, child.stdout:
        child.stdin.write(json.dumps([kitchen.values, str(kitchen.folder), to_json(wanted)]))
        child.stdin.close()
        for line in child.stdout:
            if line.startswith("booting"):
                break
        child.send_signal(signal.SIGKILL)
        child.wait()
    quick = replace(wanted, package="good", files=kitchen.order("good").files)
    if kitchen.kind == "local":
        good = kitchen.order("good")
        quick = replace(quick, template_path=good.template_path, variables=good.variables)
    assert kitchen.bake(quick) is BakeOutcome.BAKED
    wait_for(lambda: kitchen.leftovers() == [], 20)


def test_forty_bakes_at_once_with_the_fake_oven(tmp_path: Path):
    kitchen = Kitchen("fake", tmp_path)
    orders = [kitchen.order(f"app{number}") for number in range(40)]
    all_there = threading.Barrier(40, timeout=120)

    def say(phase: str) -> None:
        if phase == "booting":
            all_there.wait()  # breaks unless all forty are at it at the same time

    with ThreadPoolExecutor(40) as pool:
        outcomes = list(pool.map(lambda order: kitchen.bake(order, Activity(say)), orders))
    assert outcomes == [BakeOutcome.BAKED] * 40
    assert len(kitchen.library.images()) == 40
