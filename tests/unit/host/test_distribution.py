"""How each distribution gets the programs that the bakery starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakery.backends.local.checks import ARM_TOOLS, TOOLS, tools
from bakery.host import distribution
from bakery.ovens.local import base_image, cloud_image, container
from tests.support.root import ROOT

DEBIAN_12 = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian\n'
DEBIAN_13 = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\nVERSION_CODENAME=trixie\nID=debian\n'
UBUNTU = (
    'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n'
    "UBUNTU_CODENAME=noble\n"
)
ROCKY = (
    'NAME="Rocky Linux"\nVERSION="9.4 (Blue Onyx)"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n'
    'PLATFORM_ID="platform:el9"\nPRETTY_NAME="Rocky Linux 9.4 (Blue Onyx)"\n'
)
APT = "sudo apt-get install --no-install-recommends "
HASHICORP = (
    "has no package packer that fits: add HashiCorp's repository, https://developer.hashicorp.com/packer/install, "
    "and install packer from it"
)
NOT_ON_ROCKY = (
    "Rocky Linux 9.4 (Blue Onyx) has no package {} that fits: run the bakery in its container, which podman starts: "
    "docs/own-repository.md#in-a-container"
)
ON_ROCKY = {
    "arch-test": "",
    "binfmt-support": "",
    "debian-archive-keyring": "",
    "dosfstools": "dosfstools",
    "e2fsprogs": "e2fsprogs",
    "git": "git",
    "grub-common": "",
    "grub-efi-amd64-bin": "grub2-efi-x64-modules",
    "grub-pc-bin": "grub2-pc-modules",
    "gzip": "gzip",
    "mmdebstrap": "",
    "mtools": "mtools",
    "openssh-client": "openssh-clients",
    "ovmf": "",
    "podman": "podman",
    "qemu-efi-aarch64": "",
    "qemu-system-arm": "",
    "qemu-system-x86": "",
    "qemu-user-static": "",
    "qemu-utils": "qemu-img",
    "runc": "runc",
    "slirp4netns": "slirp4netns",
    "socat": "socat",
    "systemd-container": "systemd-container",
    "uidmap": "shadow-utils",
    "util-linux": "util-linux",
    "xfsprogs": "xfsprogs",
    "xz-utils": "xz",
    "zstd": "zstd",
}


@pytest.fixture
def named() -> set[str]:
    """Every package that a table or a hint names."""
    tables = (TOOLS, ARM_TOOLS, ROOT / "tools" / "slow_tools.tsv")
    return {
        *(tool.package for table in tables for tool in tools(table)),
        *(package for _, package in cloud_image.PACKED.values()),
        *container.TOOLS.values(),
        *base_image.TOOLS.values(),
        *(package for loader in base_image.LOADER_TOOLS.values() for package in loader.values()),
        *base_image.FOREIGN,
        "socat",
    }


@pytest.fixture
def on(tmp_path: Path):
    def of(os_release: str) -> distribution.Distribution:
        (tmp_path / "os-release").write_text(os_release)
        return distribution.distribution(tmp_path / "os-release")

    return of


def test_debian_12_has_every_package(on, named: set[str]) -> None:
    found = {package: on(DEBIAN_12).install(package) for package in named}
    assert found == {package: f"{APT}{package}" for package in named}
    assert len(found) == len(ON_ROCKY) + 2


@pytest.mark.parametrize(
    ("os_release", "name"), [(DEBIAN_13, "Debian GNU/Linux 13 (trixie)"), (UBUNTU, "Ubuntu 24.04.1 LTS")]
)
def test_debian_13_and_ubuntu_have_all_but_packer(on, named: set[str], os_release: str, name: str) -> None:
    found = {package: on(os_release).install(package) for package in named}
    assert found == {package: f"{APT}{package}" for package in named} | {"packer": f"{name} {HASHICORP}"}


def test_rocky_has_other_names_and_what_it_lacks_is_in_the_container(on, named: set[str]) -> None:
    found = {package: on(ROCKY).install(package) for package in named}
    assert found.pop("packer").startswith(
        f"Rocky Linux 9.4 (Blue Onyx) {HASHICORP}; /usr/sbin/packer is another program"
    )
    assert found.pop("shellcheck") == "sudo dnf install epel-release && sudo dnf install ShellCheck"
    assert found == {
        package: f"sudo dnf install {there}" if there else NOT_ON_ROCKY.format(package)
        for package, there in ON_ROCKY.items()
    }


def test_several_packages_are_one_command_and_one_sentence_for_each_way_out(on) -> None:
    assert on(ROCKY).install("qemu-system-x86", "qemu-utils", "packer", "mmdebstrap", "git") == "; ".join(
        [
            "sudo dnf install qemu-img git",
            NOT_ON_ROCKY.format("qemu-system-x86 and no mmdebstrap"),
            f"Rocky Linux 9.4 (Blue Onyx) {HASHICORP}{distribution.BEFORE_CRACKLIB}",
        ]
    )


@pytest.mark.parametrize(
    ("os_release", "package", "install"),
    [
        # Linux Mint, LMDE and Raspberry Pi OS: derived from Ubuntu and Debian, with names of their own.
        (
            "ID=linuxmint\nID_LIKE='ubuntu debian'\nPRETTY_NAME='Linux Mint 22'\n",
            "packer",
            f"Linux Mint 22 {HASHICORP}",
        ),
        ("ID=linuxmint\nID_LIKE=debian\nVERSION_CODENAME=faye\nDEBIAN_CODENAME=bookworm\n", "packer", f"{APT}packer"),
        ("ID=raspbian\nID_LIKE=debian\nVERSION_CODENAME=trixie\nNAME=R\n", "packer", f"R {HASHICORP}"),
        ('ID="almalinux"\nID_LIKE="rhel centos fedora"\n', "xz-utils", "sudo dnf install xz"),
        (
            'ID="ol"\nID_LIKE="fedora rhel"\nVERSION_ID="9.4"\n',
            "shellcheck",
            "sudo dnf install https://dl.fedoraproject.org/pub/epel/epel-release-latest-9.noarch.rpm"
            " && sudo dnf install ShellCheck",
        ),
        (
            'ID=alpine\nPRETTY_NAME="Alpine Linux v3.20"\n',
            "xz-utils",
            "install xz-utils, as Debian calls it, with the package manager of Alpine Linux v3.20",
        ),
        ("", "git", "install git, as Debian calls it, with the package manager of this computer"),
    ],
)
def test_a_derivative_is_what_it_is_like(on, os_release: str, package: str, install: str) -> None:
    assert on(os_release).install(package) == install


def test_a_computer_without_the_file_is_not_known(tmp_path: Path) -> None:
    assert distribution.distribution(tmp_path / "none") == distribution.Distribution("this computer")
