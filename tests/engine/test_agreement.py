"""Plan, preview and up agree, whatever happened to the library, the recipes and the settings before.

No family gets an image that is not proven, none has one that is revoked or missing, whatever options the engine is
given, and no image in use is deleted; two stacks share the library. Situations are drawn at random, from a seed.
``BAKERY_SITUATIONS=<n>`` runs n of them, ``BAKERY_SEED=<n>`` another walk.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Mapping

from bakery.backends import backend
from bakery.errors import errors_among
from bakery.library.base import Proof
from bakery.preview.model import Action, Decision
from bakery.preview.plan_report import plan_report
from tests.engine.test_interruption import recover
from tests.engine.test_reasons import decisions
from tests.support.every import every
from tests.support.workshop import Workshop, init
from tests.support.world import BAKED, World, happen

SITUATIONS = int(os.environ.get("BAKERY_SITUATIONS", "6"))
SEED = int(os.environ.get("BAKERY_SEED", "17"))
FLAGGED = 0.5  # how often an up with options of the engine comes first


def refused(world: World) -> list[str]:
    """Do what the plan asks for where it refuses pins and revoked images; an ``up`` before that promotes none."""
    told: list[str] = []
    shop = world.shop
    while problems := errors_among(world.report().problems):
        wrong = [family for family in world.pins if any(f":pins.{family}: " in one.message for one in problems)]
        words = re.findall(r"set nonce\.(\S+) to another word", " ".join(one.hint for one in problems))
        before, up = shop.families(), shop.up(*(() if wrong else ("--target", f"{BAKED}::{words[0]}")))
        assert up.code != 0
        world.is_sound(up, before)
        if wrong:
            assert every(f":pins.{family}: " in up for family in wrong)
            shop.extra["pins"] = {family: image for family, image in world.pins.items() if family not in wrong}
        else:
            assert f"set nonce.{words[0]} to another word" in up
            shop.extra["nonce"] = {**shop.extra.get("nonce", {}), **{family: world.word() for family in words}}
        told += [f"refused the pin of {family}" for family in wrong] or ["refused what is revoked"]
    return told


def target(decision: Decision) -> str:
    return decision.target.image if decision.target else decision.image.name


def channels(shop: Workshop) -> dict[str, str]:
    """The channels of the plan, and what they shall point at."""
    report = plan_report(shop.settings, backend(shop.settings).existing_library)
    return {channel.name: channel.image for channel in report.channels}


def moved(shop: Workshop, before: Mapping[str, str]) -> set[str]:
    """The promotions of channels that the plan changes; ``before`` are the channels of the last ``up``."""
    now, pointed = channels(shop), shop.families()
    changed = {name for name, image in now.items() if {pointed.get(name, ""), before.get(name, "")} != {image}}
    return {f"PromotedImage {name}" for name in changed | {name for name in before.keys() - now.keys() if before[name]}}


def foreseen(shop: Workshop, made: Mapping[str, Decision]) -> tuple[set[str], dict[Action, set[str]]]:
    """The resources that the plan changes, as steps name them, and the families by action.

    ``made`` are the decisions of the last ``up``: an engine also replaces what its state or the library has
    under another name, though nothing is baked or tested for it.
    """
    wanted: dict[Action, set[str]] = {action: set() for action in Action}
    steps: set[str] = set()
    pointed, proofs = shop.families(), {image.name: image.proof for image in shop.library.images()}
    for decision in decisions(shop):
        image, before = decision.image, made[decision.image.family].image
        wanted[decision.action].add(image.family)
        renamed = image.name != before.name
        changed = {
            "BakedImage": image.name not in proofs or renamed,
            "FluidRunTest": decision.action in (Action.BAKE, Action.TEST)
            or proofs.get(image.name, Proof.UNTESTED) is Proof.UNTESTED
            or (renamed or image.tests_digest != before.tests_digest),
            "PromotedImage": {pointed.get(image.family, ""), target(made[image.family])} != {target(decision)},
        }
        steps |= {f"{kind} {image.family}" for kind, is_changed in changed.items() if is_changed}
    return steps, wanted


def bakes(shop: Workshop) -> dict[str, int]:
    """Image to when it was last baked, as the log says."""
    logs = (shop.folder / shop.state / "logs").glob("*.log")
    return {file.stem: file.stat().st_mtime_ns for file in logs}


def test_plan_preview_and_up_agree(workshop: Workshop) -> None:
    workshop.recipe("rcc-debian")
    workshop.recipe("hpcc", parent="rcc-debian")
    workshop.recipe("alone")
    workshop.must_up()
    other = init(Workshop(workshop.folder, workshop.env, stack="second"))
    world, order = World(workshop, other, random.Random(SEED)), []
    made, ways = {decision.image.family: decision for decision in decisions(workshop)}, channels(workshop)
    for number in range(SITUATIONS):
        told = f"BAKERY_SEED={SEED}, situation {number}: {', '.join([*happen(world, order), *refused(world)])}"
        steps, wanted = foreseen(workshop, made)
        steps |= moved(workshop, ways)
        ways = channels(workshop)
        made = {decision.image.family: decision for decision in decisions(workshop)}
        names = {family: decision.image.name for family, decision in made.items()}
        targets = {family: target(decision) for family, decision in made.items()} | ways
        preview = workshop.run("preview", "--json", "--expect-no-changes")
        assert set(workshop.steps_of(preview)) == steps, told
        assert (preview.code == 0) is (not steps), told
        before, ran = bakes(workshop), {run.run_id for run in workshop.library.runs()}
        if flagged := world.dice.random() < FLAGGED:
            told += f", {world.use_flags()}"
            recover(workshop)
        pointed, up = workshop.families(), workshop.up()
        assert up.code == 0, f"{told}\n{up.text}"
        world.is_sound(up, pointed)
        after = bakes(workshop)
        baked = {family for family, name in names.items() if after.get(name) != before.get(name)}
        assert baked == wanted[Action.BAKE], told
        tested = {run.image for run in workshop.library.runs() if run.run_id not in ran}
        assert {names[family] for family in wanted[Action.BAKE]} <= tested, told
        assert flagged or tested <= {names[family] for family in wanted[Action.BAKE] | wanted[Action.TEST]}, told
        assert {family: workshop.families().get(family, "") for family in targets} == targets, told
        again = workshop.up("--expect-no-changes")
        assert again.code == 0, f"{told}\n{again.text}"
        assert {decision.action for decision in decisions(workshop)} == {Action.KEEP}, told
    images = workshop.outputs()["images"]
    assert {family: image["image"] for family, image in images.items()} == {
        family: name for family, name in targets.items() if name
    }
    assert every(image["tested"] for image in images.values())
