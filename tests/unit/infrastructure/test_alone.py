"""A component is used alone, as in docs/examples."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime import mocks

from bakery.infrastructure.bakery import declare
from bakery.settings import parse
from tests.support.root import ROOT


class Made(mocks.Mocks):
    """Takes every resource, and names the properties that a provider would compute."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.names[args.name] = args.inputs.get("name", "")
        return f"projects/my-project/{args.name}", {**args.inputs, "selfLink": f"link/{args.name}"}

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(f"nothing is looked up: {args.token}")


def test_the_network_of_the_bakery_is_declared_alone() -> None:
    made, found = Made(), list[str]()
    pulumi.runtime.set_mocks(made, project="site", stack="dev", preview=False)

    @pulumi.runtime.test
    def program() -> pulumi.Output[None]:
        network = runpy.run_path(str(ROOT / "docs/examples/network_only.py"))["network"]
        subnetwork: pulumi.Output[str] = network.subnetwork
        return subnetwork.apply(found.append)

    program()
    assert found == ["projects/my-project/network-subnetwork"]
    assert {name for name in made.names.values() if name} == {
        *("site", "site-ssh-from-iap", "site-inside-test-clusters"),
    }


def test_the_infrastructure_is_declared_without_a_plan_and_then_has_no_triggers(tmp_path: Path) -> None:
    given = {"oven": "cloud-build", "google": {"project": "p", "region": "r", "repository": "owner/name"}}
    made = Made()
    pulumi.runtime.set_mocks(made, project="site", stack="dev", preview=False)

    @pulumi.runtime.test
    def program() -> pulumi.Output[Any]:
        return pulumi.Output.all(*[one.urn for one in declare(parse(given, "dev", tmp_path))])

    program()
    assert {"services", "network", "storage", "accounts", "grants"} <= made.names.keys()
    assert "triggers" not in made.names
