"""The images as variables of an rcc-tf configuration: a ``*.auto.tfvars.json`` that Terraform reads by itself.

Names and types are those of FluidNumerics' rcc-tf, ``io.tf``: ``cluster_name``, ``project`` and ``zone`` have no
default there, every field of a partition must be given, and images are names or links of Compute Engine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from bakery.errors import BakeryError

FILE = "images.auto.tfvars.json"
CLUSTER = ("cluster_name", "project", "zone")
IMAGES = ("controller_image", "login_image")
# A partition's fields: the types that Terraform takes; None stands for null.
PARTITION: Mapping[str, tuple[type | None, ...]] = {
    "name": (str,),
    "machine_type": (str,),
    "max_node_count": (int,),
    "zone": (str,),
    "image": (str,),
    "image_hyperthreads": (bool,),
    "compute_disk_type": (str,),
    "compute_disk_size_gb": (int,),
    "compute_labels": (dict, None),
    "cpu_platform": (str, None),
    "gpu_type": (str, None),
    "gpu_count": (int,),
    "gvnic": (bool,),
    "network_storage": (list,),
    "preemptible_bursting": (bool,),
    "vpc_subnet": (str, None),
    "exclusive": (bool,),
    "enable_placement": (bool,),
    "regional_capacity": (bool,),
    "regional_policy": (dict, None),
    "instance_template": (str, None),
    "static_node_count": (int,),
}
_CLUSTER_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_LINK = re.compile(r"(https://[^/]+/compute/[^/]+/)?projects/[^/]+/global/images/(family/)?[a-z][-a-z0-9]*")


def variables(outputs: Mapping[str, Any], cluster_name: str, project: str, zone: str) -> dict[str, Any]:
    """The stack output ``rcc_tf`` with what else rcc-tf needs; partitions without a zone are put into ``zone``."""
    partitions = [{**partition, "zone": partition.get("zone") or zone} for partition in outputs.get("partitions", ())]
    cluster = {"cluster_name": cluster_name, "project": project, "zone": zone}
    return {**cluster, **outputs, "partitions": partitions}


def problems(given: Mapping[str, Any]) -> tuple[str, ...]:
    """What rcc-tf or Compute Engine would refuse, in words; empty when nothing."""
    found = [f"{name} is missing" for name in (*CLUSTER, *IMAGES) if not given.get(name)]
    if given.get("cluster_name") and not _CLUSTER_NAME.fullmatch(given["cluster_name"]):
        found.append(
            f"cluster_name {given['cluster_name']!r} must be lower-case letters, digits and dashes, at most 63"
        )
    images = [(name, given[name]) for name in IMAGES if given.get(name)]
    partitions = given.get("partitions", [])
    if not partitions:
        found.append("partitions is empty")
    for number, partition in enumerate(partitions):
        title = f"partitions[{number}]"
        found += _partition(title, partition)
        images.append((f"{title}.image", str(partition.get("image", ""))))
    names = [partition.get("name") for partition in partitions]
    found += [f"two partitions are named {name}" for name in sorted({n for n in names if names.count(n) > 1})]
    wrong = [
        f"{where} {image!r} is no image of Compute Engine" for where, image in images if not _LINK.fullmatch(image)
    ]
    return (*found, *wrong)


def _partition(title: str, partition: Mapping[str, Any]) -> list[str]:
    found = [f"{title}.{name} is missing" for name in PARTITION if name not in partition]
    found += [f"{title}.{name} is no field of a partition" for name in partition if name not in PARTITION]
    for name, kinds in PARTITION.items():
        value = partition.get(name)
        if name in partition and not _fits(value, kinds):
            found.append(f"{title}.{name} is {value!r}")
    if partition.get("zone") == "":
        found.append(f"{title}.zone is empty")
    return found


def _fits(value: object, kinds: tuple[type | None, ...]) -> bool:
    if value is None:
        return None in kinds
    if isinstance(value, bool) and bool not in kinds:
        return False
    return isinstance(value, tuple(kind for kind in kinds if kind is not None))


def render(outputs: Mapping[str, Any], cluster_name: str, project: str, zone: str) -> str:
    """The file's text. Raises BakeryError with everything that rcc-tf would refuse."""
    made = variables(outputs, cluster_name, project, zone)
    wrong = problems(made)
    if wrong:
        local = any("no image of Compute Engine" in line for line in wrong)
        raise BakeryError(
            "\n".join(("these images make no rcc-tf configuration:", *wrong)),
            hint="images of the local oven boot with QEMU only; use a stack with oven: cloud-build" if local else "",
        )
    return json.dumps(made, indent=2) + "\n"
