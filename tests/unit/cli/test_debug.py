"""``bakery debug``: bakes again unless a machine is up, shows how to log in, and ends what it made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bakery.backends.fake.backend import FakeBackend
from bakery.backends.local.backend import LocalBackend
from bakery.cli.commands import debug
from bakery.errors import BakeFailed
from bakery.orders.model import BakeOrder
from bakery.progress.activity import Activity
from tests.support.checkout import Checkout

FAILING = {"bakes": {"app": {"fail": "bake"}}}


@dataclass
class Machine:
    """A machine that writes down what is asked of it."""

    image: str = "app-0123456789ab"
    shell: str = "ssh somewhere"
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
    monkeypatch.setattr(LocalBackend, "keeping_failed", lambda self: FakeBackend(replace(self.settings, fake=FAILING)))
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
    monkeypatch.setattr(LocalBackend, "keeping_failed", lambda self: FakeBackend(self.settings))
    done = checkout.invoke("debug", "app")
    assert (done.exit_code, machine.asked) == (0, [])
    assert "succeeded: nothing to debug; see: bakery boot app-" in done.stderr


def test_other_ovens_and_families_are_refused(checkout: Checkout) -> None:
    done = checkout.run("debug", "app")
    assert (done.returncode, "this oven leaves no machine of a failed bake up" in done.stderr) == (1, True)
    checkout.settings("dev", oven="local")
    assert "the plan has no image family none" in checkout.run("debug", "none").stderr
