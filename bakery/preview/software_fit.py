"""Which versions of software work together in a cluster. Pure: versions in, what is wrong in words out.

What is not known, because a version is missing or is not that of a release, is never wrong. Sources, of 2026-11-30:

* Slurm: https://slurm.schedmd.com/upgrades.html, "Compatibility Window". slurmctld refuses newer daemons and commands.
  It accepts those of the two major releases before it, since 24.11 of three, and takes over the state of the same ones.
  Major releases came every nine months, since 24.05 they come every May and November.
* Open MPI: https://docs.open-mpi.org/en/v5.0.x/launching-apps/slurm.html. From 5.0 on srun starts it through PMIx only.
* PMIx: the matrix of clients and servers of 2018-04-17 in the wiki of open-mpi/ompi, with the PMIx that each Open MPI
  has in it.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from bakery.library.versions import ABSENT, Software
from bakery.settings.cluster import SlurmGcp

Versions = Mapping[str, str]  # by the names of Software
Fault = tuple[str, str]  # what is wrong, and what to do

_BEFORE_2024 = ((17, 11), (18, 8), (19, 5), (20, 2), (20, 11), (21, 8), (22, 5), (23, 2), (23, 11))
_MONTHS = (5, 11)  # of the major releases since 24.05
_THREE_SINCE = (24, 11)
_PMIX_ONLY = (5, 0)  # Open MPI
# The oldest Slurm that the scripts of slurm-gcp configure; the rows "version" of common/test/slurm_gcp.tsv say why.
OLDEST_SLURM = {SlurmGcp.V4: (20, 11), SlurmGcp.V6: (24, 11)}
# Open MPI from this version on, and the oldest PMIx that can start it.
_OLDEST_PMIX = (((3, 1), (2, 1)), ((3, 0), (2, 0)))


def release(version: str) -> int | None:
    """Return the place of a version's major release among all of them; None if it is not that of a release."""
    match = re.match(r"(\d\d)\.(\d\d)(?!\d)", version)
    if match is None:
        return None
    year, month = int(match[1]), int(match[2])
    if (year, month) in _BEFORE_2024:
        return _BEFORE_2024.index((year, month))
    if year < 24 or month not in _MONTHS:
        return None
    return len(_BEFORE_2024) + len(_MONTHS) * (year - 24) + _MONTHS.index(month)


def _reach(version: str) -> int:
    """Return how many major releases before its own slurmctld accepts."""
    return 3 if _numbers(version) >= _THREE_SINCE else 2


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))


def _beyond(controller: str, other: str) -> int:
    """Return how many major releases ``controller`` is ahead of ``other``; 0 if it accepts that, or if one is unknown.

    It is negative if ``other`` is newer.
    """
    own, its = release(controller), release(other)
    if own is None or its is None or 0 <= own - its <= _reach(controller):
        return 0
    return own - its


def node_fault(controller: str, node: str, daemon: str = "slurmd") -> str:
    """Return why slurmctld of the version ``controller`` refuses a daemon or command of the version ``node``, or ""."""
    ahead = _beyond(controller, node)
    if ahead < 0:
        return f"{daemon} {node} is newer than slurmctld {controller}, which refuses it"
    if ahead == 0:
        return ""
    return (
        f"{daemon} {node} is {ahead} major releases older than slurmctld {controller}, which accepts"
        f" {_reach(controller)}"
    )


def takeover_fault(running: str, controller: str) -> str:
    """Return why slurmctld of the version ``controller`` cannot continue a cluster of ``running``, or ""."""
    ahead = _beyond(controller, running)
    if ahead < 0:
        return f"slurmctld {controller} is older than the cluster's {running}, whose state it cannot read"
    if ahead == 0:
        return ""
    return (
        f"slurmctld {controller} is {ahead} major releases newer than the cluster's {running}; it takes over the state"
        f" of {_reach(controller)}"
    )


def mpi_fault(pmix: str, open_mpi: str) -> str:
    """Return why Slurm with PMIx of the version ``pmix`` (or ABSENT) cannot start Open MPI, or ""."""
    wanted, given = _numbers(open_mpi), _numbers(pmix)
    if pmix == ABSENT and wanted >= _PMIX_ONLY:
        return f"srun starts Open MPI {open_mpi} through PMIx only, and the controller's Slurm has no plugin for it"
    oldest = next((pmix for since, pmix in _OLDEST_PMIX if wanted >= since), ())
    if given and given < oldest[: len(given)]:
        shown = ".".join(map(str, oldest))
        return f"Open MPI {open_mpi} needs PMIx {shown} or newer, and the controller's Slurm has {pmix}"
    return ""


def scripts_fault(slurm_gcp: SlurmGcp, slurm: str) -> str:
    """Return why the scripts cannot make a cluster of machines with Slurm of this version, or ""."""
    own, oldest = _numbers(slurm), OLDEST_SLURM.get(slurm_gcp, ())
    if not own or own >= oldest:
        return ""
    return f"its Slurm {slurm} is older than {'.'.join(map(str, oldest))}, which slurm-gcp {slurm_gcp} configures"


class RunningCluster(NamedTuple):
    """A cluster that runs, as an image meets it: its version of Slurm, and whether the image is its controller's."""

    slurm: str
    controller: bool

    def fault(self, family: str, image: str, versions: Versions) -> Fault | None:
        """Return why the family's image must not be used there, and what to do; None if it may, or is not known."""
        slurm = versions.get(Software.SLURM, "")
        why = takeover_fault(self.slurm, slurm) if self.controller else node_fault(self.slurm, slurm)
        if not why:
            return None
        first = "upgrade it step by step" if self.controller else "upgrade its controller, then set cluster.slurm"
        hint = f"{first}; or pin {family} to an older image"
        return f"{image} does not fit the cluster of cluster.slurm: {why}", hint
