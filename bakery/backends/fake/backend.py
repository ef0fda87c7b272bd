"""The fake back end: an oven and clusters that follow the setting ``fake``, with a local library of small files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bakery.backends.local.backend import ThisMachine

if TYPE_CHECKING:
    from bakery.fluid_run.clusters.fake import FakeClusters
    from bakery.ovens.fake import FakeOven


@dataclass(frozen=True)
class FakeBackend(ThisMachine):
    """A :class:`bakery.backends.base.Backend` that boots no machine and needs no programs."""

    def oven(self) -> FakeOven:
        """Return the oven that follows ``fake.bakes``."""
        from bakery.ovens.fake import FakeOven

        return FakeOven(self.settings)

    def clusters(self, *, open_seconds: int = 0) -> FakeClusters:
        """Return clusters that follow ``fake.tests``; they have no machines to log in to."""
        from bakery.fluid_run.clusters.fake import FakeClusters

        return FakeClusters(self.settings)
