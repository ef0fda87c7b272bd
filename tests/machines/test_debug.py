"""``bakery debug``: a shell of root with the recipe's files and variables, and the rest of the recipe, over real ssh.

A container stands for the machine of the failed bake: it has the same sshd, sudo and user, and starts in seconds.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.errors import BakeFailed
from bakery.host import qemu, slots
from bakery.orders.model import BakeOrder
from bakery.ovens.local import base_image, container, scratch
from bakery.ovens.local.debug_machine import THERE, DebugMachine, find
from bakery.ovens.local.machine import LOGIN
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.settings import parse
from tests.support.bake_orders import order, source

pytestmark = [
    *(pytest.mark.machines, pytest.mark.slow),
    pytest.mark.skipif(bool(container.lack()), reason=container.lack() or "-"),
]
FIRST = "#!/bin/bash\ntest ! -e /root/first && touch /root/first\n"
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
    work = state.work / f"{scratch.PREFIX}{made.name}-01234567"
    work.mkdir(parents=True)
    baker = container.BakeContainer(work, tmp_path / "console", 1, 768, qemu.free_ports(1)[0])
    base = base_image.get(made.base, settings.local, Activity(), log, tmp_path)
    container.make_seed(baker, "baker")
    sleeping = [sys.executable, "-c", "import time; time.sleep(3600)", "qemu", str(work)]
    with slots.take(1, 768, Activity(), slots.capacity(settings.local)), subprocess.Popen(sleeping) as process:
        container.make_disk(base.disk, baker, 4, Activity(), log)
        with container.started(baker, Activity()):
            scratch.keep(work, process.pid)
            (work / LOGIN).write_text(json.dumps({"port": baker.port, "user": "baker"}))
            found = find(state, tmp_path, "app")
            assert found is not None
            yield found
        process.kill()


def test_a_failed_bake_is_mended_in_its_machine(machine: DebugMachine, made: BakeOrder, tmp_path: Path) -> None:
    machine.prepare(made, Activity())
    login = [word for word in shlex.split(machine.shell) if word != "-t"]
    typed = "echo $WORD; id -un; pwd; cat packages/app/second.sh\n"
    shell = subprocess.run(login, input=typed, capture_output=True, text=True, check=False, timeout=120)
    assert shell.stdout == f"two words\nroot\n{THERE}/workspace\n{SECOND}", shell.stderr
    log = tmp_path / "debug.log"
    with pytest.raises(BakeFailed, match=r"provisioner 2 of 2 failed \(shell second.sh\)"):
        machine.run(made, "2", Activity(), log)
    subprocess.run(login, input="touch /root/fixed\n", capture_output=True, text=True, check=False, timeout=120)
    assert machine.run(made, "2", Activity(), log) == ("shell second.sh",)
    assert machine.run(made, "first.sh", Activity(), log) == ("shell first.sh", "shell second.sh")
    with pytest.raises(BakeFailed, match="provisioner 1 of 2 failed"):
        machine.run(made, "1", Activity(), log)
