"""The triggers that the Pulumi program declares, without an engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime import mocks as runtime_mocks

from bakery.infrastructure.triggers import Triggers
from bakery.plan.model import Plan
from bakery.settings import Settings

Declared = dict[str, dict[str, Any]]


@dataclass
class Recorder(pulumi.runtime.Mocks):
    """The inputs of the triggers that a program declares, by name."""

    triggers: Declared = field(default_factory=dict)

    def new_resource(self, args: runtime_mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if args.typ.endswith("trigger:Trigger"):
            assert args.inputs["name"] not in self.triggers
            self.triggers[args.inputs["name"]] = args.inputs
        return args.name, args.inputs

    def call(self, args: runtime_mocks.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(args.token)


def declared(settings: Settings, plan: Plan) -> Declared:
    """The inputs of the triggers of a plan, by name; the stack is ``gcp``."""
    recorder = Recorder()
    pulumi.runtime.set_mocks(recorder, project="image-bakery", stack="gcp", preview=False)

    @pulumi.runtime.test
    def program() -> pulumi.Output[Any]:
        return pulumi.Output.all(*[one.id for one in Triggers("triggers", settings, plan).triggers])

    program()
    return recorder.triggers
