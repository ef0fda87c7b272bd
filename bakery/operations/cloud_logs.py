"""The logs of an image of a Google Cloud stack: the newest build that made or tried to make it, and its Fluid-Runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from google.cloud.devtools import cloudbuild_v1

from bakery.errors import BakeryError
from bakery.host.google import RETRY, TIMEOUT_SECONDS, Google, api_errors
from bakery.library.compute_engine.library import ComputeEngineLibrary
from bakery.library.lookup import pick
from bakery.ovens.cloud_build.watch import log_of
from bakery.results.model import RunResult
from bakery.settings import Settings
from bakery.settings.google import Bucket


@dataclass(frozen=True)
class CloudLogs:
    """``url`` and ``text`` of the build's log are empty when no build is known any more.

    ``kept`` are the files that it brought back (``spack.lock``), as gs://...
    """

    image: str
    url: str
    text: str
    kept: Sequence[str]
    runs: Sequence[RunResult]
    results: str  # where the runs' results lie, as gs://...


def find(settings: Settings, wanted: str) -> CloudLogs:
    """The logs of the image that ``wanted`` fits; one whose build failed is found by its name.

    Raises BakeryError when nothing or more than one image fits, Uncertain.
    """
    google = Google(settings.google)
    library = ComputeEngineLibrary(settings, google)
    try:
        name = pick(wanted, library.images(), library.families())
    except BakeryError:
        name = wanted
        if not _builds(google, wanted):
            raise
    build = max(_builds(google, name), key=lambda build: (build.create_time, build.id), default=None)
    bucket = settings.google.bucket(Bucket.ARTIFACTS)
    return CloudLogs(
        image=name,
        url=build.log_url if build else "",
        text=log_of(google, build).decode("utf-8", "replace") if build else "",
        kept=_kept(build) if build else (),
        runs=library.runs(name),
        results=f"gs://{bucket}/results/{name}/",
    )


def _kept(build: cloudbuild_v1.Build) -> tuple[str, ...]:
    if build.status is not cloudbuild_v1.Build.Status.SUCCESS:
        return ()
    objects = build.artifacts.objects
    return tuple(objects.location + path.rpartition("/")[2] for path in objects.paths)


def _builds(google: Google, name: str) -> list[cloudbuild_v1.Build]:
    request = cloudbuild_v1.ListBuildsRequest(project_id=google.project, filter=f'tags="{name}"')
    with api_errors("list builds"):
        return list(google.builds.list_builds(request=request, retry=RETRY, timeout=TIMEOUT_SECONDS))
