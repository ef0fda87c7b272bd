from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import which

import pytest

from bakery.errors import MissingTool
from bakery.host import qemu
from bakery.host.hardware import ARM, X86
from bakery.settings import Accelerator, LocalSettings


def test_the_boot_sector_is_one_that_a_bios_boots():
    sector = qemu.boot_sector()
    assert len(sector) == 512 and sector[510:] == b"\x55\xaa"
    assert bytes((0xB0, qemu.PROBE_VALUE, 0xE6, qemu.PROBE_PORT)) in sector


def test_a_disk_that_may_be_lost_is_never_flushed_and_commas_are_doubled():
    assert qemu.disk(Path("/a,b")) == [
        "-drive",
        "file=/a,,b,format=qcow2,if=virtio,discard=unmap,detect-zeroes=unmap,cache=unsafe",
    ]
    assert "cache=writeback" in qemu.disk(Path("/a"), throw_away=False)[1]
    assert qemu.disk(Path("/a"), form="raw", read_only=True)[1] == "file=/a,format=raw,if=virtio,readonly=on"


def test_forwarded_ports_only_listen_on_the_loopback_address():
    assert "hostfwd=tcp:127.0.0.1:4022-:22" in qemu.user_network({4022: 22})[1]


def test_one_machine_option_says_the_accelerator():
    arguments = qemu.common_arguments(Accelerator.TCG, 1, 64, "x")
    assert arguments.count("-machine") == 1 and "-accel" not in arguments
    assert "q35,accel=tcg,smm=off" in arguments


def test_other_processors_are_emulated_whatever_the_setting_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = LocalSettings(accelerator=Accelerator.KVM)
    monkeypatch.setattr(qemu.platform, "machine", lambda: "x86_64")
    assert qemu.accelerator(wanted, tmp_path, hardware=ARM) is Accelerator.TCG
    monkeypatch.setattr(qemu.platform, "machine", lambda: "aarch64")
    assert qemu.accelerator(wanted, tmp_path) is Accelerator.TCG
    assert qemu.accelerator(wanted, tmp_path, hardware=ARM) is Accelerator.KVM
    assert qemu.accelerator(LocalSettings(), tmp_path, hardware=ARM) is Accelerator.TCG, "nothing probes it"


def test_free_ports_are_free_and_differ():
    ports = qemu.free_ports(5)
    assert len(set(ports)) == 5
    for port in ports:
        with socket.socket() as one:
            one.bind(("127.0.0.1", port))


def test_the_setting_stands_over_the_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(qemu, "kvm_works", lambda: pytest.fail("probed"))
    assert qemu.accelerator(LocalSettings(accelerator=Accelerator.KVM), tmp_path) is Accelerator.KVM


@pytest.mark.parametrize(("works", "found"), [(True, Accelerator.KVM), (False, Accelerator.TCG)])
def test_the_probe_runs_once_a_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, works: bool, found: Accelerator):
    asked: list[int] = []
    monkeypatch.setattr(qemu, "kvm_works", lambda: asked.append(1) or works)
    assert qemu.accelerator(LocalSettings(), tmp_path) is found
    assert qemu.accelerator(LocalSettings(), tmp_path) is found
    assert asked == [1]
    monkeypatch.setattr(qemu, "boot_id", lambda: "after a reboot")
    qemu.accelerator(LocalSettings(), tmp_path)
    assert asked == [1, 1]
    monkeypatch.setattr(qemu, "boot_sector", lambda: b"another program")
    qemu.accelerator(LocalSettings(), tmp_path)
    assert asked == [1, 1, 1], "the answer of a weaker probe does not count"


@pytest.mark.parametrize("text", ["", "[]", '{"key": 1}'])
def test_a_damaged_answer_is_probed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str):
    (tmp_path / "accelerator.json").write_text(text)
    monkeypatch.setattr(qemu, "kvm_works", lambda: True)
    assert qemu.accelerator(LocalSettings(), tmp_path) is Accelerator.KVM
    assert json.loads((tmp_path / "accelerator.json").read_text())["accelerator"] == "kvm"


def test_threads_that_begin_with_an_empty_cache_all_get_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(qemu, "kvm_works", lambda: True)
    calls = range(400)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: qemu.accelerator(LocalSettings(), tmp_path / str(number // 8)), calls))
    assert answers == [Accelerator.KVM] * len(calls)


def test_without_qemu_the_probe_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingTool, match="apt-get install"):
        qemu.probe(Accelerator.TCG)


@pytest.mark.machines
@pytest.mark.skipif(which(X86.program) is None, reason="needs QEMU")
def test_the_probe_guest_comes_to_its_end_where_machines_run():
    assert qemu.probe(Accelerator.TCG, 60)


@pytest.mark.machines
def test_a_guest_that_hangs_is_no_success(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(qemu, "boot_sector", lambda: b"\xeb\xfe".ljust(510, b"\0") + b"\x55\xaa")  # jmp to itself
    assert not qemu.probe(Accelerator.TCG, 2)
