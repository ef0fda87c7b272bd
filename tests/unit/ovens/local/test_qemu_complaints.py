"""A machine that the real QEMU refuses to start: Packer hides QEMU's words, the error has them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from bakery.errors import InfrastructureFailed, PortTaken
from bakery.host import process, qemu
from bakery.ovens.local import packer, template
from bakery.ovens.local.machine import BakeMachine, make_seed
from bakery.ovens.local.oven import LocalOven
from bakery.progress.activity import Activity
from bakery.settings import Accelerator, parse
from tests.support import bake_orders

pytestmark = pytest.mark.machines


def refused(folder: Path, *, memory_mb: int = 64, port: int = 0) -> InfrastructureFailed:
    """The error of a build whose machine has an empty disk and too much memory, or forwards a given port."""
    machine = BakeMachine(folder, folder / "console", Accelerator.TCG, 1, memory_mb, (50000, 65535))
    process.run(["qemu-img", "create", "-q", "-f", "qcow2", str(machine.overlay), "1M"])
    (folder / "workspace").mkdir()
    rendering = template.render(bake_orders.order("none"), machine.builder, folder / "workspace")
    rendering.template["provisioners"] = []
    arguments = rendering.template["builders"][0]["qemuargs"]
    for argument in arguments:
        if port and argument[0] == "-netdev":
            argument[1] = f"user,id=user.0,hostfwd=tcp:127.0.0.1:{port}-:22"
    make_seed(folder, rendering.user)
    with pytest.raises(InfrastructureFailed) as caught:
        packer.build(packer.PackerRun(rendering, folder, folder / "workspace", folder / "log", timeout=60), Activity())
    return caught.value


def test_too_much_memory_is_told_in_qemus_words(tmp_path: Path):
    error = refused(tmp_path, memory_mb=10**9)
    assert "QEMU could not start the machine: cannot set up guest memory" in error.message


def test_a_port_that_another_process_took_is_told_apart_so_that_it_is_tried_again(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        error = refused(tmp_path, port=taken.getsockname()[1])
    assert isinstance(error, PortTaken)
    assert "Could not set up host forwarding" in error.message


def test_what_is_not_kept_is_not_replayed_from_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings = parse({"oven": "local", "local": {"accelerator": "tcg", "isolation": "machine"}}, "dev", tmp_path)
    monkeypatch.setattr(qemu, "machine_arguments", lambda _accelerator, _hardware: ["-machine", "abacus"])
    files = (
        bake_orders.source(tmp_path, "packages/none/install.sh", "true\n", 0o755),
        bake_orders.source(tmp_path, "packages/none/share/text", "some"),
    )
    with pytest.raises(InfrastructureFailed) as caught:
        LocalOven(settings).bake(bake_orders.order("none", files), Activity())
    assert "unsupported machine type" in caught.value.message
    assert caught.value.replay == "bakery bake none --stack dev"
    assert not list((tmp_path / ".bakery" / "work").glob("bake-*"))
