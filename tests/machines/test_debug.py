"""``bakery debug``: a shell of root with the recipe's files and variables, and the rest of the recipe, over real ssh.

A container stands for the machine of the failed bake: it has the same sshd, sudo and user, and starts in seconds.
As one on Compute Engine it is reached by the real gcloud, through a relay of IAP's protocol. The machine of a bake that
stops before a step is a real one.
"""

from __future__ import annotations

import json
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.backends.local.backend import LocalBackend
from bakery.errors import BakeFailed, BakeStopped
from bakery.host import qemu, slots
from bakery.host.google import Google
from bakery.orders.model import BakeOrder
from bakery.ovens.base import DebugTerms
from bakery.ovens.cloud_build.debug_machine import CloudReach
from bakery.ovens.debug_machine import THERE, DebugMachine
from bakery.ovens.local import base_image, container, scratch
from bakery.ovens.local.debug_machine import find
from bakery.ovens.local.machine import LOGIN
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.settings import parse
from tests.fake_google import iap
from tests.fake_google.iap import Relay
from tests.fake_google.server import serve
from tests.support.bake_orders import order, source
from tests.support.workshop import wait_for

pytestmark = [
    *(pytest.mark.machines, pytest.mark.slow),
    pytest.mark.skipif(bool(container.lack()), reason=container.lack() or "-"),
]
FIRST = "#!/bin/bash\ntest ! -e /root/first && touch /root/first\n"
NAME, ZONE, TOKEN = "bake-debug-of-the-test", "us-central1-a", "ya29.user"
SECOND = "#!/bin/bash\ntest \"$WORD\" = 'two words' && test -e /root/fixed\n"


@pytest.fixture
def made(tmp_path: Path) -> BakeOrder:
    """A recipe of two scripts; the first passes once, the second when somebody has mended the machine."""
    files = (
        source(tmp_path, "packages/app/first.sh", FIRST, 0o755),
        source(tmp_path, "packages/app/second.sh", SECOND, 0o755),
    )
    app = order("app", files)
    run = {"type": "shell", "execute_command": "{{ .Vars }} sudo -E bash '{{ .Path }}'"}
    steps = [
        {**run, "script": "{{user `pkg_path`}}/first.sh"},
        {**run, "script": "{{user `pkg_path`}}/second.sh", "environment_vars": ["WORD=two {{user `message`}}"]},
    ]
    variables = {**app.variables, "message": "words"}
    return replace(app, template={**app.template, "provisioners": steps}, variables=variables)


@pytest.fixture
def machine(tmp_path: Path, made: BakeOrder) -> Iterator[DebugMachine]:
    """What a failed bake of the recipe leaves up."""
    settings = parse({"local": {"cores": 1, "memoryMb": 768, "diskGb": 4}}, "test", tmp_path)
    state, log = StatePaths(settings.state), tmp_path / "log"
    work = state.work / f"{scratch.PREFIX}{made.name}-{secrets.token_hex(4)}"
    work.mkdir(parents=True)
    baker = container.BakeContainer(work, tmp_path / "console", 1, 768, qemu.free_ports(1)[0])
    base = base_image.get(made.base, settings.local, Activity(), log, tmp_path)
    container.make_seed(baker, "baker")
    sleeping = [sys.executable, "-c", "import time; time.sleep(3600)", "qemu", str(work)]
    with slots.take(1, 768, Activity(), slots.capacity(settings.local)), ExitStack() as ends:
        container.make_disk(base.disk, baker, 4, Activity(), log)
        ends.enter_context(container.started(baker, Activity()))
        process = ends.enter_context(subprocess.Popen(sleeping))
        ends.callback(process.kill)
        scratch.keep(work, process.pid)
        wait_for(lambda: scratch.machine_of(work) is not None)  # its words are there a moment after its start
        (work / LOGIN).write_text(json.dumps({"port": baker.port, "user": "baker"}))
        found = find(state, tmp_path, "app")
        assert found is not None
        yield found


@pytest.fixture
def behind_iap(machine: DebugMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DebugMachine]:
    """The same machine, as if it were on Compute Engine."""
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        pytest.skip("there is no gcloud")
    folder = tmp_path / "google"
    folder.mkdir()
    (folder / "token").write_text(TOKEN)
    port = int(machine.reach.options[1].removeprefix("Port="))
    with serve() as server:
        server.cloud.tokens[TOKEN] = ("user@example.com", ("https://www.googleapis.com/auth/cloud-platform",))
        card = {"name": "nic0", "networkIP": "10.0.0.2"}
        item = {"name": NAME, "status": "RUNNING", "networkInterfaces": [card]}
        server.cloud.items[f"compute/compute/v1/projects/p/zones/{ZONE}/instances/{NAME}"] = item
        relay = Relay(lambda zone, name, to: ("127.0.0.1", port), server.cloud.tokens.__contains__)
        with iap.relaying(relay, folder) as address:
            environment = iap.gcloud_environment(server.url, folder) | address.environment()
            known = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
            program = folder / "bin" / "gcloud"
            program.parent.mkdir()
            program.write_text(f'#!/bin/sh\n{known}exec {gcloud} "$@" --iap-tunnel-url-override={address.url}\n')
            program.chmod(0o755)
            monkeypatch.setenv("PATH", str(program.parent), prepend=":")
            values = {"project": "p", "region": "us-central1", "endpoint": server.url}
            google = Google(parse({"oven": "cloud-build", "google": values}, "gcp", tmp_path).google)
            yield replace(machine, reach=CloudReach(google, ZONE, NAME, machine.work))
        assert relay.violations == []
        assert {tunnel["instance"] for tunnel in relay.tunnels} == {NAME}


def typed(machine: DebugMachine, line: str) -> str:
    """What the shell of the machine prints for a line."""
    login = [word for word in shlex.split(machine.shell) if word != "-t"]
    shell = subprocess.run(login, input=f"{line}\n", capture_output=True, text=True, check=False, timeout=120)
    assert shell.returncode == 0, shell.stderr
    return shell.stdout


def test_a_bake_stops_before_a_step_and_goes_on_in_its_machine(made: BakeOrder, tmp_path: Path) -> None:
    backend = LocalBackend(parse({"local": {"cores": 1, "memoryMb": 768, "diskGb": 4}}, "test", tmp_path))
    with pytest.raises(BakeStopped, match=r"stopped before provisioner 2 of 2 \(shell second.sh\)"):
        backend.debug_oven(DebugTerms(600, "second.sh")).bake(made, Activity())
    machine = backend.failed_machine("app")
    assert isinstance(machine, DebugMachine)
    try:
        machine.prepare(made, Activity())
        assert typed(machine, "test -e /root/first && touch /root/fixed && echo $WORD") == "two words\n"
        assert machine.run(made, "second.sh", Activity(), tmp_path / "debug.log") == ("shell second.sh",)
    finally:
        machine.end()
    assert backend.failed_machine("app") is None


def test_a_failed_bake_is_mended_in_its_machine(machine: DebugMachine, made: BakeOrder, tmp_path: Path) -> None:
    mend(machine, made, tmp_path)


def test_a_failed_bake_is_mended_in_a_machine_behind_iap(
    behind_iap: DebugMachine, made: BakeOrder, tmp_path: Path
) -> None:
    mend(behind_iap, made, tmp_path)


def mend(machine: DebugMachine, made: BakeOrder, tmp_path: Path) -> None:
    """Look into the machine, run a step that fails, mend what it needs, and run it and all steps again."""
    machine.prepare(made, Activity())
    said = typed(machine, "echo $WORD; id -un; pwd; cat packages/app/second.sh")
    assert said == f"two words\nroot\n{THERE}/workspace\n{SECOND}"
    log = tmp_path / "debug.log"
    with pytest.raises(BakeFailed, match=r"provisioner 2 of 2 failed \(shell second.sh\)"):
        machine.run(made, "2", Activity(), log)
    typed(machine, "touch /root/fixed")
    assert machine.run(made, "2", Activity(), log) == ("shell second.sh",)
    assert machine.run(made, "first.sh", Activity(), log) == ("shell first.sh", "shell second.sh")
    with pytest.raises(BakeFailed, match="provisioner 1 of 2 failed"):
        machine.run(made, "1", Activity(), log)
