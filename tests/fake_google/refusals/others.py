"""What Cloud Build, IAM and the services' switch refuse."""

from __future__ import annotations

from typing import Any

from tests.fake_google import roles
from tests.fake_google.cloud import Cloud, Request
from tests.fake_google.refusals.rule import Example, Rule

Json = Any


def _not_connected(cloud: Cloud, request: Request) -> str:
    github = (request.body or {}).get("github")
    if not github or not cloud.conditions.connected:
        return ""
    name = f"{github.get('owner')}/{github.get('name')}"
    place = request.call.path.partition("/locations/")[2].partition("/")[0] or "global"
    known = place in cloud.conditions.connected.get(name, set())
    console = "https://console.cloud.google.com/cloud-build/triggers/connect?project=1"
    text = f"Repository mapping does not exist. Please visit {console} to connect a repository to your project"
    return "" if known else text


def _no_builds_here(cloud: Cloud, request: Request) -> str:
    place = request.call.path.partition("/locations/")[2].partition("/")[0]
    if place in cloud.conditions.no_builds:
        return (
            "failed precondition: due to quota restrictions, cannot run builds in this region. Please contact support"
        )
    return ""


def _rate(cloud: Cloud, request: Request) -> str:
    if request.id not in cloud.conditions.rate:
        return ""
    cloud.conditions.rate.discard(request.id)
    what = "Build Create" if request.id.endswith(".create") else "Build and Operation Get"
    limit = f"quota metric '{what} requests' and limit '{what} requests per minute'"
    return f"Quota exceeded for {limit} of service 'cloudbuild.googleapis.com' for consumer 'project_number:1'."


def _deleted_role(cloud: Cloud, request: Request) -> str:
    roles.forget(cloud)
    name = request.body["roleId"]
    gone = f"{request.key}/{name}" in cloud.conditions.deleted_roles
    return f"You can't create a role_id ({name}) which has been marked for deletion." if gone else ""


def _service_off(cloud: Cloud, request: Request) -> str:
    product, conditions = request.call.method.product, cloud.conditions
    early = product in conditions.too_early
    conditions.too_early.discard(product)
    since = conditions.enabled.get(f"{product}.googleapis.com", cloud.clock())
    exempt = not conditions.service_seconds or product in ("serviceusage", "cloudresourcemanager")
    if not early and (exempt or cloud.clock() - since >= conditions.service_seconds):
        return ""
    console = f"https://console.developers.google.com/apis/api/{product}.googleapis.com/overview?project=1"
    wait = "If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry."
    return (
        f"{product} API has not been used in project 1 before or it is disabled. Enable it by visiting {console} {wait}"
    )


RULES = (
    Rule(
        "service-off",
        "a service works some time after it was enabled, and not before",
        "recordings of errors: Cloud KMS, 403; the reason accessNotConfigured is assumed",
        ("cloudbuild.projects.locations.triggers.list", "*"),
        _service_off,
        Example("GET", "/v1/projects/p/locations/us-central1/triggers", switch={"service_seconds": 60.0}),
        status=403,
        reason="accessNotConfigured",
    ),
    Rule(
        "repository-not-connected",
        "a first-generation repository is connected in a region, and triggers lie in the same one",
        "https://github.com/hashicorp/terraform-provider-google/issues/12913, 2022-11-02; "
        "https://github.com/GoogleCloudPlatform/emblem/issues/815, 2023-03-29",
        ("cloudbuild.projects.triggers.create", "cloudbuild.projects.locations.triggers.create"),
        _not_connected,
        Example(
            "POST",
            "/v1/projects/p/locations/us-central1/triggers",
            {"name": "t", "github": {"owner": "o", "name": "n"}},
            {"connected": {"o/n": {"global"}}},
        ),
        reason="failedPrecondition",
    ),
    Rule(
        "no-builds-in-a-region",
        "some projects may build in few regions only",
        "https://github.com/google-github-actions/deploy-cloudrun/issues/480, 2024-01-09",
        ("cloudbuild.projects.locations.builds.create",),
        _no_builds_here,
        Example(
            "POST",
            "/v1/projects/p/locations/us-central1/builds",
            {"steps": [{"name": "x"}]},
            {"no_builds": {"us-central1"}},
        ),
        reason="failedPrecondition",
    ),
    Rule(
        "rate-limit-of-cloud-build",
        "too many requests to Cloud Build are a 429",
        "https://github.com/google/oss-fuzz/pull/8772, 2022-10-13; "
        "https://github.com/kubernetes/k8s.io/issues/1576, 2021-01-25",
        ("cloudbuild.projects.builds.list", "cloudbuild.projects.builds.create", "cloudbuild.projects.builds.get"),
        _rate,
        Example("GET", "/v1/projects/p/builds", switch={"rate": {"cloudbuild.projects.builds.list"}}),
        status=429,
        reason="rateLimitExceeded",
    ),
    Rule(
        "deleted-role",
        "a deleted custom role can be undeleted for 7 days, and keeps its name for 30 more",
        "https://github.com/terraform-google-modules/terraform-google-bastion-host/issues/14, 2019-11-14",
        ("iam.projects.roles.create",),
        _deleted_role,
        Example(
            "POST",
            "/v1/projects/p/roles",
            {"roleId": "bakeryBaker"},
            {"deleted_roles": {"iam/v1/projects/p/roles/bakeryBaker": 1e12}},
        ),
        reason="failedPrecondition",
    ),
)
