"""The campaign with real machines: one point for each kind of process and signal. Run by hand: ``make chaos-machines``.

pytest finds this file only if it is named. It takes hours without KVM: each point bakes or tests an image twice.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.machines import make_checkout as checkouts
from tests.machines.make_checkout import TIMEOUT, Checkout, Done
from tests.support.chaos.points import seed
from tests.support.chaos.scene import WORDS, command_line
from tests.support.every import every
from tests.support.workshop import alive, below

pytestmark = pytest.mark.machines
BEGIN_SECONDS = 1800  # until the phase begins: the machine of an emulated processor boots for minutes
END_SECONDS = 120
FAMILY = "hpcc"
EDITED = {"bake": f"packages/{FAMILY}/install.sh", "test": f"packages/{FAMILY}/test/run.sh"}
GUESTS = {"packer": ("packer",), "guest": ("qemu-system", "systemd-nspawn")}  # programs, by what they stand for
SECONDS = {"bake": 3, "test": 20}  # a container bakes in few seconds
LEFT_BY_PHASE = {"bake": "bake-*", "test": "run-*"}


@dataclass(frozen=True)
class Strike:
    """A process, a signal, and the phase in which the process gets it."""

    target: str
    blow: str
    phase: str

    def __str__(self) -> str:
        return f"{self.target}-{self.blow}-{self.phase}"


STRIKES = [
    Strike("engine", "SIGKILL", "bake"),
    Strike("engine", "SIGINT", "test"),
    Strike("plugin", "SIGKILL", "bake"),
    Strike("plugin", "SIGTERM", "test"),
    Strike("packer", "SIGKILL", "bake"),
    Strike("packer", "SIGINT", "bake"),
    Strike("guest", "SIGKILL", "bake"),
    Strike("guest", "SIGTERM", "test"),
    Strike("guard of a command", "SIGKILL", "test"),
    Strike("make", "SIGTERM", "bake"),
    Strike("all", "SIGTERM", "bake"),
    Strike("all", "SIGKILL", "test"),
]


def named(make: int, target: str) -> list[int]:
    """Living processes of a kind below ``make``."""
    everything = [pid for pid in (make, *below(make)) if alive(pid)]
    if target == "all":
        return everything
    if target == "make":
        return everything[:1]
    lines = {pid: command_line(pid) for pid in everything}
    programs = {pid: Path(line.partition(" ")[0]).name for pid, line in lines.items()}
    if target == "guard of a command":
        return [pid for pid, line in lines.items() if "guard.py" in line and "--foreground" not in line]
    if target in GUESTS:
        return [pid for pid, program in programs.items() if program.startswith(GUESTS[target])]
    return [pid for pid, line in lines.items() if WORDS[target](line)]


@pytest.mark.parametrize("point", STRIKES, ids=str)
def test_whatever_is_struck_the_next_make_up_goes_on(point: Strike, checkout: Checkout, first: Done) -> None:
    dice = random.Random(f"{seed()} {point}")
    before, work = checkout.families(), checkout.folder / ".bakery" / "work"
    checkout.edit(EDITED[point.phase], f"# {point}")
    with checkouts.ended(checkout.start("up")) as running:
        phase = LEFT_BY_PHASE[point.phase]
        wanted = ["guest", point.target]
        checkouts.wait_for(
            lambda: any(work.glob(phase)) and every(named(running.pid, name) for name in wanted), BEGIN_SECONDS
        )
        time.sleep(dice.random() * SECONDS[point.phase])
        targets = named(running.pid, point.target)
        assert targets and any(work.glob(phase)), "the process did not live in the phase: the point does not count"
        for pid in targets:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, getattr(signal, point.blow))
        text = running.communicate(timeout=TIMEOUT)[0]
    assert "Traceback" not in text, text
    deadline = time.monotonic() + END_SECONDS
    while checkout.processes() and time.monotonic() < deadline:
        time.sleep(1)
    assert proven(checkout), "what a family points at passed its tests, also before the next `make up`"
    again = checkout.make("up")
    assert again.code == 0, again.text
    assert checkout.processes() == []
    assert [path.name for pattern in LEFT_BY_PHASE.values() for path in work.glob(pattern)] == []
    assert list(work.glob("workspace-*")) == []
    assert not checkout.json("pulumi stack export --stack dev")["deployment"].get("pending_operations")
    assert (checkout.families()[FAMILY] != before[FAMILY]) is (point.phase == "bake")
    assert proven(checkout)
    assert checkout.steps() == {}


def proven(checkout: Checkout) -> bool:
    """Whether every family points at an image that passed its tests."""
    library = checkout.json("bakery library --json")
    proofs = {image["name"]: image["proof"] for image in library["images"]}
    return every(proofs[name] == "passed" for name in library["families"].values())
