"""A back end of a test, put together from an oven, a library and clusters that exist elsewhere.

``tests/unit/backends/test_fourth.py`` copies this file into ``bakery/backends/``. mypy holds it against the protocol.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakery.backends.base import Backend, FailedMachine, ImageLogs
from bakery.backends.checks import Check
from bakery.errors import Problem
from bakery.fluid_run.clusters.fake import FakeClusters
from bakery.host.files import write_atomic
from bakery.library.base import ImageRecord
from bakery.library.local.adoption import adopt
from bakery.library.local.library import LocalLibrary
from bakery.library.local.release import take
from bakery.lock.resolve import DebianArchive
from bakery.ovens.base import DebugTerms
from bakery.ovens.fake import FakeOven
from bakery.plan.address import Address
from bakery.plan.model import ImagePlan, Plan
from bakery.settings import Settings


@dataclass(frozen=True)
class OtherBackend:
    settings: Settings

    @property
    def location(self) -> Mapping[str, str]:
        return {"project": "elsewhere"}

    def oven(self) -> FakeOven:
        return FakeOven(self.settings)

    def library(self) -> LocalLibrary:
        return LocalLibrary(self.settings)

    def existing_library(self) -> LocalLibrary:
        return self.library()

    def damaged(self, *, contents: bool) -> list[str]:
        return []

    def refused(self, images: Sequence[ImagePlan]) -> list[str]:
        return []

    def beyond_quotas(self, baked: Sequence[ImagePlan], tested: Sequence[ImagePlan]) -> tuple[Problem, ...]:
        return ()

    def fetched(self, images: Sequence[ImagePlan]) -> Iterable[Address]:
        return ()

    def clusters(self, *, open_seconds: int = 0) -> FakeClusters:
        return FakeClusters(self.settings)

    def resolver(self) -> DebianArchive:
        return DebianArchive(self.settings.local.mirror)

    def image_link(self, name: str, digest: str) -> str:
        return f"other://{name}"

    def store_output(self, path: str, text: str) -> bool:
        write_atomic(self.settings.state / "outputs" / path, text.encode())
        return True

    def declare(self, plan: Plan) -> Sequence[Any]:
        return ()

    def adopt(self, source: str, image: ImageRecord) -> ImageRecord:
        return adopt(self.library(), Path(source), image, lambda file: file)

    def take(self, name: str, source: Backend) -> bool:
        return take(self.library(), name, LocalLibrary(source.settings))

    def debug_oven(self, terms: DebugTerms) -> FakeOven:
        return self.oven()

    def failed_machine(self, family: str) -> FailedMachine | None:
        return None

    def logs(self, wanted: str) -> ImageLogs:
        return ImageLogs(wanted, "other://log", lambda: b"the log\n", (), ())

    def checks(self) -> Iterator[Check]:
        return iter(())

    def prune_layers(self, *, dry_run: bool = False) -> int:
        return 0

    def recover(self, *, dry_run: bool = False) -> list[str]:
        return ["recovered elsewhere"]


def checked(settings: Settings) -> Backend:
    return OtherBackend(settings)
