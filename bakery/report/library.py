"""The library as JSON for ``bakery library --json`` and the reports: images with their last test and figures, runs.

The format is described by ``schemas/library.schema.json``. It leaves out the outputs of jobs, which are in the folder
of each run.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bakery.codec import encode
from bakery.library.base import ImageRecord, Library, Revocation
from bakery.library.derived import content
from bakery.library.revocation import in_force, utc
from bakery.plan.image_labels import ADOPTED_LABEL
from bakery.results.app_runs import without_outputs
from bakery.results.model import Figure, JobResult, RunResult
from bakery.results.trends import job_label, latest, trends

VERSION = 1


def report(library: Library) -> dict[str, Any]:
    """Return the content of the library, newest runs and images last. Raises Uncertain if the library is unreadable."""
    return build(library.images(), library.families(), library.runs(outputs=False), *_revoked(library))


def overview(library: Library) -> dict[str, Any]:
    """Return of the same what a table shows: images and families, without manifests and runs. Raises Uncertain."""
    held = library.listing()
    last = library.last_runs({image.source for image in held.images})
    revoked, now = _revoked(library)
    images = [
        {**vars(image), **_seen(image, last.get(image.source), held.families)}
        | _revocation(revoked.get(content(image.name)), now)
        for image in held.images
    ]
    return {"images": images, "families": held.families}


def bake_times(content: Mapping[str, Any]) -> dict[str, float]:
    """Return the seconds of the last bake of each family in a report. Raises LookupError, TypeError."""
    images = sorted(content["images"], key=lambda image: image["created"])
    return {image["candidate_for"]: image["bake_seconds"] for image in images if image["bake_seconds"]}


def _revoked(library: Library) -> tuple[dict[str, Revocation], str]:
    """Return all revocations by the end of the images' names, and the time."""
    recorded, now = library.revocations(), library.now()
    return {content(one.image): one for one in recorded} | in_force(recorded, now), now


def build(
    images: Sequence[ImageRecord],
    families: Mapping[str, str],
    runs: Sequence[RunResult],
    revoked: Mapping[str, Revocation] | None = None,
    now: str = "",
) -> dict[str, Any]:
    """Return the report of the given records at the time ``now``; ``revoked`` is by the end of the images' names."""
    last = latest(runs)
    over_time = trends(runs, {image.name: image.candidate_for for image in images})
    return {
        "version": VERSION,
        "images": [
            {**encode(image), **_seen(image, last.get(image.source), families)}
            | _revocation((revoked or {}).get(content(image.name)), now)
            for image in images
        ],
        "families": dict(sorted(families.items())),
        "runs": [_run(run) for run in runs],
        "trends": [{**encode(trend), "change": trend.change} for trend in over_time],
    }


def _seen(image: ImageRecord, run: RunResult | None, families: Mapping[str, str]) -> dict[str, Any]:
    return {
        "promoted": families.get(image.family or image.candidate_for) == image.name,
        "tested": run.started if run else "",
        "verdict": run.verdict.value if run else "",
        "figures": _figures(run.jobs) if run else [],
    }


def _revocation(one: Revocation | None, now: str) -> dict[str, Any]:
    if one is None:
        return {}
    return {"revoked": utc(one.at) <= utc(now), "revoke_at": one.at, "revoke_reason": one.reason}


def _figures(jobs: Iterable[JobResult]) -> list[dict[str, Any]]:
    return [figure_json(job_label(job, n), figure) for n, job in enumerate(jobs) for figure in job.figures]


def figure_json(job: str, figure: Figure) -> dict[str, Any]:
    """Return a figure of a job as a JSON object."""
    metric = figure.metric
    return {
        "job": job,
        "name": metric.name,
        "value": figure.value,
        "unit": metric.unit,
        "reference": metric.reference,
        "lower": metric.lower,
        "upper": metric.upper,
        "passed": figure.passed,
    }


def _run(run: RunResult) -> dict[str, Any]:
    jobs = [
        {
            "row": dict(job.row),
            "passed": job.passed,
            "reason": job.reason,
            "figures": [figure_json(job_label(job, position), figure) for figure in job.figures],
        }
        for position, job in enumerate(without_outputs(run).jobs)
    ]
    return {**encode(run), "jobs": jobs}


def by_family(images: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the images of a report ordered by family: the promoted one first, then the newest."""
    newest_first = sorted(images, key=lambda image: str(image["created"]), reverse=True)
    return sorted(newest_first, key=lambda image: (image["candidate_for"], not image["promoted"]))


def summary(report: Mapping[str, Any]) -> str:
    """Return one line with the number of images, families and test runs, and the size of all images."""
    images = report["images"]
    if not images:
        return "The library is empty."
    size = sum({image["digest"]: image["size"] for image in images}.values())
    counts = (("images", "image"), ("families", "family"), ("runs", "test run"))
    words = [_count(len(report[key]), word) for key, word in counts if key in report]
    return f"{', '.join(words)}; {size / 1e9:.1f} GB"


def _count(number_of: int, word: str) -> str:
    plural = word[:-1] + "ies" if word.endswith("y") else word + "s"
    return f"{number_of} {word if number_of == 1 else plural}"


def revocations(images: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a line for each image of a report that is or will be revoked."""
    return [
        f"{image['name']} {'is' if image['revoked'] else 'will be'} revoked, "
        f"{'since' if image['revoked'] else 'at'} {shown_time(image['revoke_at'])}: {image['revoke_reason']}"
        for image in images
        if "revoke_at" in image
    ]


def adoptions(images: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a line for each image of a report that was made elsewhere."""
    origins = [(image["name"], image["labels"].get(ADOPTED_LABEL, "")) for image in images]
    return [f"{name} was adopted from {origin}" for name, origin in origins if origin]


def figure_text(figure: Mapping[str, Any]) -> str:
    """Return "HPL 2.53 GFLOPS", with a mark if it failed; a figure without a value was not found in the output."""
    if figure["value"] is None:
        return f"{figure['name']} not found ✗"
    unit = f" {figure['unit']}" if figure["unit"] else ""
    return f"{figure['name']} {number(figure['value'])}{unit}{'' if figure['passed'] else ' ✗'}"


def number(value: float) -> str:
    """Return a figure with four significant digits: 0.001235, 1.235, 1235, 1.235e+07."""
    return f"{value:.4g}" if abs(value) < 1e4 or abs(value) >= 1e7 else f"{value:.0f}"


def shown_time(text: str) -> str:
    """Return an RFC 3339 time in UTC for people, to the minute."""
    return text[:16].replace("T", " ")


def state_text(image: Mapping[str, Any]) -> str:
    """Return the state of an image in one word; an ACTIVE image that no family points at is a candidate."""
    if image.get("revoked"):
        return "revoked"
    if image["state"] != "ACTIVE":
        return str(image["state"])
    return "ACTIVE" if image["promoted"] else "candidate"
