"""Packages of this computer are named in one place, which knows their names on each distribution."""

from __future__ import annotations

import re

from tests.support import source_tree

# What runs in Debian guests, in the container of the bakery, or only after the names were looked up.
MAY = ("tools/Containerfile", "tools/system.sh")
APT = re.compile(r"\bapt(?:-get)?\s+(?:-\S+\s+)*install\b|\bdnf\s+install\b")


def test_only_one_module_says_how_packages_are_installed() -> None:
    places = {
        str(path)
        for path in source_tree.tracked()
        if path.parts[0] in ("bakery", "tools") and str(path) not in MAY and APT.search(source_tree.text(path))
    }
    assert places == set()


def test_the_rule_sees_what_it_forbids() -> None:
    assert APT.search("run: sudo apt-get install packer")
    assert APT.search("apt install -y git")
    assert APT.search("sudo dnf install git")
    assert not APT.search("apt-get clean")
