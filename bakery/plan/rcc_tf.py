"""Variables of an rcc-tf configuration for a cluster that boots from the images of a plan.

The names of the variables and of a partition's fields are those of FluidNumerics' rcc-tf, ``io.tf``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bakery.plan.architecture import ARM
from bakery.plan.image_labels import ARCHITECTURE_LABEL
from bakery.plan.model import ImagePlan
from bakery.recipe.model import Partition

DEFAULT_MACHINES = {"": "n2-standard-4", ARM: "t2a-standard-4"}


def variables(images: Sequence[ImagePlan], links: Mapping[str, str], zone: str) -> dict[str, Any]:
    """Return the images and partitions of a cluster; ``links`` maps each promoted family to the link of its image.

    Controller and login boot from the first of ``images``, a parent of the others. Each other image gets the partitions
    that its recipe is tested on, named ``<family>``, or ``<family>-<partition>`` if there are several; those without a
    zone get ``zone``. Families without a link are left out; without any link the result is empty.
    """
    promoted = [image for image in images if image.family in links]
    if not promoted:
        return {}
    main = links[promoted[0].family]
    partitions = [
        _partition(
            name, links[image.family], partition, zone, DEFAULT_MACHINES[image.labels.get(ARCHITECTURE_LABEL, "")]
        )
        for image in (promoted[1:] or promoted)
        for name, partition in _named(image)
    ]
    return {"controller_image": main, "login_image": main, "partitions": partitions}


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
