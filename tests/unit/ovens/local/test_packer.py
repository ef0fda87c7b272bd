from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bakery.errors import BakeFailed, BakeryError, BakeStopped, InfrastructureFailed, MissingTool, PortTaken
from bakery.ovens.local.packer import (
    GONE_LOOKS,
    STEP_FAILED,
    PackerRun,
    Progress,
    _Machine,
    build,
    environment,
    failure,
    prepare,
    version,
)
from bakery.ovens.local.template import Rendering
from bakery.progress.activity import Activity
from bakery.settings import Accelerator

NAMES = ("file share", "shell install.sh")


@dataclass
class Ended:
    """As much of a command that has ended as an error is made from."""

    lines: deque[str]
    log: Path = Path("/logs/x.log")
    replay: str = "packer build x"
    seen: list[str] = field(default_factory=list)


def after(*lines: str) -> tuple[Progress, list[str], BakeryError]:
    said: list[str] = []
    progress = Progress(Activity(said.append), NAMES)
    for line in lines:
        progress.line(line)
    return progress, said, failure(progress, Ended(deque(lines)))  # type: ignore[arg-type]


CONNECTED = "==> gce: Connected to SSH!"
FIRST, SECOND = "    gce: bakery-provisioner 1/2", "    gce: bakery-provisioner 2/2"


def test_phases_are_read_from_the_marks_and_not_from_their_commands():
    _, said, _ = after(
        CONNECTED,
        "==> gce: Running local shell script: echo bakery-provisioner 1/2",
        FIRST,
        SECOND,
        "==> gce: Gracefully halting virtual machine...",
    )
    assert said == [
        "baking: provisioner 1 of 2",
        "baking: provisioner 2 of 2",
        "cleaning up and shutting down",
    ]


def test_what_fails_before_the_first_provisioner_is_no_provisioner():
    _, _, error = after(CONNECTED, "sh: 1: Syntax error: Unterminated quoted string")
    assert error.message == "the machine's preparation failed, before the first provisioner"


def test_a_provisioner_that_fails_is_named_and_the_recipes_fault():
    _, _, error = after(CONNECTED, FIRST, SECOND, "E: Unable to locate package nonsense")
    assert type(error) is BakeFailed
    assert error.message == "provisioner 2 of 2 failed (shell install.sh)"
    assert error.tail[-1] == "E: Unable to locate package nonsense"
    assert (error.log, error.replay) == (Path("/logs/x.log"), "packer build x")


def test_a_bake_that_ended_at_its_stop_is_told_apart_from_one_that_failed():
    _, _, error = after(CONNECTED, FIRST, "    gce: bakery-stop 2", "Script exited with non-zero exit status: 1")
    assert type(error) is BakeStopped
    assert error.message == "stopped before provisioner 2 of 2 (shell install.sh)"
    _, _, error = after(CONNECTED, FIRST, "==> gce: Executing local command: echo bakery-stop 2")
    assert type(error) is BakeFailed


def test_an_archive_out_of_reach_is_not_the_recipes_fault():
    _, _, error = after(CONNECTED, FIRST, "Err:1 Temporary failure resolving 'm.example'")
    assert isinstance(error, InfrastructureFailed)


def test_a_full_disk_in_the_machine_is_the_recipes_fault_with_a_hint():
    _, _, error = after(CONNECTED, FIRST, "cp: error writing: No space left on device")
    assert isinstance(error, BakeFailed)
    assert "disk_size" in error.hint


def test_a_machine_that_never_answers_is_not_the_recipes_fault():
    _, _, error = after("==> gce: Waiting for SSH to become available...", "==> gce: Timeout waiting for SSH.")
    assert isinstance(error, InfrastructureFailed)
    assert "never answered" in error.message


def test_a_port_that_was_taken_is_told_apart_so_that_it_is_tried_again():
    _, _, error = after("qemu-system-x86_64: -netdev user: Could not set up host forwarding rule 'tcp:127.0.0.1:1-:22'")
    assert isinstance(error, PortTaken)


def test_a_qemu_that_does_not_start_says_so():
    _, _, error = after("==> gce: Error launching VM: Qemu failed to start. Please run with PACKER_LOG=1")
    assert "QEMU could not start" in error.message
    assert not isinstance(error, PortTaken)


def test_a_build_that_packer_refuses_is_told_in_packers_words():
    _, _, error = after('Error: Failed to initialize build "googlecompute"', "error initializing provisioner 'ansible'")
    assert type(error) is InfrastructureFailed
    assert error.message == "Packer could not begin the build"
    assert "plugin" in error.hint


def test_sockets_of_packer_have_short_paths_however_deep_the_checkout_is():
    assert len(environment(Path("/" + "deep/" * 50))["TMPDIR"]) < 10


@pytest.mark.parametrize(("text", "found"), [("Packer v1.6.6", (1, 6)), ("Packer v1.14.2\n\nnews", (1, 14))])
def test_versions(text: str, found: tuple[int, int]):
    assert version(text) == found


def test_no_version_is_a_missing_tool():
    with pytest.raises(MissingTool):
        version("packer: a stapler")


def newer_packer(folder: Path, install: str) -> None:
    """A Packer without plugins whose ``plugins install`` runs this shell line."""
    file = folder / "packer"
    file.write_text(
        f'#!/bin/sh\ncase "$1 $2" in\n"version ") echo Packer v1.14.3;;\n"plugins install") {install};;\nesac\n'
    )
    file.chmod(0o755)


def test_the_plugin_of_a_newer_packer_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    newer_packer(tmp_path, f'echo "$3" > {tmp_path}/installed')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    prepare()
    assert (tmp_path / "installed").read_text() == "github.com/hashicorp/qemu\n"


def test_a_plugin_that_could_not_be_installed_is_told_with_packers_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    newer_packer(tmp_path, "echo no such host; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingTool) as caught:
        prepare()
    assert caught.value.tail == ("no such host",)
    assert caught.value.hint == "run: packer plugins install github.com/hashicorp/qemu"


@dataclass
class Watched(Ended):
    """A Packer whose machine is there or not, one look after another."""

    looks: list[bool] = field(default_factory=list)

    def alive(self) -> bool:
        return self.looks.pop(0)


def test_a_machine_that_was_killed_before_it_answered_is_noticed():
    watched = Watched(
        deque(["Waiting for SSH to become available..."]), looks=[False, True, *[False] * GONE_LOOKS, False]
    )
    machine = _Machine(Progress(Activity(), NAMES, alive=watched.alive), watched)  # type: ignore[arg-type]
    for _ in range(GONE_LOOKS + 2):
        machine.check()
    with pytest.raises(InfrastructureFailed, match="ended before it answered"):
        machine.check()


def test_a_machine_that_is_slow_to_begin_is_waited_for():
    watched = Watched(deque(), looks=[False] * 50)
    machine = _Machine(Progress(Activity(), NAMES, alive=watched.alive), watched)  # type: ignore[arg-type]
    for _ in range(50):
        machine.check()
    assert (watched.looks, machine.missed) == ([], 0)


def test_steps_that_only_left_their_machine_up_are_not_shown_as_the_reason():
    lines = ("E: no such package", *(f'==> gce: aborted: skipping cleanup of step "Step{n}"' for n in range(20)))
    _, _, error = after(CONNECTED, FIRST, *lines)
    assert error.tail[-1] == "E: no such package"


def test_an_error_is_made_while_packer_still_talks():
    lines: deque[str] = deque()

    class Growing(str):
        def __contains__(self, _words: str) -> bool:
            lines.append("more")
            return False

    lines.extend((Growing("one"), "two"))
    watched = Watched(lines, looks=[True, *[False] * (GONE_LOOKS + 1)])
    machine = _Machine(Progress(Activity(), NAMES, alive=watched.alive), watched)  # type: ignore[arg-type]
    for _ in range(GONE_LOOKS + 1):
        machine.check()
    with pytest.raises(InfrastructureFailed) as told:
        machine.check()
    assert told.value.tail == ("one", "two")


def test_a_machine_that_ends_while_a_provisioner_runs_is_not_the_recipes_fault():
    for alive, kind in ((False, InfrastructureFailed), (True, BakeFailed)):
        progress = Progress(Activity(), NAMES, alive=lambda alive=alive: alive)
        for line in (
            CONNECTED,
            FIRST,
            "==> gce: Script disconnected unexpectedly.",
            f"==> gce: {STEP_FAILED}: Running",
        ):
            progress.line(line)
        error = failure(progress, Ended(deque(["gone"])))  # type: ignore[arg-type]
        assert type(error) is kind
        assert error.message.startswith("provisioner 1 of 2 failed (file share)")


def test_a_script_that_failed_before_its_machine_ended_is_the_recipes_fault():
    progress = Progress(Activity(), NAMES, alive=lambda: False)
    for line in (CONNECTED, FIRST, f"==> gce: {STEP_FAILED}: Running"):
        progress.line(line)
    said = deque(["Build 'gce' errored: Script exited with non-zero exit status: 3"])
    assert type(failure(progress, Ended(said))) is BakeFailed  # type: ignore[arg-type]


def test_a_machine_that_never_answers_shows_its_console(tmp_path: Path):
    console = tmp_path / "console"
    console.write_bytes(b"\n".join(b"line %d \xff" % number for number in range(30)))
    error = failure(Progress(Activity(), NAMES), Ended(deque(["Packer's"])), "", console)  # type: ignore[arg-type]
    assert error.tail == tuple(f"line {number} \ufffd" for number in range(10, 30))


@pytest.mark.parametrize(
    ("text", "accelerator", "hopeless"),
    [("", Accelerator.KVM, True), ("", Accelerator.TCG, False), ("x", Accelerator.KVM, False)],
)
def test_a_machine_with_kvm_that_writes_nothing_for_two_minutes_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, accelerator: Accelerator, hopeless: bool
):
    console = tmp_path / "console"
    console.write_text(text)
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    watched = Watched(deque(), looks=[True, True, True])
    machine = _Machine(Progress(Activity(), NAMES), watched, console, accelerator)  # type: ignore[arg-type]
    machine.check()
    clock[0] += 119
    machine.check()
    clock[0] += 2
    if not hopeless:
        machine.check()
        return
    with pytest.raises(InfrastructureFailed, match="nothing to its console for 121 s") as told:
        machine.check()
    assert "accelerator to tcg" in told.value.hint


def test_a_packer_that_was_killed_is_not_the_recipes_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "packer").write_text("#!/bin/sh\nkill -9 $$\n")
    (tmp_path / "packer").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    rendering = Rendering({}, {}, "gce", "packer", 0, (), ())
    with pytest.raises(InfrastructureFailed, match="Packer was ended by signal 9"):
        build(PackerRun(rendering, tmp_path, tmp_path, tmp_path / "log"), Activity())


def test_a_border_is_crossed_once_and_an_earlier_attempt_opens_none(tmp_path: Path) -> None:
    crossed: list[int] = []
    rendering = Rendering({}, {}, "null", "packer", 0, ("shell one", "shell two"), ())
    call = PackerRun(rendering, tmp_path, tmp_path, tmp_path / "log", border=crossed.append)
    (tmp_path / "border-2").touch()
    call.write()
    for number in (0, 1, 1, 2):
        call.cross(number)
    assert crossed == [0, 1]
    assert (tmp_path / "border-1").exists() and (tmp_path / "border-2").exists()


def test_a_border_that_fails_stays_closed(tmp_path: Path) -> None:
    def refuse(_: int) -> None:
        raise InfrastructureFailed("the container does not continue")

    rendering = Rendering({}, {}, "null", "packer", 0, (), ())
    call = PackerRun(rendering, tmp_path, tmp_path, tmp_path / "log", border=refuse)
    with pytest.raises(InfrastructureFailed):
        call.cross(1)
    assert not (tmp_path / "border-1").exists()
