"""The local library against a plain dictionary, through random histories (hypothesis)."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bakery.errors import BakeryError
from bakery.library.base import ImageRecord, ImageState, Proof, Want
from bakery.library.local.library import LocalLibrary
from bakery.library.local.repair import repair
from bakery.library.retention import prune
from bakery.settings import parse
from bakery.settings.retention import EVERY_FAMILY, Retention

FAMILIES = ("rcc", "hpcc")
STACKS = ("p/dev", "p/test")
DAYS = 30


@dataclass
class Expected:
    """What the model knows of one image."""

    family: str
    order: int
    state: ImageState = ImageState.ACTIVE
    proof: Proof = Proof.UNTESTED
    replacement: str = ""
    since: int = 0


class Histories(RuleBasedStateMachine):
    """Every rule does the same to the library and to the dictionaries; the invariants compare them."""

    def __init__(self) -> None:
        super().__init__()
        self.unsynced = mock.patch.object(os, "fsync")
        self.unsynced.start()
        self.root = Path(tempfile.mkdtemp())
        self.settings = parse({"oven": "fake"}, "test", self.root)
        self.day = 0
        self.count = 0
        self.images: dict[str, Expected] = {}
        self.families: dict[str, str] = {}
        self.wants: dict[tuple[str, str], Want] = {}  # by stack and family
        self.lost: dict[str, str] = {}  # the image of a family whose file was deleted
        self.library = self.opened()

    def opened(self) -> LocalLibrary:
        made = LocalLibrary(self.settings, clock=lambda: f"{2026 + self.day // 360}-{self.day // 30 % 12 + 1:02}-01")
        with made.database.reading() as connection:
            connection.execute("PRAGMA synchronous = OFF")  # there is no power cut here, and the disk is busy
        return made

    def teardown(self) -> None:
        self.unsynced.stop()
        self.library.database.close()
        shutil.rmtree(self.root)

    def name_at(self, index: int) -> str:
        return sorted(self.images)[index % len(self.images)]

    def known(self) -> bool:
        return bool(self.images)

    def record(self, family: str) -> tuple[ImageRecord, Path]:
        self.count += 1
        digest = hashlib.sha256(str(self.count).encode()).hexdigest()
        file = self.root / "baked.qcow2"
        file.write_text("x")
        created = f"2026-01-01T{self.count // 60:02}:{self.count % 60:02}:00Z"
        return ImageRecord(f"{family}-{digest[:12]}", digest, "some", "", family, created), file

    @rule(family=st.sampled_from(FAMILIES), recorded=st.booleans())
    def bake(self, family: str, recorded: bool) -> None:
        record, file = self.record(family)
        if recorded:
            self.library.publish(record, file)
        else:  # killed between the file and the row
            self.library.files.publish(record, file)
        self.images[record.name] = Expected(family, self.count)

    @precondition(known)
    @rule(index=st.integers(0, 50), proof=st.sampled_from([Proof.PASSED, Proof.PASSED, Proof.FAILED]))
    def record_test(self, index: int, proof: Proof) -> None:
        name = self.name_at(index)
        self.library.record_test(name, proof, "tests")
        self.images[name].proof = proof

    @precondition(known)
    @rule(index=st.integers(0, 50))
    def promote(self, index: int) -> None:
        name = self.name_at(index)
        family = self.images[name].family
        before = self.families.get(family, "")
        said = self.library.promote(name, family)
        if before == name:
            return
        assert said == (before or self.lost.pop(family, ""))
        if before:
            self.move(before, ImageState.DEPRECATED, name)
        self.point(family, name)

    def move(self, name: str, state: ImageState, replacement: str) -> None:
        expected = self.images[name]
        expected.state, expected.replacement, expected.since = state, replacement, self.day

    def point(self, family: str, name: str) -> None:
        self.families[family] = name
        self.lost.pop(family, None)
        if self.images[name].state is not ImageState.ACTIVE:
            self.move(name, ImageState.ACTIVE, "")

    @precondition(known)
    @rule(index=st.integers(0, 50))
    def unpromote(self, index: int) -> None:
        name = self.name_at(index)
        family = self.images[name].family
        can = self.families.get(family, self.lost.get(family)) == name and family not in self.wanted()
        assert self.library.unpromote(name, family) is can
        if can:
            self.families.pop(family, None)

    def wanted(self) -> set[str]:
        return {family for _, family in self.wants}

    @precondition(known)
    @rule(index=st.integers(0, 50), stack=st.sampled_from(STACKS))
    def want(self, index: int, stack: str) -> None:
        name = self.name_at(index)
        self.count += 1
        want = Want(stack, self.images[name].family, name, str(self.count))
        self.library.want(want)
        self.wants[stack, want.family] = want

    @rule(family=st.sampled_from(FAMILIES), stack=st.sampled_from(STACKS), right=st.booleans())
    def drop_want(self, family: str, stack: str, right: bool) -> None:
        want = self.wants.get((stack, family))
        token = want.token if want and right else "of a resource that was replaced"
        if want and right:
            del self.wants[stack, family]
        assert self.library.drop_want(stack, family, token) is (family not in self.wanted())

    @precondition(known)
    @rule(index=st.integers(0, 50), replacement=st.sampled_from(["", "other-image"]))
    def deprecate(self, index: int, replacement: str) -> None:
        name = self.name_at(index)
        can = name not in self.families.values() and self.images[name].state is ImageState.ACTIVE
        assert self.library.deprecate(name, replacement) is can
        if can:
            self.move(name, ImageState.DEPRECATED, replacement)

    @rule(months=st.integers(1, 3))
    def time_goes_by(self, months: int) -> None:
        self.day += 30 * months

    @rule()
    def prune(self) -> None:
        self.library.images()  # adopts, so that the model's images are all known
        prune(self.library, {EVERY_FAMILY: Retention(DAYS)})
        kept = {name for family in FAMILIES for name in self.fallback(family)}
        kept |= {want.image for want in self.wants.values()}
        for name, expected in list(self.images.items()):
            if expected.state is ImageState.ACTIVE or name in kept:
                continue
            months = (self.day - expected.since) // 30
            if months >= 2:
                del self.images[name]
            elif months == 1:
                expected.state = self.one_month(expected)

    def one_month(self, expected: Expected) -> ImageState:
        """After 28 to 31 days: OBSOLETE when the month had 30 days or more."""
        start = expected.since // 30 % 12 + 1
        return expected.state if start == 2 else ImageState.OBSOLETE

    def fallback(self, family: str) -> list[str]:
        """Return the newest proven image of the family that no family points at, if any."""
        images = sorted(self.images.items(), key=lambda item: item[1].order)
        proven = [name for name, image in images if image.family == family and image.proof is Proof.PASSED]
        return [name for name in proven if name not in self.families.values()][-1:]

    @rule()
    def another_process_takes_over(self) -> None:
        self.library.database.close()
        self.library = self.opened()

    @rule()
    def everything_is_repaired(self) -> None:
        repair(self.library)

    @precondition(known)
    @rule(index=st.integers(0, 50))
    def the_file_is_taken_away(self, index: int) -> None:
        name = self.name_at(index)
        family = self.images[name].family
        self.library.image_file(name).unlink()
        del self.images[name]
        if self.families.get(family) == name:
            self.lost[family] = self.families.pop(family)

    @rule(family=st.sampled_from(FAMILIES))
    def what_is_not_there_is_refused(self, family: str) -> None:
        try:
            self.library.promote("never-baked", family)
        except BakeryError:
            return
        raise AssertionError("a missing image was promoted")

    @invariant()
    def images_agree(self) -> None:
        found = {image.name: image for image in self.library.images()}
        assert {
            name: (expected.state, expected.proof, expected.replacement) for name, expected in self.images.items()
        } == {name: (image.state, image.proof, image.replacement) for name, image in found.items()}

    @invariant()
    def families_agree(self) -> None:
        assert dict(self.library.families()) == self.families

    @invariant()
    def wants_agree(self) -> None:
        assert set(self.library.wants()) == set(self.wants.values())


Histories.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestHistories = Histories.TestCase
