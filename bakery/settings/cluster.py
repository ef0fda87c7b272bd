"""The cluster that the images are for: its version of Slurm, what its machines boot, and how tests resemble it."""

import hashlib
import re
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from bakery.errors import Problem
from bakery.settings import site_files
from bakery.settings.reader import Reader
from bakery.settings.site_files import SiteFile, SitePart, present

_SLURM = r"\d\d\.\d\d(\.\d+)?"
_KEYS = {  # of the site's files
    SitePart.SLURM_CONF: "slurmConf",
    SitePart.JOB_SUBMIT: "jobSubmit",
    SitePart.PROLOG: "prolog",
    SitePart.EPILOG: "epilog",
}


class Profile(StrEnum):
    """How a test cluster is configured: as fast as possible, or as the clusters of sites."""

    SIMPLE = "simple"
    PRODUCTION = "production"


class SlurmGcp(StrEnum):
    """The scripts that make the cluster on Google Cloud, by the first number of their version."""

    V4 = "v4"  # rcc-tf
    V6 = "v6"  # Cluster Toolkit
    UNKNOWN = "any"


class Tier(StrEnum):
    """Which sizes of its jobs an image has to pass in a stack."""

    SMOKE = "smoke"
    FULL = "full"


class ClusterSettings(NamedTuple):
    """``slurm`` is the version of a cluster that already runs, ``slurm_gcp`` the version of the scripts that make it.

    ``profile`` and the files are those of test clusters, ``tier`` is the size of the jobs that run on them.

    The others are families, ``partitions`` are patterns. Without a name the controller boots from the first image of
    the plan, login nodes from the controller's, and each other image is for partitions.
    """

    slurm: str = ""
    controller: str = ""
    login: str = ""
    partitions: tuple[str, ...] = ()
    slurm_gcp: SlurmGcp = SlurmGcp.UNKNOWN
    profile: Profile = Profile.SIMPLE
    tier: Tier = Tier.SMOKE
    slurm_conf: SiteFile | None = None
    job_submit: SiteFile | None = None
    prolog: SiteFile | None = None
    epilog: SiteFile | None = None

    @property
    def site(self) -> dict[SitePart, SiteFile]:
        """The files of the site, by what they are for."""
        return present(self.slurm_conf, self.job_submit, self.prolog, self.epilog)

    @property
    def has_versions(self) -> bool:
        """Whether a version is named that images are compared with."""
        return bool(self.slurm) or self.slurm_gcp is not SlurmGcp.UNKNOWN

    def has_partitions(self, family: str) -> bool:
        """Return whether the family may have partitions."""
        return not self.partitions or any(fnmatchcase(family, pattern) for pattern in self.partitions)


def read(reader: Reader, root: Path) -> ClusterSettings:
    """Return the settings of the group ``cluster``; the paths of the site's files start at ``root``."""
    slurm = reader.text("slurm")
    if slurm and not re.fullmatch(_SLURM, slurm):
        reader.wrong("slurm", f"is {slurm!r}", 'write what slurmctld -V prints, in quotes: "24.05.3"')
    found = {part.value: _site_file(reader, part, root) for part in SitePart}
    return ClusterSettings(
        slurm,
        reader.text("controller"),
        reader.text("login"),
        reader.words("partitions", least=1),
        reader.choice("slurmGcp", SlurmGcp.UNKNOWN),
        reader.choice("profile", Profile.SIMPLE),
        reader.choice("tier", Tier.SMOKE),
        **found,
    )


def _site_file(reader: Reader, part: SitePart, root: Path) -> SiteFile | None:
    """Return a file of the site, all of whose faults become problems; None if the settings name none."""
    key = _KEYS[part]
    path = reader.text(key)
    if not path:
        return None
    file = reader.path(key, root)
    try:
        content = file.read_bytes()
    except OSError as error:
        reader.wrong(key, f"names {path}, which can't be read ({error.strerror})", "write the path of a file")
        return None
    for line, message, hint in site_files.faults(part, content):
        reader.problems.append(Problem(path, line, message, hint))
    return SiteFile(str(file), hashlib.sha256(content).hexdigest())
