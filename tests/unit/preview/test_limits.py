"""A plan says which limits of a run it will reach."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from bakery.plan.plan import make
from bakery.preview.limits import over_limits
from bakery.preview.model import Action, Decision
from bakery.settings import parse
from tests.support import plan_builders
from tests.support.plan_builders import LOCK

IMAGES = make(
    plan_builders.settings(), plan_builders.recipes(plan_builders.recipe("a"), plan_builders.recipe("b")), LOCK
).images


def told(actions: tuple[Action, ...], times: dict[str, float], **limits: Any) -> list[str]:
    settings = parse({"limits": limits}, "dev", Path("/checkout"))
    decisions = [Decision(image, action) for image, action in zip(IMAGES, actions, strict=True)]
    return [str(problem) for problem in over_limits(settings, decisions, times)]


def test_without_limits_nothing_is_said() -> None:
    assert told((Action.BAKE, Action.BAKE), {"a": 1e6}) == []


def test_machines_of_bakes_and_at_least_one_of_each_test() -> None:
    assert told((Action.BAKE, Action.TEST), {}, machines=3) == []
    (line,) = told((Action.BAKE, Action.TEST), {}, machines=2)
    assert line == (
        "Pulumi.dev.yaml:1: warning: image-bakery:limits.machines: bakes and tests need at least 3 machines, the limit "
        "is 2; an up that reaches it begins nothing more, and the next one continues; raise it for all in one"
    )
    assert told((Action.KEEP, Action.ADOPT), {}, machines=1) == []


def test_the_size_of_a_cluster_counts_if_it_is_known() -> None:
    settings = parse({"limits": {"machines": 8}}, "dev", Path("/checkout"))
    decisions = [Decision(image, Action.TEST) for image in IMAGES]
    assert over_limits(settings, decisions, {}, lambda _image: 4) == ()
    (problem,) = over_limits(settings, decisions, {}, lambda _image: 5)
    assert "need at least 10 machines" in problem.message
    untested = [Decision(replace(image, tests=None, tests_digest=""), Action.BAKE) for image in IMAGES]
    assert over_limits(settings, untested, {}, lambda _image: 100) == ()


def test_the_seconds_of_the_last_bakes() -> None:
    times = {"a": 1800.0, "b": 1900.5}
    assert told((Action.BAKE, Action.KEEP), times, machineSeconds=1800) == []
    (line,) = told((Action.BAKE, Action.BAKE), times, machineSeconds=3600)
    assert "limits.machineSeconds: the bakes took 3700 seconds of machines last time, the limit is 3600" in line
