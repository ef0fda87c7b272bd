"""What every oven promises, run over the oven of each back end; the local one needs a machine that can boot guests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.backends import backend
from bakery.codec import encode
from bakery.errors import BakeFailed, BakeryError, BakeStopped, InfrastructureFailed, InputError, Interrupted
from bakery.library.base import ImageRecord, Library
from bakery.orders.model import BakeOrder
from bakery.ovens.base import BakeOutcome, DebugTerms, Oven
from bakery.ovens.cloud_build.oven import CloudBuildOven
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.settings import Settings, parse
from tests.fake_google import baking, builds, templates
from tests.fake_google.builds import Course
from tests.fake_google.server import FakeServer, serve
from tests.support.bake_orders import order, source

SLOW = "sleep 60\n"
BUILDS = "cloudbuild/v1/projects/p/builds"


class Kitchen:
    """An oven on this machine in a stack of its own, with orders it can bake."""

    started = ("booting", "baking")  # how the phases begin that show that the bake itself runs
    joins = "joined the bake of"
    after_a_kill = BakeOutcome.BAKED

    def __init__(self, kind: str, folder: Path, isolation: str = "auto") -> None:
        self.kind = kind
        self.folder = folder
        self.values: dict[str, object] = {
            "oven": kind,
            "fake": {
                "seconds": 0.4,
                "bakes": {"slow": {"seconds": 60}, "bad": {"fail": "bake"}},
            },
            "local": {"cores": 1, "memoryMb": 768, "diskGb": 4, "isolation": isolation},
        }

    @property
    def settings(self) -> Settings:
        return parse(self.values, "test", self.folder)

    @property
    def library(self) -> Library:
        return backend(self.settings).library()

    def order(self, package: str) -> BakeOrder:
        script = {"slow": SLOW, "bad": "echo about to fail\nexit 3\n"}.get(package, f"echo {package} >/opt/made\n")
        files = (
            source(self.folder, f"packages/{package}/install.sh", script, 0o755),
            source(self.folder, f"packages/{package}/share/text", "some text"),
        )
        return order(package, files)

    def oven(self) -> Oven:
        return backend(self.settings).oven()

    def bake(self, wanted: BakeOrder, activity: Activity | None = None) -> BakeOutcome:
        return self.oven().bake(wanted, activity or Activity()).outcome

    def has_log(self, log: Path | str | None) -> bool:
        return Path(str(log)).is_file()

    def check_record(self, found: ImageRecord, wanted: BakeOrder) -> None:
        """The facts that only a library on this machine knows of a candidate."""
        assert (found.digest, found.labels) == (wanted.digest, wanted.labels)
        assert found.bake_seconds > 0 and found.size == Path(found.location).stat().st_size

    def check_phases(self, phases: list[str]) -> None:
        assert any(phase.startswith("baking: provisioner 2 of 2") for phase in phases)

    def check_one_bake(self, phases: list[str]) -> None:
        assert phases.count("booting") == 1

    def check_replay(self, command: str) -> None:
        if self.kind == "local":  # the fake's is a command of the checkout, which tests/unit/cli runs
            if command.startswith("bakery bake "):  # a container does not outlive its bake
                return
            again = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=600)
            assert again.returncode != 0 and "about to fail" in again.stdout, again.stdout + again.stderr

    def hurry(self) -> None:
        """End what another bake waits for."""

    def debugging(self, stop: str) -> Oven:
        """An oven that stops before a step, and leaves its machine up."""
        return backend(self.settings).debug_oven(DebugTerms(600, stop))

    def leftovers(self) -> list[str]:
        """Scratch folders and machines that are there now."""
        work = StatePaths(self.settings.state).work
        machines = subprocess.run(["pgrep", "-f", str(work)], capture_output=True, text=True, check=False).stdout
        return [*(path.name for path in work.glob("bake-*")), *machines.split()]


class CloudKitchen(Kitchen):
    """Cloud Build on the fake Google Cloud. Slow builds run until :meth:`hurry`."""

    started = ("build working",)
    joins = "joined a running build"
    after_a_kill = BakeOutcome.JOINED  # the build goes on without the process that submitted it

    def __init__(self, folder: Path, server: FakeServer) -> None:
        super().__init__("cloud-build", folder)
        self.cloud = server.cloud
        self.values["google"] = {"project": "p", "region": "us-central1", "endpoint": server.url}
        self.cloud.add_stack_storage()
        builds.script(self.cloud, self._course)
        self.seconds = {"slow": 3600.0, "twice": 3600.0}

    def _course(self, build: dict[str, Any]) -> Course:
        package = build["substitutions"]["_IMAGE_NAME"].rpartition("-")[0]
        if f"debug-{build['substitutions']['_IMAGE_NAME']}" in build["tags"]:
            baking.left_up(self.cloud, build)
            return Course(status="FAILURE", log=("    googlecompute (shell-local): bakery-stop 2",), detail="ended")
        if package == "bad":
            return Course(status="FAILURE", log=("about to fail",), detail="step 1 exited with 3")
        if package == "licensed":  # its machine runs the first provisioner
            first = next(templates.read(self.cloud, build))["provisioners"][0]["inline"]
            done = subprocess.run(["sh", "-ec", "\n".join(first)], capture_output=True, text=True, check=False)
            log = tuple(f"Step #1:     googlecompute: {line}" for line in done.stderr.splitlines())
            return Course(status="FAILURE", log=log, detail="step 1 exited with 1") if done.returncode else Course()
        return Course(seconds=self.seconds.get(package, 0.4))

    def order(self, package: str) -> BakeOrder:
        made = super().order(package)
        steps = [{"name": "hashicorp/packer", "args": ["build", made.template_path], "id": "Build Image"}]
        labels = {"bakery-digest": made.digest[:32], "bakery-family": made.family, "bakery-recipe": package}
        return replace(made, build={"steps": steps}, labels=labels)

    def oven(self) -> Oven:
        shared = super().oven()
        assert isinstance(shared, CloudBuildOven)
        shared.watch.poll_seconds = 0.05
        return shared

    def has_log(self, log: Path | str | None) -> bool:
        return str(log).startswith("https://console.cloud.google.com/cloud-build/")

    def check_record(self, found: ImageRecord, wanted: BakeOrder) -> None:
        assert found.digest == wanted.digest[:32]
        assert wanted.labels.items() <= found.labels.items()

    def check_phases(self, phases: list[str]) -> None:
        assert phases[:2] == ["looking for the image", "uploading the source"]

    def check_one_bake(self, phases: list[str]) -> None:
        assert [build["status"] for build in self.cloud.below(BUILDS)].count("SUCCESS") == 1

    def check_replay(self, command: str) -> None:
        assert command == "bakery bake bad --stack test"

    def hurry(self) -> None:
        self.cloud.hurry()

    def debugging(self, stop: str) -> Oven:
        made = super().debugging(stop)
        assert isinstance(made, CloudBuildOven)
        made.watch.poll_seconds = 0.05
        return made

    def leftovers(self) -> list[str]:
        running = [build["id"] for build in self.cloud.below(BUILDS) if build["status"] not in builds.DONE]
        return [*running, *(key for key in self.cloud.items if "/instances/" in key or "/disks/" in key)]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serve() as running:
        yield running
        assert running.cloud.violations == []


@pytest.fixture(params=["fake", pytest.param("local", marks=pytest.mark.machines), "google"])
def kitchen(request: pytest.FixtureRequest, tmp_path: Path) -> Kitchen:
    folder = tmp_path / "it's a, b %20 #1 é"  # as people name their folders, and worse
    if request.param == "google":
        return CloudKitchen(folder, request.getfixturevalue("server"))
    return Kitchen(request.param, folder)


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_a_bake_publishes_a_candidate_and_a_second_one_adopts_it(kitchen: Kitchen):
    wanted = kitchen.order("good")
    phases: list[str] = []
    done = kitchen.oven().bake(wanted, Activity(phases.append))
    assert done.outcome is BakeOutcome.BAKED and done.name == wanted.name and done.seconds > 0
    found = kitchen.library.find(wanted.name)
    assert found is not None
    assert (found.candidate_for, found.family, found.parent) == ("good", "", "")
    assert kitchen.library.manifest(wanted.name) == wanted.inputs
    kitchen.check_record(found, wanted)
    kitchen.check_phases(phases)
    assert kitchen.has_log(done.log)
    assert kitchen.bake(wanted) is BakeOutcome.ADOPTED
    assert kitchen.leftovers() == []


def test_an_image_of_the_same_digest_is_not_baked_for_another_family(kitchen: Kitchen):
    first = kitchen.order("good")
    assert kitchen.bake(first) is BakeOutcome.BAKED
    name = f"other-{first.digest[:12]}"
    labels = {**first.labels, "bakery-family": "other"}
    second = replace(first, name=name, family="other", package="other", labels=labels)
    phases: list[str] = []
    shares = bool(kitchen.library.sharing(first.digest))
    assert shares is not isinstance(kitchen, CloudKitchen)
    outcome = kitchen.bake(second, Activity(phases.append))
    assert outcome is (BakeOutcome.ADOPTED if shares else BakeOutcome.BAKED)
    assert bool([phase for phase in phases if phase.startswith(("baking", "build"))]) is not shares
    found = kitchen.library.find(name)
    assert found is not None
    assert (found.candidate_for, found.family, found.proof) == ("other", "", "untested")
    assert kitchen.library.manifest(name) == first.inputs
    assert [image.name for image in kitchen.library.sharing(first.digest)] == [first.name, name] * shares
    kitchen.library.promote(first.name, "good")
    kitchen.library.promote(name, "other")
    assert kitchen.library.families() == {"good": first.name, "other": name}
    assert kitchen.bake(second) is BakeOutcome.ADOPTED
    assert kitchen.leftovers() == []


def test_two_at_once_bake_once(kitchen: Kitchen):
    wanted = kitchen.order("twice")
    phases: list[str] = []
    joined = threading.Event()

    def say(phase: str) -> None:
        """The one that bakes goes on when the other one has joined, also where that one is slow to begin."""
        phases.append(phase)
        if phase.startswith(kitchen.joins):
            joined.set()
            kitchen.hurry()
        elif phase.startswith(kitchen.started[0]):
            assert joined.wait(120)

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda _: kitchen.bake(wanted, Activity(say)), range(2)))
    assert sorted(outcomes) == [BakeOutcome.BAKED, BakeOutcome.JOINED]
    assert joined.is_set()
    kitchen.check_one_bake(phases)


def test_a_recipe_that_fails_leaves_its_log_and_nothing_else(kitchen: Kitchen):
    wanted = kitchen.order("bad")
    with pytest.raises(BakeFailed) as caught:
        kitchen.bake(wanted)
    error = caught.value
    assert error.tail and error.replay and kitchen.has_log(error.log)
    kitchen.check_replay(error.replay)
    assert kitchen.library.find(wanted.name) is None
    with pytest.raises(BakeFailed):
        kitchen.bake(wanted)


def test_licence_servers_have_to_answer_before_a_bake(kitchen: Kitchen) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        up = f"{server.getsockname()[1]}@127.0.0.1"
        servers = {up: "packages/licensed/recipe.yaml:4", "27000@none.such.invalid": "packages/licensed/recipe.yaml:5"}
        wanted = replace(kitchen.order("licensed"), licence_servers=servers)
        with pytest.raises(InfrastructureFailed) as failed:
            kitchen.bake(wanted)
        start = "packages/licensed/recipe.yaml:5: error: the licence server 27000@none.such.invalid does not answer"
        assert failed.value.message.startswith(start)
        assert "\n" not in failed.value.message
        assert kitchen.library.find(wanted.name) is None and kitchen.leftovers() == []
        kitchen.bake(replace(wanted, licence_servers={up: servers[up]}))
    assert kitchen.library.find(wanted.name) is not None


def test_a_bake_stops_for_its_user_and_its_machine_is_found_and_ended(
    kitchen: Kitchen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gcloud").touch(0o755)  # which a user logs in with
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    wanted = kitchen.order("good")
    assert kitchen.bake(wanted) is BakeOutcome.BAKED
    if kitchen.kind == "fake":
        with pytest.raises(BakeryError, match="this oven leaves no machine of a failed bake up"):
            kitchen.debugging("install.sh")
        return
    with pytest.raises(BakeStopped, match=r"stopped before provisioner 2 of 2 \(shell install.sh\)"):
        kitchen.debugging("install.sh").bake(wanted, Activity())
    here = backend(kitchen.settings)
    machine = here.failed_machine("good")
    assert machine is not None
    assert (machine.image, here.failed_machine("goo")) == (wanted.name, None)
    assert len(here.recover(dry_run=True)) == 1, "recover lists it"
    assert kitchen.leftovers() != []
    machine.end()
    assert (here.failed_machine("good"), kitchen.leftovers()) == (None, [])
    assert kitchen.library.find(wanted.name) is not None, "the image that exists is untouched"


def test_a_cancelled_bake_ends_in_seconds_and_leaves_nothing(kitchen: Kitchen):
    wanted = kitchen.order("slow")
    phases: list[str] = []
    activity = Activity(phases.append)

    def cancel() -> None:
        wait_for(lambda: any(phase.startswith(kitchen.started) for phase in phases))
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
from bakery.codec import decode
from bakery.orders.model import BakeOrder
from bakery.settings import parse
values, folder, order = json.loads(sys.stdin.read())
activity = Activity(lambda phase: print(phase, flush=True))
backend(parse(values, "test", Path(folder))).oven().bake(decode(BakeOrder, order), activity)
"""


def test_a_killed_process_leaves_no_lock_and_the_next_one_bakes(kitchen: Kitchen):
    import json

    wanted = kitchen.order("slow")
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    assert child.stdin and child.stdout
    with child.stdin, child.stdout:
        child.stdin.write(json.dumps([kitchen.values, str(kitchen.folder), encode(wanted)]))
        child.stdin.close()
        for line in child.stdout:
            if line.startswith(kitchen.started[0]):
                break
        child.send_signal(signal.SIGKILL)
        child.wait()
    quick = replace(wanted, package="good", files=kitchen.order("good").files)
    if kitchen.kind == "local":
        good = kitchen.order("good")
        quick = replace(quick, template_path=good.template_path, variables=good.variables)
    activity = Activity(lambda phase: kitchen.hurry() if phase.startswith(kitchen.joins) else None)
    assert kitchen.bake(quick, activity) is kitchen.after_a_kill
    wait_for(lambda: kitchen.leftovers() == [], 20)


@pytest.mark.slow
@pytest.mark.machines
@pytest.mark.parametrize(
    "promise",
    [
        test_a_recipe_that_fails_leaves_its_log_and_nothing_else,
        test_a_cancelled_bake_ends_in_seconds_and_leaves_nothing,
        test_a_killed_process_leaves_no_lock_and_the_next_one_bakes,
    ],
)
def test_a_machine_that_is_not_replaced_by_a_container_keeps_the_promises(
    promise: Callable[[Kitchen], None], tmp_path: Path
) -> None:
    kitchen = Kitchen("local", tmp_path / "it's a, b %20 #1 é", "machine")
    promise(kitchen)
    logs = [log.read_text(encoding="utf-8") for log in StatePaths(kitchen.settings.state).logs.glob("*.log")]
    assert logs
    assert [log for log in logs if "bakery: baking in a machine: as set in local.isolation\n" not in log] == []


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
