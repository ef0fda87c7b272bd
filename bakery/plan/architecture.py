"""The architecture of an image's processor, and which machine types have it.

Sources: Compute Engine's "Arm VMs on Compute Engine" of 2026 (machine series), the options ``image_architecture`` and
``machine_type`` of Packer's googlecompute builder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bakery.recipe.model import ClusterShape, Json

ARM, X86 = "arm64", "x86_64"
ARM_SERIES = ("t2a", "c4a", "n4a", "a4x")
# Projects whose images for Arm say so in their names. Source: "Operating system details" of Compute Engine.
_PUBLIC = r"(almalinux|debian|rocky-linux|ubuntu-os)-cloud/(almalinux|debian|rocky-linux|ubuntu(-\w+)?)-\d.*"
DEFAULT_TYPE = "e2-standard-2"  # of the plugin; older ones had another of the same architecture
_TYPE = r"[a-z][a-z0-9]*-[a-z0-9-]+"
HINT = f"{ARM} has {', '.join(f'{series}-*' for series in ARM_SERIES)}; a family each for two architectures: a matrix"


def of_machine_type(name: str) -> str:
    """Return the architecture of a machine type's processors; "" if it is not known."""
    if not re.fullmatch(_TYPE, name):
        return ""
    return ARM if name.partition("-")[0] in ARM_SERIES else X86


def of_image(template: Json, variables: Mapping[str, str]) -> tuple[str, str]:
    """Return the architecture of the image, and the type of the machine that bakes it; "" for what is not known.

    The architecture is what the template says, else that of the machine.
    """
    # Here, since a plan without changes needs only this module's names.
    from bakery.plan.template import builder
    from bakery.recipe.expressions import fill
    from bakery.recipe.templating import GOOGLE_BUILDER

    options = builder(template)
    default = DEFAULT_TYPE if options.get("type") == GOOGLE_BUILDER else ""
    values = (
        fill(str(options.get(name) or missing), variables)
        for name, missing in (("image_architecture", ""), ("machine_type", default))
    )
    said, machine = ("" if "{{" in value or "$" in value else value for value in values)
    return said.lower() or of_machine_type(machine), machine


def of_base(base: str) -> str:
    """Return the architecture of a public image or family, ``<project>/<family>``; "" if it is not known."""
    if not re.fullmatch(_PUBLIC, base):
        return ""
    return ARM if f"-{ARM}-" in f"{base}-" else X86


def fault(image: str, machine: str, cluster: ClusterShape | None, base: str) -> str:
    """Return which machine can't run the image or its base, of its bake and of its tests; "" if all can.

    ``image`` and ``machine`` are those of :func:`of_image`, ``base`` is ``<project>/<family>`` of the base image. What
    is not known has no fault.
    """
    if image and image not in (ARM, X86):
        return f"{image} is not an architecture of images: {X86} or {ARM}"
    if image and (has := of_base(base)) not in (image, ""):
        return f"the image is for {image}, and its base {base} for {has}"
    machines = {"machine_type": machine}
    if cluster:
        machines |= {f"machine_type of partition {part.name}": part.machine_type for part in cluster.partitions}
        machines |= {"controller_machine_type": cluster.controller_machine_type}
        machines |= {"login_machine_type": cluster.login_machine_type}
    for what, name in machines.items():
        has = of_machine_type(name)
        if image and has and has != image:
            return f"the image is for {image}, and {what} {name} has {has}"
    return ""
