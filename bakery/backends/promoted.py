"""What consumers can read about a promoted image: the values of the output ``images`` and of ``bakery image``."""

from collections.abc import Iterable, Mapping
from typing import Any

from bakery.backends.base import Backend
from bakery.library.base import ImageRecord, Revocation
from bakery.library.derived import content
from bakery.library.revocation import in_force
from bakery.library.versions import of_labels
from bakery.results.model import RunResult
from bakery.results.trends import job_label


def details(chosen: Backend, records: Iterable[ImageRecord]) -> dict[str, dict[str, Any]]:
    """Map the images to their details. Raises Uncertain."""
    records = tuple(records)
    library = chosen.existing_library()
    if library is None or not records:
        return {}
    recorded = library.revocations()
    due = in_force(recorded, library.now())
    revoked = {content(one.image): one for one in recorded} | due
    runs = library.last_runs({record.source for record in records})
    return {
        record.name: describe(
            chosen,
            record,
            runs.get(record.source),
            revoked.get(content(record.name)),
            in_use=content(record.name) not in due,
        )
        for record in records
    }


def describe(
    chosen: Backend, record: ImageRecord, run: RunResult | None, revocation: Revocation | None, *, in_use: bool
) -> dict[str, Any]:
    """Return the details of an image. Times are RFC 3339 in UTC, "" for none.

    ``instance_image`` is the form of Cluster Toolkit's modules, empty for images outside of a project. ``versions`` are
    those of the software that its tests found.
    """
    project = chosen.location.get("project")
    return {
        "name": record.name,
        "self_link": record.location,
        "channel": record.channel,
        "state": record.state.value,
        "tested_at": run.started if run else "",
        "tested_on": chosen.settings.bases.value if run else "never",
        "figures": _figures(run) if run else [],
        "revoked": not in_use,
        "revoke_at": revocation.at if revocation else "",
        "instance_image": {"name": record.name, "project": project} if project else {},
        "versions": of_labels(record.labels),
    }


def copy_links(project: str, image: str) -> dict[str, Any]:
    """Return what consumers can read about a copy of an image in another project."""
    link = f"projects/{project}/global/images/{image}"
    return {
        "project": project,
        "link": link,
        "self_link": f"https://www.googleapis.com/compute/v1/{link}",
        "instance_image": {"name": image, "project": project},
    }


def _figures(run: RunResult) -> list[Mapping[str, Any]]:
    return [
        {
            "job": job_label(job, number),
            "name": figure.metric.name,
            "value": figure.value,
            "unit": figure.metric.unit,
            "passed": figure.passed,
        }
        for number, job in enumerate(run.jobs)
        for figure in job.figures
    ]
