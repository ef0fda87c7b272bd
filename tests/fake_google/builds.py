"""Cloud Build: builds that run a scripted course, and triggers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.fake_google import baking, compute, crud, defaults, grants, templates
from tests.fake_google.cloud import Answer, Cloud, Refusal, Request, handles, rfc3339
from tests.fake_google.identity import NUMBER

Json = Any
DONE = {"SUCCESS", "FAILURE", "INTERNAL_ERROR", "TIMEOUT", "CANCELLED", "EXPIRED"}


@dataclass
class Course:
    """How a build goes: how long it waits and works (seconds), its end, what it logs line by line, what it leaves.

    If it is ``preempted``, Compute Engine takes the machine back at the end, if that is a spot one.
    With ``makes_image`` the image that ``_IMAGE_NAME`` names is there when the build ends well; as Packer without
    -force, a build fails when it was there before.
    """

    queued: float = 0.0
    seconds: float = 0.0
    status: str = "SUCCESS"
    log: tuple[str, ...] = ("starting build", "packer: ready")
    detail: str = ""
    failure: str = "USER_BUILD_STEP"
    makes_image: bool = True
    preempted: bool = False


Script = Callable[[Json], Course]


def script(cloud: Cloud, choose: Script) -> None:
    """Set how coming builds go, by their request."""
    cloud.items["course"] = choose


def write_log(cloud: Cloud, build: Json, lines: tuple[str, ...]) -> None:
    """Write the whole log of a build into its bucket."""
    bucket = build.get("logsBucket", f"gs://{build['projectId']}_cloudbuild").removeprefix("gs://").partition("/")
    prefix = f"{bucket[2].rstrip('/')}/" if bucket[2] else ""
    name = f"{prefix}log-{build['id']}.txt"
    key = f"storage/storage/v1/b/{bucket[0]}/o/{name}"
    content = "".join(f"{line}\n" for line in lines).encode()
    cloud.media[key] = content
    cloud.items[key] = {
        "kind": "storage#object",
        "bucket": bucket[0],
        "name": name,
        "size": str(len(content)),
        "generation": cloud.number(),
    }


def _start(cloud: Cloud, build: Json) -> None:
    if build["status"] == "QUEUED":
        build |= {"status": "WORKING", "startTime": rfc3339(time.time())}


# What Packer's shell provisioner says when the connection is lost: provisioner/shell/provisioner.go.
DISCONNECTED = "==> googlecompute: Script disconnected unexpectedly. If you expected your script to disconnect, i.e."


def finish(cloud: Cloud, build: Json, course: Course) -> None:
    """End a build, as the course says."""
    if build["status"] in DONE:
        return
    if course.preempted and any(builder.get("preemptible") for builder in templates.builders(cloud, build)):
        compute.preempt(cloud, build["projectId"], build["substitutions"]["_ZONE"], f"bake-{build['id']}")
        course = Course(status="FAILURE", log=(*course.log, DISCONNECTED), detail="Packer ended with 1")
    substitutions = build.get("substitutions", {})
    if course.status == "SUCCESS" and course.makes_image and substitutions.get("_IMAGE_NAME"):
        collection = f"compute/compute/v1/projects/{build['projectId']}/global/images"
        labels = dict(pair.split("=", 1) for pair in substitutions.get("_IMAGE_LABELS", "").split(",") if "=" in pair)
        if f"{collection}/{substitutions['_IMAGE_NAME']}" in cloud.items:
            complaint = f"==> googlecompute: Image {substitutions['_IMAGE_NAME']} already exists."
            course = Course(status="FAILURE", log=(*course.log, complaint), detail="Packer ended with 1")
        else:
            made_for = {"architecture": baking.baked_for(cloud, build)}
            compute.add_image(cloud, collection, {"name": substitutions["_IMAGE_NAME"], "labels": labels, **made_for})
    build |= {"status": course.status, "finishTime": rfc3339(time.time())}
    if course.detail:
        build["failureInfo"] = {"type": course.failure, "detail": course.detail}
    write_log(cloud, build, course.log)


@handles("cloudbuild.projects.builds.create", "cloudbuild.projects.locations.builds.create")
def create_build(cloud: Cloud, request: Request) -> Answer:
    """Submit a build: QUEUED, then its course."""
    project = request.call.params.get("projectId") or request.call.params["parent"].split("/")[1]
    if not request.body.get("steps"):
        raise Refusal(400, "invalid build: no build steps are specified")
    identity = cloud.fresh_id()
    region = request.call.params.get("parent", "global").rpartition("/")[2]
    pool = request.body.get("options", {}).get("pool", {}).get("name", "")
    if pool and f"/locations/{region}/" not in pool:
        raise Refusal(400, f"invalid build: the worker pool {pool} is not in the build's region {region}")
    build = {
        **request.body,
        "id": identity,
        "name": f"projects/{project}/locations/{region}/builds/{identity}",
        "projectId": project,
        "status": "QUEUED",
        "createTime": rfc3339(time.time()),
        "logUrl": f"https://console.cloud.google.com/cloud-build/builds/{identity}?project={project}",
    }
    cloud.items[f"cloudbuild/v1/projects/{project}/builds/{identity}"] = build
    metadata = {"@type": "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata", "build": build}
    begun = Answer({"name": f"operations/build/{project}/{identity}", "metadata": metadata})
    if cloud.worker:
        cloud.worker.submit(build)
        return begun
    choose: Script = cloud.items.get("course", lambda _build: Course())
    course = choose(build)
    if line := baking.refused(cloud, build):
        course = Course(status="FAILURE", log=(*course.log, line), detail="step exited with 1", makes_image=False)
    if roles := grants.lacking(cloud, build):
        detail = f"could not fetch the source: 403, {build['serviceAccount']} lacks {', '.join(roles)}"
        course = Course(status="FAILURE", failure="FETCH_SOURCE_FAILED", detail=detail, makes_image=False)
    now = time.time()
    steps = max(len(course.log), 1)
    cloud.at(now + course.queued, lambda: _start(cloud, build))
    for done in range(1, steps):
        when = now + course.queued + course.seconds * done / steps
        cloud.at(when, lambda lines=course.log[:done]: build["status"] not in DONE and write_log(cloud, build, lines))  # type: ignore[misc]
    cloud.at(now + course.queued + course.seconds, lambda: finish(cloud, build, course))
    return begun


def _find(cloud: Cloud, request: Request) -> Json:
    match = re.search(r"projects/([^/]+)/.*?builds/([^/:]+)", request.key)
    assert match is not None
    return cloud.get(f"cloudbuild/v1/projects/{match[1]}/builds/{match[2]}")


@handles("cloudbuild.projects.builds.get", "cloudbuild.projects.locations.builds.get")
def get_build(cloud: Cloud, request: Request) -> Answer:
    """A build as it stands."""
    return Answer(_find(cloud, request))


@handles("cloudbuild.projects.builds.cancel", "cloudbuild.projects.locations.builds.cancel")
def cancel_build(cloud: Cloud, request: Request) -> Answer:
    """End a build that runs."""
    build = _find(cloud, request)
    if build["status"] in DONE:
        raise Refusal(400, f"cannot cancel: build is {build['status']}", status="FAILED_PRECONDITION")
    build |= {"status": "CANCELLED", "finishTime": rfc3339(time.time())}
    return Answer(build)


def _selected(build: Json, expression: str) -> bool:
    """Whether the filter fits: ``field="value"`` joined by AND or OR.

    OR is what gcloud sends for ``builds list --filter "tags:(a,b)"``: googlecloudsdk/api_lib/cloudbuild/
    filter_rewrite.py of the Google Cloud CLI, read 2026-11-30.
    """
    for clause in re.split(r"\s+AND\s+", expression):
        match = re.fullmatch(r'\(?\s*([\w.]+)\s*(!?=|:)\s*"?([^"]*)"?\s*\)?', clause)
        if not match:
            alternatives = re.findall(r'(\w+)\s*=\s*"?([\w.-]+)"?', clause)
            if " OR " in clause and any(_selected(build, f'{k}="{v}"') for k, v in alternatives):
                continue
            if " OR " in clause:
                return False
            raise Refusal(400, f"invalid filter: {expression}")
        name, sign, value = match.groups()
        found = value in build.get("tags", []) if name == "tags" else str(build.get(name, "")) == value
        if found == (sign == "!="):
            return False
    return True


@handles("cloudbuild.projects.builds.list", "cloudbuild.projects.locations.builds.list")
def list_builds(cloud: Cloud, request: Request) -> Answer:
    """Builds, newest first, filtered by status and tags."""
    project = re.search(r"projects/([^/]+)/", request.key)
    assert project is not None
    region = request.call.params.get("parent", "global").rpartition("/")[2]
    every = cloud.below(f"cloudbuild/v1/projects/{project[1]}/builds")[::-1]
    found = [build for build in every if f"/locations/{region}/" in build.get("name", "/locations/global/")]
    if request.query.get("filter"):
        found = [build for build in found if _selected(build, request.query["filter"])]
    return crud.page(cloud, request, found)


@handles("cloudbuild.projects.triggers.create", "cloudbuild.projects.locations.triggers.create")
def create_trigger(cloud: Cloud, request: Request) -> Answer:
    """A trigger gets an id, and is found by its id or its name."""
    if any(t.get("name") == request.body.get("name") for t in cloud.below(request.key)):
        raise Refusal(409, f"trigger ({NUMBER}, {request.body.get('name')}) already exists")
    identity = cloud.fresh_id()
    path = request.call.path.partition("/v1/")[2]
    body = defaults.added(request.id, dict(request.body))
    item = {**body, "id": identity, "resourceName": f"{path}/{identity}", "createTime": rfc3339(time.time())}
    return Answer(cloud.add(f"{request.key}/{identity}", item))


@handles("cloudbuild.projects.triggers.patch", "cloudbuild.projects.locations.triggers.patch")
def patch_trigger(cloud: Cloud, request: Request) -> Answer:
    """Replace a trigger, all but what the server gave it."""
    item = cloud.get(request.key)
    kept = {key: item[key] for key in ("id", "resourceName", "createTime")}
    item.clear()
    item |= {**request.body, **kept}
    return Answer(item)
