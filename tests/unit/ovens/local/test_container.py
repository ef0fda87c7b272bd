"""The container that bakes: what it needs of this computer, its disk and its command. Bakes are in tests/machines."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from bakery.errors import ContainerFailed, InfrastructureFailed, PortTaken
from bakery.host import process
from bakery.ovens.local import boot_disk, container
from bakery.progress.activity import Activity


@pytest.fixture
def baker(tmp_path: Path) -> container.BakeContainer:
    work = tmp_path / "bake-app-0123456789ab-0a1b2c3d"
    work.mkdir()
    return container.BakeContainer(work, tmp_path / "console", 1, 512, 4000)


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "only root" in container.lack()


def test_a_missing_program_comes_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "slirp4netns" else f"/usr/bin/{name}")
    assert container.lack() == "slirp4netns is not installed (sudo apt-get install --no-install-recommends slirp4netns)"


def test_a_missing_device_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(container, "DEVICES", (tmp_path, tmp_path / "tun"))
    assert container.lack() == f"{tmp_path / 'tun'} does not exist"
    monkeypatch.setattr(container, "DEVICES", (tmp_path,))
    assert container.lack() == ""


def test_packer_logs_in_to_it_and_runs_nothing_itself(baker: container.BakeContainer) -> None:
    assert baker.builder == {
        "type": "null",
        "communicator": "ssh",
        "ssh_host": "127.0.0.1",
        "ssh_port": 4000,
        "ssh_private_key_file": str(baker.key),
    }


def test_its_name_is_short_and_its_own(baker: container.BakeContainer) -> None:
    first = min(os.sched_getaffinity(0))
    assert baker.command[2:] == [str(baker.work), "bakery-0a1b2c3d", str(first), "512"]


def test_the_seed_is_readable_by_another_user(baker: container.BakeContainer) -> None:
    container.make_seed(baker, "baker")
    seed = baker.work / "seed"
    modes = {path.name: path.stat().st_mode & 0o777 for path in seed.iterdir()}
    assert modes == dict.fromkeys(("apply", "finish", "sysctl", "border", "key.pub", "tmp.conf"), 0o644)
    assert b"user='baker'" in (seed / "apply").read_bytes()
    assert baker.key.stat().st_mode & 0o77 == 0


def file_system(disk: Path, mebibytes: int) -> int:
    """Make a disk as base images have it; return the number of blocks of its file system."""
    size = mebibytes << 20
    with disk.open("wb") as raw:
        raw.truncate(size)
    kib = (size - boot_disk.OFFSET) >> 10
    process.output(["mke2fs", "-q", "-t", "ext4", "-E", f"offset={boot_disk.OFFSET}", str(disk), f"{kib}k"])
    boot_disk.make_bootable(disk, bytes(boot_disk.BOOT_CODE), b"", 1)
    return kib


def shown(disk: Path) -> str:
    return process.output(["dumpe2fs", "-h", f"{disk.name}?offset={boot_disk.OFFSET}"]
                          , cwd=disk.parent)  # fmt: skip


def test_a_larger_disk_has_a_larger_file_system(baker: container.BakeContainer, tmp_path: Path) -> None:
    raw, base = tmp_path / "base.raw", tmp_path / "base.qcow2"
    file_system(raw, 64)
    process.output(["qemu-img", "convert", "-O", "qcow2", str(raw), str(base)])
    container.make_disk(base, baker, 1, Activity(), tmp_path / "log")
    assert baker.disk.stat().st_size == 1 << 30
    assert int.from_bytes(baker.disk.read_bytes()[458:462], "little") == ((1 << 30) - boot_disk.OFFSET) // 512
    lines = dict(line.split(":", 1) for line in shown(baker.disk).splitlines() if ":" in line)
    blocks, size = int(lines["Block count"]), int(lines["Block size"])
    assert 0 <= ((1 << 30) - boot_disk.OFFSET) - blocks * size < 8 << 20
    check = ["e2fsck", "-f", "-n", f"{baker.disk.name}?offset={boot_disk.OFFSET}"]
    assert subprocess.run(check, cwd=baker.work, check=False, capture_output=True).returncode == 0


def test_a_disk_that_is_large_enough_is_copied_as_it_is(baker: container.BakeContainer, tmp_path: Path) -> None:
    raw, base = tmp_path / "base.raw", tmp_path / "base.qcow2"
    file_system(raw, 64)
    process.output(["qemu-img", "convert", "-O", "qcow2", str(raw), str(base)])
    container.make_disk(base, baker, 0, Activity(), tmp_path / "log")
    assert baker.disk.read_bytes() == raw.read_bytes()


def test_a_disk_of_another_layout_is_for_a_machine(baker: container.BakeContainer, tmp_path: Path) -> None:
    (tmp_path / "base.raw").write_bytes(bytes(1 << 20))
    process.output(["qemu-img", "convert", "-O", "qcow2", str(tmp_path / "base.raw"), str(tmp_path / "base.qcow2")])
    with pytest.raises(ContainerFailed, match=r"base\.qcow2 is not laid out like a base image"):
        container.make_disk(tmp_path / "base.qcow2", baker, 0, Activity(), tmp_path / "log")


def test_a_disk_that_can_not_be_read_is_no_reason_to_emulate(baker: container.BakeContainer, tmp_path: Path) -> None:
    (tmp_path / "base.qcow2").write_bytes(b"QFI\xfb cut off")
    with pytest.raises(InfrastructureFailed, match="could not be copied") as caught:
        container.make_disk(tmp_path / "base.qcow2", baker, 0, Activity(), tmp_path / "log")
    assert not isinstance(caught.value, ContainerFailed)


@pytest.mark.parametrize(("answer", "taken"), [({"return": {"id": 1}}, False), ({"error": {"desc": "busy"}}, True)])
def test_a_port_that_is_taken_is_an_error_of_its_own(answer: dict[str, object], taken: bool, tmp_path: Path) -> None:
    asked: list[object] = []
    folder = tmp_path / ("a folder whose name is longer than the path of a socket may be" * 2)
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        server.bind(f"/proc/self/fd/{handle}/slirp.sock")
        os.close(handle)
        server.listen()

        def serve() -> None:
            connection = server.accept()[0]
            with connection:
                asked.append(json.loads(connection.recv(4096)))
                connection.sendall(json.dumps(answer).encode())

        thread = threading.Thread(target=serve)
        thread.start()
        if taken:
            with pytest.raises(PortTaken):
                container._forward(folder / "slirp.sock", 4000)
        else:
            assert container._forward(folder / "slirp.sock", 4000)
        thread.join()
    arguments = asked[0]["arguments"]  # type: ignore[index]
    assert (arguments["host_addr"], arguments["host_port"], arguments["guest_port"]) == ("127.0.0.1", 4000, 22)


def test_a_network_that_does_not_listen_yet_is_waited_for(tmp_path: Path) -> None:
    assert not container._forward(tmp_path / "slirp.sock", 4000)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "slirp.sock"))
        assert not container._forward(tmp_path / "slirp.sock", 4000)


def test_a_container_that_does_not_start_is_for_a_machine_and_leaves_no_groups(
    baker: container.BakeContainer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    group = tmp_path / "group"
    group.mkdir()
    script = f"echo {group} >cgroups; echo it broke; exit 3"
    monkeypatch.setattr(container.BakeContainer, "command", ["sh", "-c", script])
    read = process.Running._copy
    monkeypatch.setattr(process.Running, "_copy", lambda running: (time.sleep(0.5), read(running)))  # as under load
    starting = container.started(baker, Activity())
    with pytest.raises(ContainerFailed, match="the container did not start") as caught:
        starting.__enter__()
    assert caught.value.tail == ("it broke",)
    assert not group.exists()


SYSCTL = Path(container.__file__).with_name("files") / "sysctl.sh"


def sysctl(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", str(SYSCTL), *words], capture_output=True, text=True, check=False)


def test_a_setting_of_the_kernel_is_checked_and_not_set() -> None:
    file = Path("/proc/sys/vm/swappiness")
    before = file.read_text()
    done = sysctl("-w", f"vm.swappiness={int(before) + 1}")
    assert (done.returncode, done.stdout) == (0, f"vm.swappiness = {int(before) + 1}\n")
    assert file.read_text() == before
    assert sysctl("-n", "vm.swappiness").stdout == before


def test_a_setting_that_no_kernel_has_is_an_error_and_one_of_the_hosts_network_is_not(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.conf"
    wrong.write_text("vm.swapiness = 10\n")
    done = sysctl("--load", str(wrong))
    assert done.returncode != 0 and "vm/swapiness" in done.stderr
    wrong.write_text("net.core.of_the_host_only = 10\nvm.swappiness = 10\n")
    assert sysctl("--load", str(wrong)).returncode == 0


BORDER = SYSCTL.with_name("border.sh")
PS = {"sshd": (1, "ssh.service"), "bash": (700, "ssh.service"), "munged": (1, "munge.service")}
UNITS = {"ssh.service": ("active", "enabled", 5), "e2scrub.service": ("inactive", "enabled", 5)}


@pytest.mark.parametrize(
    ("processes", "units", "said"),
    [
        ({}, {}, "same"),
        ({"sleep": (1, "ssh.service")}, {}, "sleep was left running"),
        ({}, {"munge.service": ("active", "enabled", 5), "user@1.service": ("active", "static", 5)}, "same"),
        ({}, {"munge.service": ("active", "disabled", 5)}, "munge.service runs and is not enabled"),
        ({}, {"munge.service": ("inactive", "disabled", 0)}, "same"),
        ({}, {"munge.service": ("inactive", "enabled", 0)}, "munge.service is enabled and was not started"),
    ],
)
def test_what_a_restart_would_change_is_said(
    processes: dict[str, tuple[int, str]], units: dict[str, tuple[str, str, int]], said: str, tmp_path: Path
) -> None:
    every = {**UNITS, **units}
    properties = "".join(
        f"UnitFileState={file}\nActiveState={state}\nId={name}\nConditionTimestampMonotonic={tried}\n\n"
        for name, (state, file, tried) in every.items()
    )
    tables = {
        "list-units": "".join(f"{name} loaded {one[0]} x\n" for name, one in every.items() if one[0] == "active"),
        "list-unit-files": "getty@.service enabled\n"
        + "".join(f"{name} {one[1]} x\n" for name, one in every.items() if one[1] == "enabled"),
        "show": properties,
        "ps": "".join(f"{parent:8} {name} 0::/{group}\n" for name, (parent, group) in {**PS, **processes}.items()),
    }
    for name, text in tables.items():
        (tmp_path / name).write_text(text)
    asked = f'case "$*" in *getty@*) exit 1 ;; esac\ncat "{tmp_path}/$1"\n'
    for name, script in {"systemctl": asked, "ps": f"cat {tmp_path}/ps\n"}.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}")
        program.chmod(0o755)
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    done = subprocess.run(["sh", str(BORDER)], env={"PATH": path}, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == (f"bakery-border: {said}\n", 0)
