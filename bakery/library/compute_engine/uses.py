"""What uses images of a project: disks, and instance templates, from which instance groups make machines.

A machine keeps running without its image. But a disk shows where it came from, and a template without its image makes
no machine. What other projects make from shared images cannot be seen.
"""

import re
from collections.abc import Iterator

from bakery.host.google import RETRY, TIMEOUT_SECONDS, Google, api_errors


def uses(google: Google) -> dict[str, str]:
    """Map the names of the project's images to what uses them. Raises Uncertain, BakeryError."""
    pattern = re.compile(rf"(?:.*/)?projects/{re.escape(google.project)}/global/images/([^/]+)")
    found = [*_disks(google), *_templates(google)]
    return {match[1]: user for source, user in found if (match := pattern.fullmatch(source))}


def _disks(google: Google) -> Iterator[tuple[str, str]]:
    from google.cloud import compute_v1

    request = compute_v1.AggregatedListDisksRequest(project=google.project, max_results=500)
    with api_errors("look for disks that were made from images"):
        for zone, scoped in google.disks.aggregated_list(request=request, retry=RETRY, timeout=TIMEOUT_SECONDS):
            for disk in scoped.disks:
                machines = ", ".join(user.rpartition("/")[2] for user in disk.users)
                where = f" in {zone.rpartition('/')[2]}" + (f" of the machine {machines}" if machines else "")
                yield disk.source_image, f"the disk {disk.name}{where} was made from it"


def _templates(google: Google) -> Iterator[tuple[str, str]]:
    from google.cloud import compute_v1

    request = compute_v1.AggregatedListInstanceTemplatesRequest(project=google.project, max_results=500)
    with api_errors("look for instance templates that name images"):
        pages = google.instance_templates.aggregated_list(request=request, retry=RETRY, timeout=TIMEOUT_SECONDS)
        for _, scoped in pages:
            for template in scoped.instance_templates:
                for disk in template.properties.disks:
                    yield disk.initialize_params.source_image, f"the instance template {template.name} boots from it"
