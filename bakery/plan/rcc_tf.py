"""Variables of an rcc-tf configuration for a cluster that boots from the images of a plan.

The names of the variables and of a partition's fields are those of FluidNumerics' rcc-tf, ``io.tf``.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bakery.errors import Problem
from bakery.plan.architecture import ARM
from bakery.plan.image_labels import ARCHITECTURE_LABEL
from bakery.plan.model import ImagePlan
from bakery.recipe.model import Partition
from bakery.settings import PROJECT

DEFAULT_MACHINES = {"": "n2-standard-4", ARM: "t2a-standard-4"}


# Families to the channel that their partitions use, and to those that do not: see bakery.preview.targets.staged.
Staged = Mapping[str, tuple[str, Collection[str]]]


def variables(
    images: Sequence[ImagePlan], links: Mapping[str, str], zone: str, staged: Staged | None = None
) -> dict[str, Any]:
    """Return the images and partitions of a cluster; ``links`` maps each promoted family to the link of its image.

    Controller and login boot from the first of ``images``, a parent of the others. Each other image gets the partitions
    that its recipe is tested on, named ``<family>``, or ``<family>-<partition>`` if there are several; those without a
    zone get ``zone``. Families without a link are left out; without any link the result is empty.
    Those of ``staged`` boot from the channel's image if it has a link, controller and login too.
    """
    behind = {family: (links[one], first) for family, (one, first) in (staged or {}).items() if one in links}
    promoted = [image for image in images if image.family in links]
    if not promoted:
        return {}
    main = _link(promoted[0].family, "", links, behind)
    partitions = [
        _partition(
            name,
            _link(image.family, name, links, behind),
            partition,
            zone,
            DEFAULT_MACHINES[image.labels.get(ARCHITECTURE_LABEL, "")],
        )
        for image in (promoted[1:] or promoted)
        for name, partition in _named(image)
    ]
    return {"controller_image": main, "login_image": main, "partitions": partitions}


def _link(family: str, partition: str, links: Mapping[str, str], behind: Staged) -> str:
    link, first = behind.get(family, ("", ()))
    return links[family] if not link or partition in first else link


def unknown(file: str, images: Sequence[ImagePlan], staged: Staged) -> list[Problem]:
    """Return a problem in the settings for each partition of ``staged`` that its family does not have."""
    known = {image.family: [name for name, _ in _named(image)] for image in images}
    return [
        Problem(file, 1, f"{PROJECT}:rollout: there is no partition {name}", f"use one of: {', '.join(known[family])}")
        for family, (_, first) in staged.items()
        for name in first
        if name not in known[family]
    ]


def _named(image: ImagePlan) -> Sequence[tuple[str, Partition]]:
    partitions = image.tests.suite.cluster.partitions if image.tests else (Partition("debug"),)
    if len(partitions) == 1:
        return [(image.family, partitions[0])]
    return [(f"{image.family}-{partition.name}", partition) for partition in partitions]


def _partition(name: str, link: str, partition: Partition, zone: str, kind: str) -> dict[str, Any]:
    return {
        "name": name,
        "machine_type": partition.machine_type or kind,
        "image": link,
        "image_hyperthreads": False,
        "static_node_count": 0,
        "max_node_count": partition.nodes,
        "zone": partition.zone or zone,
        "compute_disk_type": "pd-standard",
        "compute_disk_size_gb": partition.disk_size_gb or 50,
        "compute_labels": {},
        "cpu_platform": None,
        "gpu_count": partition.gpu_count,
        "gpu_type": partition.gpu_type or None,
        "gvnic": partition.gvnic,
        "network_storage": [],
        "preemptible_bursting": partition.preemptible,
        "vpc_subnet": None,
        "exclusive": False,
        "enable_placement": partition.compact_placement,
        "regional_capacity": False,
        "regional_policy": None,
        "instance_template": None,
    }
