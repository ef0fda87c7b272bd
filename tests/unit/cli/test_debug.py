"""``bakery debug``: bakes again unless a machine is up, shows how to log in, and ends what it made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bakery.backends.local.backend import LocalBackend
from bakery.cli.commands import debug
from bakery.errors import BakeFailed, BakeStopped
from bakery.orders.model import BakeOrder
from bakery.ovens.base import Bake, DebugTerms
from bakery.ovens.fake import FakeOven
from bakery.progress.activity import Activity
from tests.support.checkout import Checkout

FAILING = {"bakes": {"app": {"fail": "bake"}}}


@dataclass
class Machine:
    """A machine that writes down what is asked of it."""

    image: str = "app-0123456789ab"
    shell: str = "ssh somewhere"
    program: str = "ssh"
    cost: str = ""
    asked: list[str] = field(default_factory=list)
    fails: bool = False

    def prepare(self, order: BakeOrder, _activity: Activity) -> None:
        self.asked.append(f"prepare {order.family}")

    def run(self, _order: BakeOrder, step: str, _activity: Activity, _log: Path) -> Sequence[str]:
        self.asked.append(f"run {step}")
        if self.fails:
            raise BakeFailed("provisioner 2 of 2 failed (shell install.sh)")
        return ("shell install.sh",)

    def end(self) -> None:
        self.asked.append("end")


@pytest.fixture
def machine(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The machine that the next failed bake leaves up; bakes are those of the fake oven."""
    checkout.settings("dev", oven="local")
    made, up = Machine(), [None, Machine()]
    up[1] = made
    monkeypatch.setattr(LocalBackend, "failed_machine", lambda _self, _family: up.pop(0) if up else made)
    monkeypatch.setattr(LocalBackend, "oven", lambda self: FakeOven(self.settings))
    monkeypatch.setattr(LocalBackend, "debug_oven", lambda self, _terms: FakeOven(replace(self.settings, fake=FAILING)))
    monkeypatch.setattr(debug, "wait_for_user", lambda *_: made.asked.append("wait"))
    return made


def test_a_failed_bake_is_repeated_and_its_machine_goes_with_the_user(checkout: Checkout, machine: Machine) -> None:
    done = checkout.invoke("debug", "app")
    assert done.exit_code == 1
    assert "the script of the fake oven makes it fail" in done.stderr
    assert "app-0123456789ab: ssh somewhere" in done.stderr
    assert machine.asked == ["prepare app", "wait", "end"]


@pytest.mark.parametrize(("fails", "code"), [(True, 1), (False, 0)])
def test_the_rest_of_the_recipe_is_run_before_the_login(
    checkout: Checkout, machine: Machine, fails: bool, code: int
) -> None:
    machine.fails = fails
    done = checkout.invoke("debug", "app-0123456789ab", "--from", "install.sh")
    assert done.exit_code == code
    assert ("passed: shell install.sh; now bake the image: bakery bake app" in done.stderr) is not fails
    assert machine.asked == ["prepare app", "run install.sh", "wait", "end"]


def test_a_machine_that_is_up_is_used_and_stays(
    checkout: Checkout, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalBackend, "failed_machine", lambda _self, _family: machine)
    assert checkout.invoke("debug", "app").exit_code == 0
    assert checkout.invoke("debug", "app", "--from", "2").exit_code == 0
    assert machine.asked == ["prepare app", "run 2"]


def test_a_bake_that_succeeds_leaves_nothing_to_look_into(
    checkout: Checkout, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalBackend, "debug_oven", lambda self, _terms: FakeOven(self.settings))
    done = checkout.invoke("debug", "app")
    assert (done.exit_code, machine.asked) == (0, [])
    assert "succeeded: nothing to debug; see: bakery boot app-" in done.stderr


def test_a_bake_stops_before_a_step_and_goes_on_from_there(
    checkout: Checkout, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[DebugTerms] = []

    class StoppingOven(FakeOven):
        def bake(self, order: BakeOrder, activity: Activity) -> Bake:
            raise BakeStopped("stopped before provisioner 2 of 2 (shell install.sh)")

    def stopping(self: LocalBackend, terms: DebugTerms) -> FakeOven:
        asked.append(terms)
        return StoppingOven(self.settings)

    monkeypatch.setattr(LocalBackend, "debug_oven", stopping)
    monkeypatch.setattr(LocalBackend, "failed_machine", lambda _self, _family: machine)
    machine.cost = "n2-standard-4 until midnight"
    done = checkout.invoke("debug", "app", "--break-before", "install.sh", "--hours", "0.5")
    assert (done.exit_code, asked) == (0, [DebugTerms(1800, "install.sh")]), "a stop is what the user wanted"
    said = "stopped before provisioner 2 of 2 (shell install.sh)\nn2-standard-4 until midnight\n"
    assert done.stderr.startswith(said), done.stderr
    assert machine.asked == ["prepare app", "wait", "end"], "the bake is a new one, even if a machine is up"
    machine.asked.clear()
    machine.fails = True
    assert checkout.invoke("debug", "app", "--break-before", "2", "--from", "2").exit_code == 1
    assert machine.asked == ["prepare app", "run 2", "wait", "end"]


def test_other_ovens_and_families_are_refused(checkout: Checkout) -> None:
    done = checkout.run("debug", "app")
    assert (done.returncode, "this oven leaves no machine of a failed bake up" in done.stderr) == (1, True)
    checkout.settings("dev", oven="local")
    assert "the plan has no image family none" in checkout.run("debug", "none").stderr
