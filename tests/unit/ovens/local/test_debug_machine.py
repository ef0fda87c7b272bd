"""``bakery debug``: the machine of a failed bake, with stand-ins for machine and Packer."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.errors import BakeryError, InfrastructureFailed, InputError
from bakery.ovens import debug_machine
from bakery.ovens.debug_machine import DebugMachine, start_of_shell
from bakery.ovens.local import scratch
from bakery.ovens.local.debug_machine import LocalReach, find
from bakery.ovens.local.machine import LOGIN
from bakery.ovens.local.packer import PackerRun
from bakery.ovens.local.template import Rendering
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from tests.support.bake_orders import order, source
from tests.support.workshop import wait_for

STEPS = Rendering({}, {}, "x", "u", 0, ("file share", "shell install.sh", "shell last.sh"), ())


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    """The folder of a failed bake of ``app``, in which a process runs that looks like its machine."""
    folder = StatePaths(tmp_path).work / f"{scratch.PREFIX}app-0123456789ab-01234567"
    folder.mkdir(parents=True)
    sleeping = [sys.executable, "-c", "import time; time.sleep(600)", "qemu", str(folder)]
    with subprocess.Popen(sleeping) as machine:
        scratch.keep(folder, machine.pid)
        wait_for(lambda: scratch.machine_of(folder) is not None)  # its words are there a moment after its start
        (folder / LOGIN).write_text(json.dumps({"port": 4321, "user": "baker"}))
        yield folder
        machine.kill()


def test_a_machine_that_runs_is_found_by_its_family_and_ended(tmp_path: Path, work: Path) -> None:
    state = StatePaths(tmp_path)
    assert find(state, tmp_path, "ap") is None
    machine = find(state, tmp_path, "app")
    assert machine is not None
    assert (machine.image, machine.user, machine.program, machine.cost) == ("app-0123456789ab", "baker", "ssh", "")
    assert machine.shell.startswith(f"ssh -t -i {work}/key -o Port=4321 -o StrictHostKeyChecking=no ")
    assert machine.shell.endswith(f"baker@127.0.0.1 sudo -n bash --rcfile {debug_machine.THERE}/shell -i")
    (line,) = scratch.clear(state, dry_run=True)
    assert line == f"ended the machine that a failed bake had left up ({work.name})", "recover lists it"
    machine.end()
    assert (work.exists(), machine.reach.is_up(), find(state, tmp_path, "app")) == (False, False, None)


def test_a_machine_that_has_ended_is_not_waited_for(tmp_path: Path) -> None:
    work = tmp_path / "bake-app-1-2"
    machine = DebugMachine("app-1", work, "baker", LocalReach(StatePaths(tmp_path), tmp_path, work, 1))
    with pytest.raises(InfrastructureFailed, match="the machine of app-1 does not answer on ssh"):
        machine.prepare(order("app"), Activity())


def test_the_shell_begins_with_the_variables_of_the_scripts_in_the_folder_of_their_files() -> None:
    made = order("app")
    first, second = made.template["provisioners"]
    second = {**second, "environment_vars": ["GREETING={{user `message`}} it's", "bad-name=x"], "env": {"LEVEL": "2"}}
    made = replace(made, template={**made.template, "provisioners": [first, second]})
    lines = start_of_shell(made).splitlines()
    assert lines[:3] == [
        *("export GREETING='hello it'\"'\"'s'", "export LEVEL=2"),
        f"cd {debug_machine.THERE}/workspace",
    ]
    assert made.name in lines[3]


@pytest.mark.parametrize(("step", "number"), [("1", 1), ("shell install.sh", 2), ("last", 3)])
def test_a_step_is_named_by_its_number_or_words(step: str, number: int) -> None:
    assert STEPS.number(step, "--from") == number


@pytest.mark.parametrize(
    ("step", "fault"), [("shell", "'shell' matches 2 provisioners"), ("4", "there is no provisioner '4'")]
)
def test_a_step_that_is_none_or_many_is_an_error_with_all_steps(step: str, fault: str) -> None:
    with pytest.raises(InputError) as wrong:
        STEPS.number(step, "--from")
    assert f"--from:1: error: {fault}; use one of: 1 (file share), 2 (shell install.sh), 3 (" in str(wrong.value)


def test_only_json_has_steps_that_run_apart() -> None:
    with pytest.raises(BakeryError, match="only Packer can evaluate"):
        replace(STEPS, path="packages/app/app.pkr.hcl").number("1", "--break-before")


def test_the_rest_of_the_recipe_runs_in_the_machine_with_its_present_files(
    tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[PackerRun] = []
    monkeypatch.setattr(debug_machine.process, "find_tool", lambda name, _hint: Path(name))
    monkeypatch.setattr(debug_machine.packer, "build", lambda call, _activity: calls.append(call))
    monkeypatch.setattr(debug_machine.DebugMachine, "_on_it", lambda *_words: None)
    machine = find(StatePaths(tmp_path), tmp_path, "app")
    assert machine is not None
    made = order("app", (source(tmp_path, "packages/app/install.sh", "echo mended\n", 0o755),))
    assert machine.run(made, "install.sh", Activity(), tmp_path / "log") == ("shell install.sh",)
    (call,) = calls
    ran = [one["script"] for one in call.rendering.template["provisioners"] if one["type"] == "shell"]
    assert ran == ["{{user `pkg_path`}}/install.sh"], "the upload before it is left out"
    (builder,) = call.rendering.template["builders"]
    assert (builder["type"], builder["ssh_port"], builder["ssh_username"]) == ("null", 4321, "baker")
    assert (call.workspace / "packages/app/install.sh").read_text() == "echo mended\n"
    assert call.alive is not None
    assert call.alive()
