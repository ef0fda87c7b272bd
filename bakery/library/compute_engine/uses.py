"""What uses images of a project: disks, and instance templates, from which instance groups make machines.

A machine keeps running without its image. But a disk shows where it came from, and a template without its image makes
no machine. What other projects make from shared images cannot be seen.
"""

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bakery.host.google import Google, api_errors
from bakery.host.pages import compute_everywhere


def uses(google: Google) -> dict[str, str]:
    """Map the names of the project's images to what uses them. Raises Uncertain, BakeryError."""
    # Whoever makes a template may leave the project out.
    own = re.compile(rf"(?:(?:.*/)?projects/{re.escape(google.project)}/)?global/images/([^/]+)")
    lists: tuple[Callable[[Google], list[tuple[str, str]]], ...] = (_disks, _templates)
    with ThreadPoolExecutor(len(lists)) as pool:
        found = [use for each in pool.map(lambda look: look(google), lists) for use in each]
    return {match[1]: user for source, user in found if (match := own.fullmatch(source))}


def _disks(google: Google) -> list[tuple[str, str]]:
    with api_errors("look for disks that were made from images"):
        return [
            (disk.get("sourceImage", ""), f"the disk {disk['name']}{_where(zone, disk)} was made from it")
            for zone, disk in compute_everywhere(google, "disks", maxResults="500")
        ]


def _where(zone: str, disk: Mapping[str, Any]) -> str:
    machines = ", ".join(user.rpartition("/")[2] for user in disk.get("users", ()))
    return f" in {zone}" + (f" of the machine {machines}" if machines else "")


def _templates(google: Google) -> list[tuple[str, str]]:
    with api_errors("look for instance templates that name images"):
        return [
            (
                disk.get("initializeParams", {}).get("sourceImage", ""),
                f"the instance template {template['name']} boots from it",
            )
            for _, template in compute_everywhere(google, "instanceTemplates", maxResults="500")
            for disk in template.get("properties", {}).get("disks", ())
        ]
