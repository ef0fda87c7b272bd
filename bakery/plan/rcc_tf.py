"""Variables of an rcc-tf configuration for a cluster that boots from the images of a plan.

The names of the variables and of a partition's fields are those of FluidNumerics' rcc-tf, ``io.tf``.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bakery.plan.architecture import ARM
from bakery.plan.image_labels import ARCHITECTURE_LABEL
from bakery.plan.model import ImagePlan, partitions
from bakery.recipe.machine_types import boot_disk, disk_fault, first_nic
from bakery.recipe.model import NicType, Partition, Provisioning

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


def _named(image: ImagePlan) -> Sequence[tuple[str, Partition]]:
    return [*zip(image.partitions, partitions(image.tests), strict=True)]


def _partition(name: str, link: str, partition: Partition, zone: str, kind: str) -> dict[str, Any]:
    return {
        "name": name,
        "machine_type": partition.machine_type or kind,
        "image": link,
        "image_hyperthreads": partition.threads_per_core == 2,
        "static_node_count": 0,
        "max_node_count": partition.nodes,
        "zone": partition.zone or zone,
        "compute_disk_type": partition.disk_type or _disk(partition.machine_type or kind),
        "compute_disk_size_gb": partition.disk_size_gb or 50,
        "compute_labels": {},
        "cpu_platform": None,
        "gpu_count": partition.gpu_count,
        "gpu_type": partition.gpu_type or None,
        "gvnic": first_nic(partition) is NicType.GVNIC,
        "network_storage": [],
        "preemptible_bursting": partition.provided is Provisioning.SPOT,
        "vpc_subnet": None,
        "exclusive": False,
        "enable_placement": partition.compact_placement,
        "regional_capacity": False,
        "regional_policy": None,
        "instance_template": None,
    }


def _disk(machine: str) -> str:
    """Return the cheapest type of disk that a machine type boots from."""
    return boot_disk(machine) or ("pd-balanced" if disk_fault(machine, "pd-standard") else "pd-standard")
