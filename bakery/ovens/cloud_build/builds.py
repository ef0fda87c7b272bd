"""Calls of Cloud Build: global builds, or those of the region of a private pool, which takes no others.

Source: "Run builds in a private pool" and the REST reference of Cloud Build: a build of a region has a name with its
location, and methods of their own list, read and cancel it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from google.api_core.retry import Retry
from google.cloud.devtools import cloudbuild_v1
from google.protobuf.json_format import ParseError

from bakery.errors import BakeFailed
from bakery.host.google import RETRY, TIMEOUT_SECONDS, Google

CLOUD_BUILD = "https://cloudbuild.googleapis.com"


def message(request: Mapping[str, Any], package: str) -> cloudbuild_v1.Build:
    """Return a build from its JSON, which is made from the package's own. Raises BakeFailed."""
    try:
        build: cloudbuild_v1.Build = cloudbuild_v1.Build.from_json(json.dumps(request))
    except ParseError as error:
        raise BakeFailed(f"cloudbuild.yaml of {package} is not a valid build: {error}") from error
    return build


def create(google: Google, build: cloudbuild_v1.Build) -> cloudbuild_v1.Build:
    """Submit a build, once, and return it as it was accepted. Raises the errors of the client."""
    request = cloudbuild_v1.CreateBuildRequest(**_place(google), build=build)
    submitted: cloudbuild_v1.Build = google.builds.create_build(request=request, timeout=TIMEOUT_SECONDS).metadata.build
    return submitted


def listed(google: Google, condition: str) -> Sequence[cloudbuild_v1.Build]:
    """Return the builds that fit a filter. Raises the errors of the client."""
    request = cloudbuild_v1.ListBuildsRequest(**_place(google), filter=condition, page_size=200)
    return list(google.builds.list_builds(request=request, retry=RETRY, timeout=TIMEOUT_SECONDS))


def oldest(found: Sequence[cloudbuild_v1.Build], statuses: Sequence[int]) -> cloudbuild_v1.Build | None:
    """Return the build that was submitted first of those with one of the statuses."""
    fitting = [build for build in found if build.status in statuses]
    return min(fitting, key=lambda build: (build.create_time, build.id), default=None)


def read(google: Google, identity: str) -> cloudbuild_v1.Build:
    """Return a build by its id. Raises the errors of the client."""
    request = cloudbuild_v1.GetBuildRequest(**_one(google, identity))
    return google.builds.get_build(request=request, retry=RETRY, timeout=TIMEOUT_SECONDS)


def cancel(google: Google, identity: str, retry: Retry) -> None:
    """Cancel a build by its id. Raises the errors of the client.

    The request has id and project in its body, and with these the client would ask for a global build.
    """
    where = _one(google, identity)
    if "name" in where:
        body = {**where, "projectId": google.project, "id": identity}
        retry(google.ask)("POST", CLOUD_BUILD, f"v1/{where['name']}:cancel", json=body)
    else:
        request = cloudbuild_v1.CancelBuildRequest(**where)
        google.builds.cancel_build(request=request, retry=retry, timeout=TIMEOUT_SECONDS)


def _place(google: Google) -> dict[str, str]:
    """Return the fields that say where builds are; both would make the client ask for global ones."""
    region = google.settings.build_region
    return {"parent": f"projects/{google.project}/locations/{region}"} if region else {"project_id": google.project}


def _one(google: Google, identity: str) -> dict[str, str]:
    region = google.settings.build_region
    if region:
        return {"name": f"projects/{google.project}/locations/{region}/builds/{identity}"}
    return {"project_id": google.project, "id": identity}
