"""An image that was baked in a container is the one that a machine gives: ``rcc-debian``, baked both ways."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bakery.ovens.local import container
from tests.machines.machine_bake import MachineBake
from tests.machines.make_checkout import Checkout
from tests.support.disk_content import manifest

pytestmark = pytest.mark.machines
MAY_DIFFER = Path(__file__).with_name("may_differ.txt")
WHOLE = ("/usr/x", "/etc/x", "/opt/x", "/boot/x", "/usr/bin/x", "/etc/ssh/x", "/boot/grub/x")


def listed(*, always: bool = False) -> list[str]:
    lines = MAY_DIFFER.read_text(encoding="utf-8").splitlines()
    entries = [line.split("  ", 1) for line in lines if not line.startswith("#")]
    assert entries
    assert not [entry for entry in entries if len(entry) != 2 or not entry[1].strip()], "each has its reason"
    return [pattern for pattern, reason in entries if not (always and reason.startswith("sometimes: "))]


def test_the_list_of_what_may_differ_is_short_and_covers_no_folder_as_a_whole() -> None:
    assert len(listed()) <= 30
    assert [(one, path) for one in listed() for path in WHOLE if re.fullmatch(one, path)] == []


def first_line(state: Path) -> str:
    """Return the first line of the log of rcc-debian's bake, which says where it is baked."""
    (log,) = (state / "logs").glob("rcc-debian-*.log")
    return log.read_text(encoding="utf-8").partition("\n")[0]


@pytest.mark.slow  # without KVM a core needs twelve minutes for the bake in a machine
@pytest.mark.skipif(bool(container.lack()), reason=container.lack() or "-")
def test_every_file_has_the_same_owner_mode_and_content(
    checkout: Checkout, rcc_debian: Path, machine_bake: MachineBake
) -> None:
    assert first_line(checkout.folder / ".bakery").startswith("bakery: baking in a container")
    machine = machine_bake.image()
    assert first_line(machine_bake.state).startswith("bakery: baking in a machine: as set in local.isolation")
    outputs = checkout.json("pulumi stack output --json --stack dev")
    assert Path(outputs["images"]["rcc-debian"]["link"]).name == machine.name, "the digest does not depend on the way"
    assert rcc_debian.stat().st_size < 1.1 * machine.stat().st_size, "what was deleted last is not in the image"
    one, other = manifest(rcc_debian), manifest(machine)
    assert len(one) > 10_000
    found = {path: (one.get(path), other.get(path)) for path in one | other if one.get(path) != other.get(path)}
    unlisted = {path: what for path, what in found.items() if not any(re.fullmatch(line, path) for line in listed())}
    assert unlisted == {}
    unused = [line for line in listed(always=True) if not any(re.fullmatch(line, path) for path in found)]
    assert unused == []
