"""Values for those who use the images: the stack's outputs, as pure functions of the plan.

Names of rcc-tf's variables and of a partition's fields are those of its ``io.tf``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bakery.backends.base import Backend
from bakery.plan.model import ImagePlan, Plan
from bakery.recipe.model import Partition


def images(backend: Backend, plan: Plan, names: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Family to what stands behind it. ``names`` maps the families that are promoted to their image's name."""
    return {
        image.family: {
            "image": names[image.family],
            "digest": image.digest,
            "link": backend.image_link(names[image.family], image.digest),
            "package": image.package,
            "variant": image.variant,
            "tested": image.tests is not None,
        }
        for image in plan.images
        if image.family in names
    }


def rcc_tf(backend: Backend, plan: Plan, names: Mapping[str, str]) -> dict[str, Any]:
    """The variables that an rcc-tf configuration takes for a cluster of these images.

    Controller and login boot from the first image (the one most others are baked from, as a parent stands first); all
    other images get partitions: what their recipe is tested on, named ``<family>``, or ``<family>-<partition>``
    when there are several. Empty when no image is promoted.
    """
    there = [image for image in plan.images if image.family in names]
    if not there:
        return {}
    first = there[0]
    main = backend.image_link(names[first.family], first.digest)
    partitions = [
        _partition(backend, image, names[image.family], partition, title)
        for image in (there[1:] or there)
        for title, partition in _titled(image)
    ]
    return {"controller_image": main, "login_image": main, "partitions": partitions}


def _titled(image: ImagePlan) -> Sequence[tuple[str, Partition]]:
    partitions = image.tests.suite.cluster.partitions if image.tests else (Partition("debug"),)
    if len(partitions) == 1:
        return [(image.family, partitions[0])]
    return [(f"{image.family}-{partition.name}", partition) for partition in partitions]


def _partition(backend: Backend, image: ImagePlan, name: str, partition: Partition, title: str) -> dict[str, Any]:
    zones = backend.settings.google.zones
    return {
        "name": title,
        "machine_type": partition.machine_type or "n2-standard-4",
        "image": backend.image_link(name, image.digest),
        "image_hyperthreads": False,
        "static_node_count": 0,
        "max_node_count": partition.nodes,
        "zone": partition.zone or (zones[0] if zones else ""),
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
