"""``bakery debug`` on Google Cloud: a build whose machine stays up, with an owner and a deadline, and how it goes."""

from __future__ import annotations

import io
import json
import shlex
import socket
import stat
import sys
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.backends import backend
from bakery.errors import BakeFailed, BakeryError, BakeStopped, InputError, Interrupted
from bakery.orders.model import BakeOrder
from bakery.ovens.base import BakeOutcome, DebugTerms
from bakery.ovens.cloud_build import debug_machine, machines
from bakery.ovens.cloud_build.debug_oven import DebugOven
from bakery.ovens.debug_machine import DebugMachine
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from tests.fake_google import baking, builds
from tests.fake_google.builds import Course
from tests.fake_google.cloud import Cloud
from tests.fake_google.server import FakeServer
from tests.support.workshop import wait_for
from tests.unit.ovens.cloud_build.test_machines import left
from tests.unit.ovens.cloud_build.test_oven import calls, order, oven, server, settings

__all__ = ["server"]
BUILDS = "cloudbuild/v1/projects/p/builds"
FAILED = ("==> googlecompute: Script exited with non-zero exit status: 3",)
STOPPED = ("    googlecompute (shell-local): bakery-stop 2", "==> googlecompute: Script exited with 1")
TUNNEL = """#!{python}
import socket, sys
port = next(int(word.rpartition(":")[2]) for word in sys.argv if word.startswith("--local-host-port="))
with socket.create_server(("127.0.0.1", port)) as listening:
    print(*sys.argv[1:], flush=True)
    listening.accept()[0].sendall(b"SSH-2.0-")
"""
KIND = "n2-standard-4"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the stack is the current one; there is a gcloud."""
    program = tmp_path / "bin" / "gcloud"
    program.parent.mkdir()
    program.write_text(TUNNEL.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def two_steps(tmp_path: Path) -> BakeOrder:
    """A recipe of two provisioners, whose builder has a label and a key of its own."""
    made = order(tmp_path)
    (builder,) = made.template["builders"]
    own = {"machine_type": KIND, "labels": {"team": "hpc"}, "ssh_username": "baker"}
    first = {"type": "shell", "inline": ["true"]}
    template = {**made.template, "builders": [{**builder, **own}]}
    return replace(made, template={**template, "provisioners": [first, *made.template["provisioners"]]})


def debugging(server: FakeServer, stop: str = "") -> DebugOven:
    return DebugOven(settings(server), DebugTerms(3600, stop), poll_seconds=0.05)


def failing(cloud: Cloud, log: tuple[str, ...] = FAILED, **words: Any) -> None:
    """Builds in which a provisioner fails, on a machine that is there."""

    def choose(build: dict[str, Any]) -> Course:
        baking.left_up(cloud, build)
        return Course(status="FAILURE", log=log, detail="step exited with 1", **words)

    builds.script(cloud, choose)


def found(server: FakeServer) -> DebugMachine | None:
    made = backend(settings(server)).failed_machine("hpcc")
    assert made is None or isinstance(made, DebugMachine)
    return made


def bake_until_it_fails(server: FakeServer, tmp_path: Path) -> DebugMachine:
    failing(server.cloud)
    with pytest.raises(BakeFailed) as wrong:
        debugging(server).bake(two_steps(tmp_path), Activity())
    assert not isinstance(wrong.value, BakeStopped)
    made = found(server)
    assert made is not None
    return made


def template(server: FakeServer) -> Any:
    """The template of the newest build."""
    source = server.cloud.below(BUILDS)[-1]["source"]["storageSource"]
    content = server.cloud.media[f"storage/storage/v1/b/{source['bucket']}/o/{source['object']}"]
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        file = tar.extractfile("packages/hpcc/packer.json")
        assert file is not None
        return json.load(file)


def test_the_machine_of_a_failed_bake_is_up_with_an_owner_and_a_deadline(server: FakeServer, tmp_path: Path) -> None:
    machine = bake_until_it_fails(server, tmp_path)
    (build,) = server.cloud.below(BUILDS)
    name, zone = f"bake-debug-{build['id']}", "us-central1-a"
    assert left(server.cloud) == [f"disks/{name}", f"instances/{name}"]
    assert [step["args"][:2] for step in build["steps"] if step["args"][0] == "build"] == [["build", "-on-error=abort"]]
    (builder,) = template(server)["builders"]
    owner = {"bakery-owner": machines.owner(oven(server).google)}
    assert builder["labels"] == {"team": "hpc", **owner, "bakery": "bake", "bakery-recipe": "hpcc"}
    assert builder["max_run_duration_in_seconds"] == 600 + 600 + 3600
    assert (builder["instance_termination_action"], builder["omit_external_ip"]) == ("DELETE", True)
    public = (machine.work / "key.pub").read_text().strip()
    assert builder["metadata"]["ssh-keys"] == f"baker:{public}"
    assert stat.S_IMODE((machine.work / "key").stat().st_mode) == 0o600
    assert (machine.image, machine.user) == ("hpcc-aaaaaaaaaaaa", "baker")
    words = shlex.split(machine.shell)
    proxy = next(word for word in words if word.startswith("ProxyCommand="))
    tunnel = f"gcloud compute start-iap-tunnel {name} 22 --zone={zone} --project=p --listen-on-stdin"
    assert proxy == f"ProxyCommand={tunnel} --verbosity=error"
    assert f"baker@{name}" in words
    assert machine.program == "gcloud"
    assert machine.cost.startswith(f"{name} costs as a {KIND} in {zone} until it ends, 2026-")
    owner = machines.owner(oven(server).google)
    assert machine.cost.endswith(f" at the latest, 4800 s after its start; owner: {owner}"), "ten, ten, and 60 minutes"

    machine.end()
    assert (left(server.cloud), machine.work.exists(), found(server)) == ([], False, None)
    assert calls(server, "topics.publish") == 0, "the failure is a matter of its user"


def test_a_bake_stops_before_a_step_also_if_its_image_exists(server: FakeServer, tmp_path: Path) -> None:
    made = two_steps(tmp_path)
    assert oven(server).bake(made, Activity()).outcome is BakeOutcome.BAKED
    assert debugging(server).bake(made, Activity()).outcome is BakeOutcome.ADOPTED
    failing(server.cloud, STOPPED)
    with pytest.raises(BakeStopped, match=r"^stopped before provisioner 2 of 2 \(shell install.sh\)\nlog: https://"):
        debugging(server, "install.sh").bake(made, Activity())
    ran = template(server)["provisioners"]
    assert ran == [
        {"type": "shell", "inline": ["true"]},
        {"type": "shell-local", "inline": ["echo bakery-stop 2", "exit 1"]},
    ]
    first = found(server)
    assert first is not None
    with pytest.raises(BakeStopped):
        debugging(server, "2").bake(made, Activity())
    second = found(server)
    assert second is not None and second.reach.host != first.reach.host
    assert left(server.cloud) == [f"disks/{second.reach.host}", f"instances/{second.reach.host}"], "one is enough"
    with pytest.raises(InputError, match=r"--break-before:1: error: there is no provisioner 'three'; use one of: 1 \("):
        debugging(server, "three").bake(made, Activity())


def test_other_bakes_do_not_join_a_bake_that_is_debugged(server: FakeServer, tmp_path: Path) -> None:
    bake_until_it_fails(server, tmp_path)
    builds.script(server.cloud, lambda _build: Course())
    assert oven(server).bake(two_steps(tmp_path), Activity()).outcome is BakeOutcome.BAKED
    first, second = sorted(server.cloud.below(BUILDS), key=lambda build: build["createTime"])
    assert ("debug-hpcc-aaaaaaaaaaaa" in first["tags"], "hpcc-aaaaaaaaaaaa" in first["tags"]) == (True, False)
    assert "hpcc-aaaaaaaaaaaa" in second["tags"]
    assert len(left(server.cloud)) == 2, "and leave its machine to its user"


def test_a_bake_that_passes_makes_the_image_and_leaves_nothing(server: FakeServer, tmp_path: Path) -> None:
    builds.script(server.cloud, lambda _build: Course())
    done = debugging(server).bake(two_steps(tmp_path), Activity())
    assert done.outcome is BakeOutcome.BAKED
    assert oven(server).library.find(done.name) is not None
    assert list(StatePaths(settings(server).state).work.glob("debug-*")) == []


def ended_by_the_user(cloud: Cloud, activity: Activity) -> None:
    def pressed(build: dict[str, Any]) -> Course:
        baking.left_up(cloud, build)
        activity.cancelled.set()
        return Course(seconds=60)

    builds.script(cloud, pressed)


def lacking_quota(cloud: Cloud, _activity: Activity) -> None:
    failing(cloud, ("==> googlecompute: Quota 'CPUS' exceeded.  Limit: 24.0 in region us-central1.",))


@pytest.mark.parametrize("course", [ended_by_the_user, lacking_quota])
def test_a_bake_that_is_cut_short_leaves_no_machine(
    server: FakeServer, tmp_path: Path, course: Callable[[Cloud, Activity], None]
) -> None:
    activity = Activity()
    course(server.cloud, activity)
    with pytest.raises((Interrupted, BakeryError)):
        debugging(server).bake(two_steps(tmp_path), activity)
    assert [name.partition("/")[0] for name in left(server.cloud)] == ["disks"]
    assert (found(server), list(StatePaths(settings(server).state).work.glob("debug-*"))) == (None, [])
    assert "what a build that was cut short had left: bake-debug-" in " ".join(backend(settings(server)).recover())
    assert left(server.cloud) == []


def test_recover_ends_the_machines_of_this_user_and_no_others(server: FakeServer, tmp_path: Path) -> None:
    machine = bake_until_it_fails(server, tmp_path)
    name = machine.reach.host
    item = next(one for key, one in server.cloud.items.items() if key.endswith(f"/instances/{name}"))
    mine, item["labels"]["bakery-owner"] = item["labels"]["bakery-owner"], "somebody-else"
    assert backend(settings(server)).recover() == []
    assert machine.work.exists()
    item["labels"]["bakery-owner"] = mine
    line = f"deleted the machine that bakery debug had left up: {name} in us-central1-a"
    assert backend(settings(server)).recover(dry_run=True) == [line]
    assert len(left(server.cloud)) == 2
    assert backend(settings(server)).recover() == [line]
    assert (left(server.cloud), machine.work.exists()) == ([], False)


def test_what_has_no_deadline_or_takes_no_key_is_not_debugged(server: FakeServer, tmp_path: Path) -> None:
    with pytest.raises(BakeryError, match=r"machines with google\.osLogin take no key"):
        DebugOven(settings(server, osLogin=True), DebugTerms(3600))
    made = two_steps(tmp_path)
    old = {"name": "hashicorp/packer", "args": ["plugins install github.com/hashicorp/googlecompute v1.1.6"]}
    with pytest.raises(BakeryError, match="the build of hpcc installs a plugin that gives machines no deadline"):
        debugging(server).bake(replace(made, build={"steps": [old, *made.build["steps"]]}), Activity())
    assert server.cloud.below(BUILDS) == []


def test_packer_reaches_the_machine_through_a_tunnel_that_ends_with_it(server: FakeServer, tmp_path: Path) -> None:
    machine, log = bake_until_it_fails(server, tmp_path), tmp_path / "debug.log"
    said = log.with_suffix(".tunnel.log")
    with machine.reach.forwarded(log) as way:
        wait_for(lambda: said.exists() and said.read_text() != "")  # it listens then
        assert way.alive()
        with socket.create_connection(("127.0.0.1", way.port)) as client:
            assert client.recv(8) == b"SSH-2.0-"
    assert not way.alive()
    assert f"compute start-iap-tunnel {machine.reach.host} 22 --zone=us-central1-a --project=p" in said.read_text()
    given = order(tmp_path)
    with machine.reach.given(given, tmp_path) as there:
        assert there == (given, {}), "the machine was not booted again: it has the secrets of its bake"


def test_a_machine_without_a_deadline_says_no_cost(server: FakeServer, tmp_path: Path) -> None:
    machine = bake_until_it_fails(server, tmp_path)
    gone = debug_machine.CloudReach(oven(server).google, "us-central1-a", "bake-debug-gone", tmp_path)
    assert (gone.cost, gone.is_up()) == ("", False)
    assert gone.console.startswith("gcloud compute instances get-serial-port-output bake-debug-gone --zone=us-")
    assert machine.reach.is_up()
