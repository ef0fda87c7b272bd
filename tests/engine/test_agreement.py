"""Plan, preview and up agree, whatever happened to the library, the recipes and the state folder before.

Situations are drawn at random, from a seed. ``BAKERY_SITUATIONS=<n>`` runs n of them, ``BAKERY_SEED=<n>`` another walk.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bakery.backends import backend
from bakery.library.base import Proof
from bakery.preview.model import Action, Decision
from bakery.preview.plan_report import plan_report
from tests.engine.test_reasons import decisions
from tests.support.every import every
from tests.support.workshop import Workshop

SITUATIONS = int(os.environ.get("BAKERY_SITUATIONS", "6"))
SEED = int(os.environ.get("BAKERY_SEED", "17"))
FAMILIES = ("rcc-debian", "hpcc", "alone")
STATES = (".bakery", "elsewhere")
PAIR = {"hpcc": "alone", "alone": "hpcc"}


@dataclass(frozen=True)
class World:
    """A stack, and the dice."""

    shop: Workshop
    dice: random.Random

    def family(self) -> str:
        return self.dice.choice(FAMILIES)

    def edit(self) -> None:
        self.shop.write(f"packages/{self.family()}/install.sh", f"#!/bin/bash\necho {self.dice.randrange(3)}\n")

    def edit_a_test(self) -> None:
        self.shop.write(f"packages/{self.family()}/test/run.sh", f"#!/bin/bash\necho {self.dice.randrange(3)}\n")

    def move_a_family(self) -> None:
        """Somebody else points a family at an image that it had before."""
        family = self.family()
        images = [image.name for image in self.shop.library.images() if image.candidate_for == family]
        if images:
            self.shop.library.promote(self.dice.choice(images), family)

    def delete_an_image(self) -> None:
        images = self.shop.library.images()
        if images:
            self.shop.library.image_file(self.dice.choice(images).name).unlink()

    def fail_a_test(self) -> None:
        """``bakery test`` of a promoted image finds that it fails."""
        name = self.shop.families().get(self.family(), "")
        if image := self.shop.library.find(name):
            self.shop.library.record_test(name, Proof.FAILED, self.shop.library.proofs([image])[name])

    def change_the_state_folder(self) -> None:
        self.shop.state = next(state for state in STATES if state != self.shop.state)

    def swap_families(self) -> None:
        """Two packages make each other's family: the same images under other names."""
        files = [self.shop.folder / "packages" / name / "packer.json" for name in ("hpcc", "alone")]
        texts = [file.read_text(encoding="utf-8") for file in files]
        hpcc = json.loads(texts[0])["variables"]["image_family"]
        for file, text, family in zip(files, texts, (PAIR[hpcc], hpcc), strict=True):
            made = json.loads(text)
            made["variables"] |= {"image_family": family, "image_name": family}
            file.write_text(json.dumps(made), encoding="utf-8")

    def lose_the_records(self) -> None:
        for file in (self.shop.folder / self.shop.state / "library").glob("library.sqlite*"):
            file.unlink()

    def pin(self) -> None:
        """The settings hold a family at an image, or no longer."""
        family = self.family()
        images = [image.name for image in self.shop.library.images() if image.candidate_for == family]
        self.shop.extra["pins"] = {**self.pins, family: self.dice.choice([*images, ""])}

    def ask_for_approval(self) -> None:
        """A family and its channels ask for approvals, or no longer."""
        asking: list[str] = self.shop.extra.get("approval", [])
        self.shop.extra["approval"] = sorted({*asking} ^ {f"{self.family()}*"})

    def approve(self) -> None:
        """Every image of the plan is approved, wanted or not, also for one of the channels."""
        images = {one.image.family: one.image.name for one in plan_report(self.shop.settings).decisions}
        self.shop.extra["approved"] = {**images, **{f"{family}-stable": name for family, name in images.items()}}

    @property
    def pins(self) -> dict[str, str]:
        return dict(self.shop.extra.get("pins", {}))

    def open_a_channel(self) -> None:
        """A family gets two channels, or loses them."""
        families = sorted({*self.shop.extra.get("channels", {}).get("stable", [])} ^ {self.family()})
        self.shop.extra["channels"] = {"stable": families, "next": families} if families else {}

    def move_a_channel(self) -> None:
        """Somebody points a channel at nothing."""
        for name, image in self.shop.families().items():
            if name.endswith(("-stable", "-next")):
                self.shop.library.unpromote(image, name, force=True)

    def nothing(self) -> None:
        """Leave all as it is."""


EVENTS: tuple[Callable[[World], None], ...] = (
    World.edit,
    World.edit_a_test,
    World.move_a_family,
    World.delete_an_image,
    World.fail_a_test,
    World.change_the_state_folder,
    World.swap_families,
    World.lose_the_records,
    World.pin,
    World.ask_for_approval,
    World.approve,
    World.open_a_channel,
    World.move_a_channel,
    World.nothing,
)


def happen(world: World, order: list[Callable[[World], None]]) -> list[str]:
    """Let one to three things happen; each kind has its turn before one comes again."""
    told = []
    for _ in range(world.dice.randint(1, 3)):
        if not order:
            order += world.dice.sample(EVENTS, len(EVENTS))
        event = order.pop()
        event(world)
        told.append(event.__name__)
    return told


def refused(world: World) -> list[str]:
    """Take the pins away that the plan refuses; an ``up`` with them changes nothing."""
    shop = world.shop
    report = plan_report(shop.settings, backend(shop.settings).existing_library)
    wrong = [family for family in world.pins if any(f":pins.{family}: " in one.message for one in report.problems)]
    if wrong:
        before, up = shop.families(), shop.up()
        assert up.code != 0
        assert every(f":pins.{family}: " in up for family in wrong)
        assert shop.families() == before
        shop.extra["pins"] = {family: image for family, image in world.pins.items() if family not in wrong}
    return [f"refused the pin of {family}" for family in wrong]


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
    world, order = World(workshop, random.Random(SEED)), []
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
        up = workshop.up()
        assert up.code == 0, f"{told}\n{up.text}"
        after = bakes(workshop)
        baked = {family for family, name in names.items() if after.get(name) != before.get(name)}
        assert baked == wanted[Action.BAKE], told
        tested = {run.image for run in workshop.library.runs() if run.run_id not in ran}
        assert {names[family] for family in wanted[Action.BAKE]} <= tested, told
        assert tested <= {names[family] for family in wanted[Action.BAKE] | wanted[Action.TEST]}, told
        assert {family: workshop.families().get(family, "") for family in targets} == targets, told
        again = workshop.up("--expect-no-changes")
        assert again.code == 0, f"{told}\n{again.text}"
        assert {decision.action for decision in decisions(workshop)} == {Action.KEEP}, told
    images = workshop.outputs()["images"]
    assert {family: image["image"] for family, image in images.items()} == {
        family: name for family, name in targets.items() if name
    }
    assert every(image["tested"] for image in images.values())
