"""A stack to which everything happens: its recipes, its settings, its library, and another stack with the same library.

Each event is drawn with the dice of :class:`World`, so that a seed repeats a whole history.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from bakery.backends import backend
from bakery.library.base import ImageRecord, Proof, Revocation
from bakery.library.revocation import affected, in_force
from bakery.operations.prune import prune
from bakery.operations.revoke import revoke
from bakery.preview.plan_report import PlanReport, plan_report
from bakery.settings.retention import EVERY_FAMILY, Retention
from tests.support.workshop import Done, Workshop

FAMILIES = ("rcc-debian", "hpcc", "alone")
STATES = (".bakery", "elsewhere")
PAIR = {"hpcc": "alone", "alone": "hpcc"}
LONG_AGO = "2020-01-01T00:00:00Z"
BAKED = "urn:pulumi:dev::image-bakery::pulumi-python:dynamic/bakery:BakedImage"
TESTED, PROMOTED = (f"{BAKED}$pulumi-python:dynamic/bakery:{kind}" for kind in ("FluidRunTest", "PromotedImage"))
FLAGS = (
    ("--target", f"{PROMOTED}::{{}}"),
    ("--target", f"{BAKED}::{{}}", "--target-dependents"),
    ("--target", "**::{}"),
    ("--exclude", f"{TESTED}::{{}}"),
    ("--exclude", f"{BAKED}::{{}}"),
    ("--replace", f"{PROMOTED}::{{}}"),
    ("--replace", f"{TESTED}::{{}}"),
    ("--target-replace", f"{PROMOTED}::{{}}"),
    ("--refresh",),
)
FAILURES = ({"bakes": {"@": {"fail": "bake"}}}, {"tests": {"@": {"exit_codes": {"@/smoke": 1}}}}, {})  # of a package


@dataclass(frozen=True)
class World:
    """A stack, the ``other`` one, and the dice. ``failed`` are images that failed in ``bakery test``."""

    shop: Workshop
    other: Workshop
    dice: random.Random
    failed: set[str] = field(default_factory=set)

    def family(self) -> str:
        return self.dice.choice(FAMILIES)

    def word(self) -> str:
        return f"w{self.dice.randrange(1 << 30)}"

    @property
    def records(self) -> dict[str, ImageRecord]:
        return {image.name: image for image in self.shop.library.images()}

    @property
    def revoked(self) -> set[str]:
        """The images that must not be used now."""
        library = self.shop.library
        return {*affected([*library.images()], in_force(library.revocations(), library.now()).keys())}

    @property
    def pins(self) -> dict[str, str]:
        return dict(self.shop.extra.get("pins", {}))

    def report(self) -> PlanReport:
        """The plan, compared with the library."""
        return plan_report(self.shop.settings, backend(self.shop.settings).existing_library)

    # -- the recipes

    def edit(self) -> None:
        self.shop.write(f"packages/{self.family()}/install.sh", f"#!/bin/bash\necho {self.dice.randrange(3)}\n")

    def edit_a_test(self) -> None:
        self.shop.write(f"packages/{self.family()}/test/run.sh", f"#!/bin/bash\necho {self.dice.randrange(3)}\n")

    def swap_families(self) -> None:
        """Two packages make each other's family: the same images under other names."""
        files = [self.shop.folder / "packages" / name / "packer.json" for name in ("hpcc", "alone")]
        texts = [file.read_text(encoding="utf-8") for file in files]
        hpcc = json.loads(texts[0])["variables"]["image_family"]
        for file, text, family in zip(files, texts, (PAIR[hpcc], hpcc), strict=True):
            made = json.loads(text)
            made["variables"] |= {"image_family": family, "image_name": family}
            file.write_text(json.dumps(made), encoding="utf-8")

    # -- the library

    def move_a_family(self) -> None:
        """Somebody else points a family at an image that it had before."""
        family = self.family()
        images = [image.name for image in self.records.values() if image.candidate_for == family]
        if images:
            self.shop.library.promote(self.dice.choice(images), family)

    def move_a_channel(self) -> None:
        """Somebody points a channel at nothing."""
        for name, image in self.shop.families().items():
            if name.endswith(("-stable", "-next")):
                self.shop.library.unpromote(image, name, force=True)

    def delete_an_image(self) -> None:
        if images := [*self.records]:
            self.shop.library.image_file(self.dice.choice(images)).unlink()

    def fail_a_test(self) -> None:
        """``bakery test`` of a promoted image finds that it fails."""
        name = self.shop.families().get(self.family(), "")
        if image := self.shop.library.find(name):
            self.failed.add(name)
            self.shop.library.record_test(name, Proof.FAILED, self.shop.library.proofs([image])[name])

    def lose_the_records(self) -> None:
        for file in (self.shop.folder / self.shop.state / "library").glob("library.sqlite*"):
            file.unlink()

    def revoke(self) -> None:
        """Somebody revokes an image; perhaps for a time that has come since, which nothing has enforced yet."""
        names = sorted({image.source for image in self.records.values()} & self.records.keys())
        if names and self.dice.random() < 0.5:
            revoke(backend(self.shop.settings), self.dice.choice(names), "bad")
        elif names:
            name = self.dice.choice(names)
            self.shop.library.revoke(Revocation(name, name, "its time has come", LONG_AGO, LONG_AGO))

    def withdraw_revocations(self) -> None:
        for one in self.shop.library.revocations():
            self.shop.library.drop_revocations(one.cause)

    def prune(self) -> None:
        """All goes at once that nobody needs, and nothing else."""
        library, before = self.shop.library, self.records
        needed = {*self.pins.values(), *self.shop.extra.get("approved", {}).values()}
        needed |= {image for image in library.families().values() if image not in self.revoked}
        needed |= {before[image].source for image in needed & before.keys()}
        needed |= {want.image for want in library.wants()}
        needed |= {name for one in self.report().decisions for name in (one.image.name, one.image.base.name)}
        settings = replace(self.shop.settings, retention={EVERY_FAMILY: Retention(0, keep=0)})
        prune(backend(settings))
        after = self.records.keys()
        assert needed & before.keys() <= after, "what is in use"
        assert {before[name].parent for name in after if name in before} & before.keys() <= after, "parents"

    # -- the settings

    def change_the_state_folder(self) -> None:
        self.shop.state = next(state for state in STATES if state != self.shop.state)

    def pin(self) -> None:
        """The settings hold a family at an image, or no longer."""
        family = self.family()
        images = [image.name for image in self.records.values() if image.candidate_for == family]
        self.shop.extra["pins"] = {**self.pins, family: self.dice.choice([*images, ""])}

    def ask_for_approval(self) -> None:
        """A family and its channels ask for approvals, or no longer."""
        asking: list[str] = self.shop.extra.get("approval", [])
        self.shop.extra["approval"] = sorted({*asking} ^ {f"{self.family()}*"})

    def approve(self) -> None:
        """Every image of the plan is approved, wanted or not, also for one of the channels."""
        images = {one.image.family: one.image.name for one in self.report().decisions}
        self.shop.extra["approved"] = {**images, **{f"{family}-stable": name for family, name in images.items()}}

    def open_a_channel(self) -> None:
        """A family gets two channels, or loses them."""
        families = sorted({*self.shop.extra.get("channels", {}).get("stable", [])} ^ {self.family()})
        self.shop.extra["channels"] = {"stable": families, "next": families} if families else {}

    # -- the other stack, and the engine

    def the_other_stack_goes_up(self) -> None:
        """It may want other images of the same families."""
        self.other.state = self.shop.state
        self.other.extra["nonce"] = {self.family(): str(self.dice.randrange(3))}
        before = self.shop.families()
        self.is_sound(self.other.up(), before)

    def the_other_stack_goes(self) -> None:
        wanted = {want.family: want.image for want in self.shop.library.wants() if want.stack.endswith("/dev")}
        before = self.shop.families()
        assert self.other.run("destroy", "--yes", "--skip-preview").code == 0
        after = self.shop.families()
        assert {family: after.get(family) for family in wanted} == {family: before.get(family) for family in wanted}

    def use_flags(self) -> str:
        """An ``up`` with options of the engine, in which something may fail; return what it was."""
        family, flags, failure = self.family(), self.dice.choice(FLAGS), self.dice.choice(FAILURES)
        self.shop.fake = json.loads(json.dumps(failure).replace("@", self.family()))
        before = self.shop.families()
        self.is_sound(self.shop.up(*(flag.format(family) for flag in flags)), before)
        told = f"up {' '.join(flag.rpartition(':')[2].format(family) for flag in flags)} {self.shop.fake}"
        self.shop.fake = {}
        return told

    def is_sound(self, done: Done, before: Mapping[str, str]) -> None:
        """Check that no family got an image that is not proven, and that none has one that is revoked."""
        assert "Traceback" not in done and "internal error" not in done, done.text
        revoked, records = self.revoked, self.records
        for family, name in self.shop.families().items():
            assert name not in revoked, f"{family}: {name}\n{done.text}"
            proven = records[name].proof is Proof.PASSED or records[name].source in self.failed
            assert proven or before.get(family) == name, f"{family}: {name}\n{done.text}"

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
    World.revoke,
    World.withdraw_revocations,
    World.prune,
    World.the_other_stack_goes_up,
    World.the_other_stack_goes,
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
