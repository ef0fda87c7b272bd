"""The logs of an image on Google Cloud: the newest build that made or tried to make it, and its Fluid-Runs."""

from collections.abc import Sequence
from functools import partial

from google.cloud.devtools import cloudbuild_v1

from bakery.backends.base import ImageLogs, RunLogs
from bakery.errors import BakeryError
from bakery.host.google import Google, api_errors, clients
from bakery.library.compute_engine.library import ComputeEngineLibrary
from bakery.library.lookup import pick
from bakery.ovens.cloud_build import builds
from bakery.ovens.cloud_build.watch import log_of
from bakery.settings import Bucket, Settings


def find(settings: Settings, wanted: str) -> ImageLogs:
    """Return the logs of an image, see :meth:`bakery.backends.base.Backend.logs`."""
    google = clients(settings.google)
    library = ComputeEngineLibrary(settings, google)
    try:
        name = pick(wanted, library.listing())
    except BakeryError:
        name = wanted
        if not _builds(google, wanted):
            raise
    build = max(_builds(google, name), key=lambda build: (build.create_time, build.id), default=None)
    results = f"gs://{settings.google.bucket(Bucket.ARTIFACTS)}/results/{name}"
    runs = tuple(
        RunLogs(run.run_id, run.started, run.verdict, run.reason, (f"{results}/{run.run_id}.json",))
        for run in library.runs(name)
    )
    if build is None:
        return ImageLogs(name, "", bytes, (), runs)
    return ImageLogs(name, build.log_url, partial(log_of, google, build), _kept(build), runs)


def _kept(build: cloudbuild_v1.Build) -> tuple[str, ...]:
    if build.status is not cloudbuild_v1.Build.Status.SUCCESS:
        return ()
    objects = build.artifacts.objects
    return tuple(objects.location + path.rpartition("/")[2] for path in objects.paths)


def _builds(google: Google, name: str) -> Sequence[cloudbuild_v1.Build]:
    with api_errors("list builds"):
        return builds.listed(google, f'tags="{name}"')
