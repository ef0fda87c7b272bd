"""The cluster that the images are for: the version of Slurm that runs there, and what its machines boot."""

import re
from fnmatch import fnmatchcase
from typing import NamedTuple

from bakery.settings.reader import Reader

_SLURM = r"\d\d\.\d\d(\.\d+)?"


class ClusterSettings(NamedTuple):
    """``slurm`` is the version of a cluster that already runs. The others are families, ``partitions`` are patterns.

    Without a name the controller boots from the first image of the plan, login nodes from the controller's, and each
    other image is for partitions.
    """

    slurm: str = ""
    controller: str = ""
    login: str = ""
    partitions: tuple[str, ...] = ()

    def has_partitions(self, family: str) -> bool:
        """Return whether the family may have partitions."""
        return not self.partitions or any(fnmatchcase(family, pattern) for pattern in self.partitions)


def read(reader: Reader) -> ClusterSettings:
    """Return the settings of the group ``cluster``."""
    slurm = reader.text("slurm")
    if slurm and not re.fullmatch(_SLURM, slurm):
        reader.wrong("slurm", f"is {slurm!r}", 'write what slurmctld -V prints, in quotes: "24.05.3"')
    return ClusterSettings(slurm, reader.text("controller"), reader.text("login"), reader.words("partitions", least=1))
