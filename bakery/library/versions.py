"""The versions of the software that the machines of a cluster have to agree about, as labels of an image.

The Fluid-Run that boots the image finds them. What it did not find is left out; ABSENT says that the image lacks it.

Compute Engine takes no dots in a label: a dot is written as ``_``, and ``_`` as ``__``.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

from bakery.plan.image_labels import LABEL_LENGTH, VERSION_LABEL

ABSENT = "none"
_WRITTEN = {".": "_", "_": "__"}


class Software(StrEnum):
    """What is recorded, by the name in results and outputs."""

    SLURM = "slurm"
    MUNGE = "munge"
    PMIX = "pmix"  # that Slurm's plugin starts ranks with
    OPEN_MPI = "open_mpi"
    KERNEL = "kernel"
    OS = "os"
    LUSTRE = "lustre"  # the client

    @property
    def label(self) -> str:
        """The key of the label."""
        return VERSION_LABEL + self.replace("_", "-")


def to_labels(versions: Mapping[str, object]) -> dict[str, str]:
    """Return the labels of these versions; empty and unknown ones are left out, as another agent may send them."""
    return {one.label: _label(str(text)) for one in Software if (text := versions.get(one, ""))}


def of_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the versions that an image's labels have, by the names of :class:`Software`."""
    return {one.value: _version(labels[one.label]) for one in Software if one.label in labels}


def _label(version: str) -> str:
    text = re.sub(r"[^a-z0-9._-]", "-", version.lower())
    return re.sub(r"[._]", lambda match: _WRITTEN[match[0]], text)[:LABEL_LENGTH]


def _version(label: str) -> str:
    return re.sub(r"__?", lambda match: "." if match[0] == "_" else "_", label)
