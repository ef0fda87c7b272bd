"""Whether an image is baked in a machine or in a container, and why.

A container shares the kernel of this computer, so a recipe that loads modules, restarts the machine or changes the
kernel's state needs a machine. What a look at its scripts does not show is recognised when it fails.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bakery.errors import BakeryError, ContainerFailed, InfrastructureFailed
from bakery.orders.model import BakeOrder
from bakery.ovens.local import container
from bakery.plan.image_labels import ARCHITECTURE_LABEL
from bakery.recipe.parse.document import texts
from bakery.settings import Accelerator, Isolation, LocalSettings

# Words of a script that need a kernel of its own, at the place of a command.
_NEEDS = {
    "kernel modules": r"modprobe|insmod|rmmod|depmod|dkms",
    "a restart": r"reboot|kexec|shutdown|systemctl\s+(?:reboot|kexec|soft-reboot)",
    "mounts or block devices": r"mount|losetup|swapon|mkswap|fdisk|parted|sfdisk|resize2fs|lvcreate|cryptsetup",
    "a network of its own": r"ip\s+link\s+add|iptables|nft|brctl|wg",
    "containers": r"docker|podman|containerd|apptainer\s+build|singularity\s+build",
}
_COMMAND = r"(?:^|[;&|({]|\b(?:sudo|exec|then|else|do|if|env|nohup|time)\s)\s*(?:-\S+\s+)*(?:/\S*/)?"
_NEEDED = {what: re.compile(rf"{_COMMAND}(?:{words})(?![\w.=/-])") for what, words in _NEEDS.items()}
_NEEDED["kernel modules"] = re.compile(rf"{_NEEDED['kernel modules'].pattern}|[\w-]+-dkms\b|linux-headers-|kmod-[a-z]")
_COMMENT = re.compile(r"(?:^|\s)#.*")

# What programs say that a container keeps from the kernel, or from an init that would be running.
_DENIED = re.compile(
    r"Operation not permitted|Read-only file system|modprobe: |insmod: |Module .* not found"
    r"|System has not been booted with systemd"
    r"|mount: .*(?:permission denied|failed|not permitted|cannot be mounted)|sysctl: |RTNETLINK answers"
    r"|dmesg: read kernel buffer failed|failed to set up loop device|cannot open /dev/|/dev/\S+: No such file"
)


@dataclass(frozen=True)
class Choice:
    """Where to bake, and why. ``fixed`` means that the settings say so: nothing else is tried."""

    isolation: Isolation
    reason: str
    fixed: bool = False


def choose(order: BakeOrder, settings: LocalSettings, accelerator: Accelerator) -> Choice:
    """Return where to bake. Raises InfrastructureFailed if the settings want what this computer can't do."""
    if settings.isolation is not Isolation.AUTO:
        lack = _lack(order) if settings.isolation is Isolation.CONTAINER else ""
        if lack:
            hint = "set local.isolation to auto or machine"
            raise InfrastructureFailed(f"this computer can't bake in a container: {lack}", hint=hint)
        return Choice(settings.isolation, "as set in local.isolation", fixed=True)
    if accelerator is Accelerator.KVM or order.base.origin:
        return Choice(
            Isolation.MACHINE,
            "its base image has its own boot loader" if order.base.origin else "machines run with KVM",
        )
    if lack := _lack(order):
        return Choice(Isolation.MACHINE, f"no container: {lack}")
    if order.isolation == Isolation.MACHINE:
        return Choice(Isolation.MACHINE, "as set in recipe.yaml")
    if need := needs_kernel(order):
        return Choice(Isolation.MACHINE, need)
    return Choice(Isolation.CONTAINER, "machines are emulated here, and the recipe needs no kernel of its own")


def _lack(order: BakeOrder) -> str:
    """Return why the image can't be baked in a container of this computer; "" if it can."""
    made_for = order.labels.get(ARCHITECTURE_LABEL)
    return f"the image is for {made_for}" if made_for else container.lack()


def needs_kernel(order: BakeOrder) -> str:
    """Return what in the recipe's scripts needs a kernel of its own, as ``file:line: words``; empty if nothing does."""
    for name, lines in _scripts(order):
        for number, line in enumerate(lines, start=1):
            code = _COMMENT.sub("", line)
            for what, pattern in _NEEDED.items():
                if pattern.search(code):
                    return f"{name}:{number} needs {what}: {code.strip()[:80]}"
    return ""


def _scripts(order: BakeOrder) -> Iterator[tuple[str, list[str]]]:
    """Yield the shell scripts of a recipe, and the commands in its template, by name."""
    for file in order.files:
        content = Path(file.source).read_bytes()
        if content.startswith(b"#!") or file.path.endswith(".sh"):
            yield file.path, content.decode("utf-8", "replace").splitlines()
    for provisioner in order.template.get("provisioners") or []:
        if provisioner.get("type") == "shell":
            yield order.template_path, texts(provisioner.get("inline") or [])


def needs_machine(error: BakeryError) -> str:
    """Return what in a failed container bake may work in a machine; empty if nothing points to it."""
    if isinstance(error, ContainerFailed):
        return ": ".join((error.message, *error.tail[-1:]))
    return next((line.strip() for line in reversed(error.tail) if _DENIED.search(line)), "")
