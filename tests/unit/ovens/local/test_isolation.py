"""Where an image is baked and why; which scripts need a machine, and which failures point to one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bakery.errors import BakeFailed, ContainerFailed, InfrastructureFailed
from bakery.orders.model import BakeOrder
from bakery.ovens.local import container, isolation
from bakery.plan.image_files import image_files
from bakery.recipe.load import load
from bakery.settings import Accelerator, Isolation, LocalSettings
from tests.support import source_tree
from tests.support.bake_orders import order, source


def wanted(folder: Path, *lines: str) -> BakeOrder:
    script = "\n".join(("#!/bin/bash", *lines, ""))
    return order("app", (source(folder, "packages/app/install.sh", script, 0o755),))


def choose(order: BakeOrder, accelerator: Accelerator = Accelerator.TCG, **settings: Isolation) -> isolation.Choice:
    return isolation.choose(order, LocalSettings(**settings), accelerator)


@pytest.fixture(autouse=True)
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "lack", lambda: "")


def test_a_recipe_that_asks_nothing_of_the_kernel_is_baked_in_a_container(tmp_path: Path) -> None:
    found = choose(wanted(tmp_path, "apt-get install hpcc"))
    assert (found.isolation, found.fixed) == (Isolation.CONTAINER, False)


def test_with_kvm_the_machine_stays(tmp_path: Path) -> None:
    found = choose(wanted(tmp_path), Accelerator.KVM)
    assert found == isolation.Choice(Isolation.MACHINE, "machines run with KVM")


def test_what_the_computer_lacks_is_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "lack", lambda: "/dev/net/tun does not exist")
    assert choose(wanted(tmp_path)) == isolation.Choice(Isolation.MACHINE, "no container: /dev/net/tun does not exist")
    with pytest.raises(InfrastructureFailed, match=r"can't bake in a container: /dev/net/tun does not exist"):
        choose(wanted(tmp_path), isolation=Isolation.CONTAINER)


@pytest.mark.parametrize("setting", [Isolation.MACHINE, Isolation.CONTAINER])
def test_the_setting_decides(setting: Isolation, tmp_path: Path) -> None:
    found = choose(wanted(tmp_path, "modprobe lustre"), Accelerator.KVM, isolation=setting)
    assert (found.isolation, found.fixed) == (setting, True)


def test_the_recipe_decides(tmp_path: Path) -> None:
    found = choose(replace(wanted(tmp_path), isolation="machine"))
    assert found == isolation.Choice(Isolation.MACHINE, "as set in recipe.yaml")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("modprobe lustre", "kernel modules"),
        ("sudo -n /sbin/modprobe lustre", "kernel modules"),
        ("apt-get install --yes zfs-dkms", "kernel modules"),
        ("if true; then reboot; fi", "a restart"),
        ("systemctl reboot", "a restart"),
        ("sudo mount -t nfs server:/home /home", "mounts or block devices"),
        ("  swapon /swap", "mounts or block devices"),
        ("ip link add br0 type bridge", "a network of its own"),
        ("cd /tmp && docker build .", "containers"),
    ],
)
def test_a_script_that_needs_a_kernel_of_its_own_is_found(line: str, what: str, tmp_path: Path) -> None:
    found = choose(wanted(tmp_path, "true", line))
    assert found.isolation is Isolation.MACHINE
    assert found.reason == f"packages/app/install.sh:3 needs {what}: {line.strip()}"


@pytest.mark.parametrize(
    "line",
    [
        "# modprobe is not needed",
        "true # reboot later",
        "echo 'options lnet networks=tcp' >/etc/modprobe.d/lustre.conf",
        "install -m 0755 mount-point /usr/local/sbin/automount",
        "apt-get install nfs-common mount",
        "systemctl disable --quiet rpcbind",
        "sysctl --quiet --load /etc/sysctl.d/90-rcc.conf",
    ],
)
def test_a_script_that_only_sounds_so_is_baked_in_a_container(line: str, tmp_path: Path) -> None:
    assert choose(wanted(tmp_path, line)).isolation is Isolation.CONTAINER


def test_the_commands_in_a_template_count_and_data_does_not(tmp_path: Path) -> None:
    plain = wanted(tmp_path)
    inline = {**plain.template, "provisioners": [{"type": "shell", "inline": ["true", "modprobe nbd"]}]}
    assert (
        choose(replace(plain, template=inline)).reason
        == "packages/app/packer.json:2 needs kernel modules: modprobe nbd"
    )
    data = (source(tmp_path, "packages/app/share/notes", "modprobe nbd\n"),)
    assert choose(replace(plain, files=data)).isolation is Isolation.CONTAINER


def test_of_the_packages_here_only_those_with_modules_or_containers_need_a_machine(tmp_path: Path) -> None:
    recipes = load(source_tree.ROOT / "packages", source_tree.ROOT / "common").recipes
    found = {}
    for recipe in recipes:
        files = image_files(recipe, {"pkg_path": recipe.workspace_path, "common_path": "common"})
        found[recipe.name] = isolation.needs_kernel(replace(order(recipe.name), template=recipe.template, files=files))
    assert found["rcc-debian"] == found["hpcc"] == found["gromacs"] == ""
    assert "modules" in found["lustre"]


@pytest.mark.parametrize(
    "line",
    [
        "    googlecompute: modprobe: FATAL: Module nbd not found in directory /lib/modules/6.1.0",
        "    googlecompute: mount: /mnt: permission denied.",
        '    googlecompute: sysctl: setting key "kernel.x": Read-only file system',
        "    googlecompute: mknod: /dev/x: Operation not permitted",
        "    googlecompute: RTNETLINK answers: Operation not permitted",
        "    googlecompute: System has not been booted with systemd as init system (PID 1). Can't operate.",
        "    googlecompute: dmesg: read kernel buffer failed: Operation not permitted",
    ],
)
def test_what_a_container_denies_is_recognised_in_a_failure(line: str) -> None:
    error = BakeFailed("provisioner 1 of 1 failed", tail=("before", line, "Build finished."))
    assert isolation.needs_machine(error) == line.strip()


def test_a_failure_of_the_recipe_itself_is_not_repeated() -> None:
    assert isolation.needs_machine(BakeFailed("failed", tail=("E: Unable to locate package hpc", "exit 100"))) == ""


def test_a_container_that_did_not_run_is_a_reason() -> None:
    assert isolation.needs_machine(ContainerFailed("the container did not start")) == "the container did not start"
    told = ContainerFailed("the container did not start", tail=("one", "mount: unknown file system"))
    assert isolation.needs_machine(told) == "the container did not start: mount: unknown file system"
