"""A failed bake's machine: a shell of root with the recipe's files and variables, and the rest of the recipe in it."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.errors import BakeFailed
from bakery.ovens.local import container, scratch
from bakery.ovens.local.debug_machine import find
from bakery.ovens.local.oven import LocalOven
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.settings import parse
from tests.support.bake_orders import order, source

pytestmark = [
    *(pytest.mark.machines, pytest.mark.slow),
    pytest.mark.skipif(bool(container.lack()), reason=container.lack() or "-"),
]
VALUES = {"cores": 1, "memoryMb": 768, "diskGb": 4, "isolation": "container", "keepFailed": True}
FIRST = "#!/bin/bash\ntest ! -e /root/first && touch /root/first\n"
SECOND = "#!/bin/bash\ntest \"$WORD\" = 'two words' && test -e /root/fixed\n"


def test_a_failed_bake_is_mended_in_its_machine(tmp_path: Path) -> None:
    files = (
        source(tmp_path, "packages/app/first.sh", FIRST, 0o755),
        source(tmp_path, "packages/app/second.sh", SECOND, 0o755),
    )
    made = order("app", files)
    run = {"type": "shell", "execute_command": "{{ .Vars }} sudo -E bash '{{ .Path }}'"}
    steps = [
        {**run, "script": "{{user `pkg_path`}}/first.sh"},
        {**run, "script": "{{user `pkg_path`}}/second.sh", "environment_vars": ["WORD=two {{user `message`}}"]},
    ]
    variables = {**made.variables, "message": "words"}
    made = replace(made, template={**made.template, "provisioners": steps}, variables=variables)
    state = StatePaths(tmp_path)
    with pytest.raises(BakeFailed, match=r"provisioner 2 of 2 failed \(shell second.sh\)"):
        LocalOven(parse({"local": VALUES}, "test", tmp_path)).bake(made, Activity())
    machine = find(state, tmp_path, "app")
    assert machine is not None
    try:
        assert machine.image == made.name
        machine.prepare(made, Activity())
        login = [word for word in shlex.split(machine.shell) if word != "-t"]
        typed = "echo $WORD; id -un; cat packages/app/second.sh; touch /root/fixed\n"
        shell = subprocess.run(login, input=typed, capture_output=True, text=True, check=False, timeout=120)
        assert "two words\nroot\n" in shell.stdout, shell.stderr
        assert SECOND in shell.stdout
        log = tmp_path / "debug.log"
        assert machine.run(made, "2", Activity(), log) == ("shell second.sh",)
        with pytest.raises(BakeFailed, match="provisioner 1 of 2 failed"):
            machine.run(made, "first.sh", Activity(), log)
    finally:
        machine.end()
    assert find(state, tmp_path, "app") is None
    assert not list(state.work.glob(f"{scratch.PREFIX}*"))
