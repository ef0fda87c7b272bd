"""The local back end: images are baked and tested in QEMU machines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bakery.backends.local.this_machine import ThisMachine

if TYPE_CHECKING:
    from bakery.backends.checks import Check
    from bakery.fluid_run.clusters.local import LocalClusters
    from bakery.ovens.local.oven import LocalOven


@dataclass(frozen=True)
class LocalBackend(ThisMachine):
    """A :class:`bakery.backends.base.Backend` with Packer and QEMU."""

    def oven(self) -> LocalOven:
        """Return the oven that runs Packer with QEMU."""
        from bakery.ovens.local.oven import LocalOven

        return LocalOven(self.settings)

    def clusters(self, *, open_shell: bool = False) -> LocalClusters:
        """Return clusters of QEMU machines."""
        from bakery.fluid_run.clusters.local import LocalClusters

        return LocalClusters(self.settings, open_shell)

    def checks(self) -> Iterator[Check]:
        """Check programs, accelerator, disk and memory."""
        from bakery.backends.local.checks import checks

        return checks(self.settings)
