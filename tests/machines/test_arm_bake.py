"""An image for Arm: a base of Debian's packages, one provisioner in an emulated machine, and a boot from UEFI.

A quarter of an hour at most on an idle computer, so it is no part of the suite: ``make test-slow``. It needs root where
programs for Arm do not run yet, and the packages of docs/developing.md.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.host import process, qemu
from bakery.host.hardware import ARM
from bakery.ovens.local import base_image, boot_disk, machine
from bakery.ovens.local.oven import LocalOven
from bakery.plan.image_labels import ARCHITECTURE_LABEL
from bakery.plan.summary import Base
from bakery.progress.activity import Activity
from bakery.settings import Accelerator, parse
from tests.support.bake_orders import order, source
from tests.support.disk_content import manifest

pytestmark = pytest.mark.slow
DEBIAN = Base("debian-12-arm64", "debian-12-arm64-test", "inrelease:test", "debian-cloud")
BINFMT = Path("/proc/sys/fs/binfmt_misc")
INSTALL = """#!/bin/sh
set -e
uname -m
sudo tee /etc/systemd/system/said.service >/dev/null <<'END'
[Unit]
Description=Say that this image has booted
[Service]
ExecStart=/bin/sh -c 'test -d /sys/firmware/efi && echo booted from UEFI >/dev/console'
[Install]
WantedBy=multi-user.target
END
sudo systemctl enable said
"""
BOOT_SECONDS = 1200.0  # an idle computer takes a twentieth of that


@pytest.fixture(autouse=True, scope="module")
def emulator() -> None:
    """What systemd-binfmt does where it runs: programs for Arm are run by QEMU."""
    if not base_image.foreign_lack(ARM):
        return
    if not (BINFMT / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT], check=True)
    rule = Path("/usr/lib/binfmt.d/qemu-aarch64.conf").read_bytes()
    (BINFMT / "register").write_bytes(rule.strip())


def test_an_image_for_arm_is_baked_and_boots_from_uefi(tmp_path: Path) -> None:
    script = source(tmp_path, "packages/arm/install.sh", INSTALL, 0o755)
    text = source(tmp_path, "packages/arm/share/text", "some")
    labels = {ARCHITECTURE_LABEL: ARM.name}
    wanted = replace(order("arm", (script, text), DEBIAN), labels=labels, timeout=3600)
    settings = parse({"local": {"diskGb": 3, "memoryMb": 1024}}, "dev", tmp_path)
    bake = LocalOven(settings).bake(wanted, Activity(print))
    log = Path(str(bake.log)).read_text()
    assert "baking in a machine: no container: the image is for arm64" in log
    assert "googlecompute: aarch64" in log
    image = settings.state / "library" / "images" / f"{wanted.digest}.qcow2"
    held = manifest(image, boot_disk.BEHIND_UEFI)
    assert "/etc/systemd/system/multi-user.target.wants/said.service" in held
    assert [path for path in held if path.startswith("/home/baker") or "/ssh_host_" in path] == []
    assert "booted from UEFI" in booted(image, tmp_path)


def booted(image: Path, folder: Path) -> str:
    """Boot an image with its own boot loader until it says so; return what it wrote to its console."""
    overlay, console = folder / "overlay.qcow2", folder / "console"
    machine.make_overlay(image, overlay, 0)
    command = [
        *(ARM.program, *qemu.common_arguments(Accelerator.TCG, 1, 1024, "arm", ARM)),
        *("-bios", str(ARM.uefi("the image is for Arm")), *qemu.disk(overlay), "-serial", f"file:{console}"),
    ]
    running, deadline = process.Running(command), time.monotonic() + BOOT_SECONDS
    try:
        while running.poll() is None and time.monotonic() < deadline:
            time.sleep(1)
            text = console.read_text(errors="replace") if console.exists() else ""
            if "booted from UEFI" in text:
                return text
    finally:
        running.stop()
    pytest.fail(f"it did not boot: {text[-2000:]}")
