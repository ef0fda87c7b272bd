"""Variables of an rcc-tf configuration for a cluster that boots from the images of a plan.

The names of the variables and of a partition's fields are those of FluidNumerics' rcc-tf, ``io.tf``.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from bakery.plan.architecture import ARM
from bakery.plan.image_labels import ARCHITECTURE_LABEL
from bakery.plan.model import ImagePlan, partitions
from bakery.plan.summary import ImageSummary
from bakery.recipe.machine_kinds import NicType, Provisioning
from bakery.recipe.machine_types import boot_disk, disk_fault, first_nic
from bakery.recipe.model import Partition
from bakery.settings.cluster import ClusterSettings

DEFAULT_MACHINES = {"": "n2-standard-4", ARM: "t2a-standard-4"}
_UNNAMED = ClusterSettings()

# Families to the channel that their partitions use, and to those that do not: see bakery.preview.targets.staged.
Staged = Mapping[str, tuple[str, Collection[str]]]


class Boots(NamedTuple):
    """What the machines of a cluster boot: names or links of images. ``partitions`` are by family and own name."""

    controller: str
    login: str
    partitions: Mapping[tuple[str, str], str]


def boots(
    images: Sequence[ImageSummary],
    links: Mapping[str, str],
    staged: Staged | None = None,
    cluster: ClusterSettings = _UNNAMED,
) -> Boots | None:
    """Return what a cluster boots; None without an image for the controller or the login nodes.

    ``links`` maps each promoted family to its image; families without one are left out. ``cluster`` may name the
    families of controller and login, and those with partitions. Otherwise the first of ``images``, a parent of the
    others, is for controller and login, and each other image for partitions: those that its recipe is tested on, named
    ``<family>``, or ``<family>-<partition>`` if there are several.
    Those of ``staged`` boot from the channel's image if it has a link, controller and login too.
    """
    behind = {family: (links[one], first) for family, (one, first) in (staged or {}).items() if one in links}
    promoted = [image for image in images if image.family in links]
    head = cluster.controller or next((image.family for image in promoted), "")
    login = cluster.login or head
    if head not in links or login not in links:
        return None
    computes = [image for image in promoted if image.family not in (head, login)] or promoted
    if cluster.partitions:
        computes = [image for image in promoted if cluster.has_partitions(image.family)]
    return Boots(
        _link(head, "", links, behind),
        _link(login, "", links, behind),
        {
            (image.family, name): _link(image.family, name, links, behind)
            for image in computes
            for name in image.partitions
        },
    )


def variables(
    images: Sequence[ImagePlan],
    links: Mapping[str, str],
    zone: str,
    staged: Staged | None = None,
    cluster: ClusterSettings = _UNNAMED,
) -> dict[str, Any]:
    """Return the images and partitions of a cluster that :func:`boots` from these links; empty if it cannot.

    Partitions without a zone get ``zone``.
    """
    machines = boots(images, links, staged, cluster)
    if machines is None:
        return {}
    found = [
        _partition(
            name,
            machines.partitions[image.family, name],
            partition,
            zone,
            DEFAULT_MACHINES[image.labels.get(ARCHITECTURE_LABEL, "")],
        )
        for image in images
        for name, partition in zip(image.partitions, partitions(image.tests), strict=True)
        if (image.family, name) in machines.partitions
    ]
    return {"controller_image": machines.controller, "login_image": machines.login, "partitions": found}


def _link(family: str, partition: str, links: Mapping[str, str], behind: Staged) -> str:
    link, first = behind.get(family, ("", ()))
    return links[family] if not link or partition in first else link


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
