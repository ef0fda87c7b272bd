"""Which Linux this computer runs, and how it installs a package, whose name the bakery knows from Debian 12.

The distribution is that of os-release(5), or the first of those that it is like. The names are those of the indexes of
Debian 13, Ubuntu 24.04 (universe included) and Rocky Linux 9 with EPEL; nothing here is in Rocky's CRB. The set-up of a
checkout asks it before anything is installed, so that it imports only Python's own library.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

OS_RELEASE = Path("/etc/os-release")
WITH_PACKER = ("bullseye", "bookworm")  # newer releases of Debian, and Ubuntu, have none: its licence changed
APT = ("apt-get", "install", "--no-install-recommends")
DNF = ("dnf", "install")
OF_HASHICORP = "add HashiCorp's repository, https://developer.hashicorp.com/packer/install, and install packer from it"
IN_CONTAINER = "run the bakery in its container, which podman starts: docs/own-repository.md#in-a-container"
BEFORE_CRACKLIB = "; /usr/sbin/packer is another program, so /usr/bin has to precede it on PATH"
OF_EPEL = {"shellcheck"}
RPMS = {
    "grub-efi-amd64-bin": "grub2-efi-x64-modules",
    "grub-pc-bin": "grub2-pc-modules",
    "openssh-client": "openssh-clients",
    "qemu-utils": "qemu-img",
    "shellcheck": "ShellCheck",
    "uidmap": "shadow-utils",
    "xz-utils": "xz",
}
# What Rocky lacks, or has in a shape that the local oven can't use: its QEMU has no user networking and emulates no
# other processors, and GRUB's programs and the firmwares have other names.
NOT_RPMS = (
    *("arch-test", "binfmt-support", "debian-archive-keyring", "grub-common", "mmdebstrap", "ovmf"),
    *("qemu-efi-aarch64", "qemu-system-arm", "qemu-system-x86", "qemu-user-static"),
)


@dataclass(frozen=True)
class Distribution:
    """One Linux; by default one that is not known.

    ``command`` installs packages. ``names`` has the packages that are called otherwise than in Debian 12, ``extra``
    those of EPEL, and ``elsewhere`` for each package that does not exist what to do instead. ``epel`` is the package
    that adds EPEL.
    """

    name: str
    command: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    epel: str = ""

    def install(self, *packages: str) -> str:
        """Return how the packages get here: a shell line, and sentences for what no package manager has."""
        if not self.command:
            return f"install {' '.join(packages)}, as Debian calls it, with the package manager of {self.name}"
        there = self.packages(packages)
        commands = [f"sudo {' '.join((*DNF, self.epel))}"] if self.epel and OF_EPEL.intersection(packages) else []
        commands += [f"sudo {' '.join((*self.command, *there))}"] if there else []
        return "; ".join([*([" && ".join(commands)] if commands else []), *self.advice(packages)])

    def packages(self, packages: Sequence[str]) -> list[str]:
        """Return the names of those packages that exist."""
        return [self.names.get(package, package) for package in packages if package not in self.elsewhere]

    def advice(self, packages: Sequence[str]) -> Iterator[str]:
        """Return what to do for those that do not exist, once for packages with the same answer."""
        lacking = [package for package in packages if package in self.elsewhere]
        for what in dict.fromkeys(self.elsewhere[package] for package in lacking):
            names = [package for package in lacking if self.elsewhere[package] == what]
            yield f"{self.name} has no package {' and no '.join(names)} that fits: {what}"


def install(*packages: str) -> str:
    """Return how this computer gets packages, which are named as in Debian 12."""
    return distribution().install(*packages)


def distribution(os_release: Path = OS_RELEASE) -> Distribution:
    """Return the Linux of this computer, or the one that it is derived from with its own name."""
    fields = read(os_release)
    name = fields.get("PRETTY_NAME") or fields.get("NAME") or "this computer"
    for one in (fields.get("ID", ""), *fields.get("ID_LIKE", "").split()):
        if one in ("debian", "ubuntu"):
            old = WITH_PACKER if one == "debian" else ()
            has_packer = {fields.get("VERSION_CODENAME"), fields.get("DEBIAN_CODENAME")}.intersection(old)
            return Distribution(name, APT, elsewhere={} if has_packer else {"packer": OF_HASHICORP})
        if one in ("rocky", "almalinux", "centos", "rhel"):
            elsewhere = {"packer": OF_HASHICORP + BEFORE_CRACKLIB, **dict.fromkeys(NOT_RPMS, IN_CONTAINER)}
            return Distribution(name, DNF, RPMS, elsewhere, _epel(fields))
    return Distribution(name)


def _epel(fields: Mapping[str, str]) -> str:
    """Return the package that adds EPEL: the rebuilds of RHEL have it themselves."""
    if fields.get("ID") in ("rocky", "almalinux", "centos"):
        return "epel-release"
    release = fields.get("VERSION_ID", "9").partition(".")[0]
    return f"https://dl.fedoraproject.org/pub/epel/epel-release-latest-{release}.noarch.rpm"


def read(os_release: Path = OS_RELEASE) -> dict[str, str]:
    """Return the fields of an os-release file; none if it can't be read."""
    try:
        text = os_release.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    return {key: value.strip("\"'") for key, value in re.findall(r"(?m)^([A-Z_]+)=(.*)$", text)}
