"""IAM, service usage and the project itself."""

from __future__ import annotations

import re
from typing import Any

from tests.fake_google import crud, words
from tests.fake_google.cloud import Answer, Cloud, Refusal, Request, handles

Json = Any
NUMBER = "123456789012"  # of every project
STORAGE_AGENT = f"service-{NUMBER}@gs-project-accounts.iam.gserviceaccount.com"
COMPUTE_AGENT = f"service-{NUMBER}@compute-system.iam.gserviceaccount.com"  # there with the service


def agent(service: str) -> str:
    """The address of a service's own account, which the question for its identity makes."""
    if service == "bigquery":
        return f"bq-{NUMBER}@bigquery-encryption.iam.gserviceaccount.com"
    return f"service-{NUMBER}@gcp-sa-{service}.iam.gserviceaccount.com"


@handles("iam.projects.serviceAccounts.create")
def create_account(cloud: Cloud, request: Request) -> Answer:
    """A service account, named by its e-mail address."""
    project = request.call.params["name"].partition("/")[2]
    account = request.body["accountId"]
    if not re.fullmatch(r"[a-z]([-a-z0-9]{4,28}[a-z0-9])", account):
        raise Refusal(
            400, f"The account ID {account!r} has to be 6 to 30 characters, lowercase letters, digits, hyphens"
        )
    address = f"{account}@{project}.iam.gserviceaccount.com"
    item = {
        **request.body.get("serviceAccount", {}),
        "name": f"projects/{project}/serviceAccounts/{address}",
        "projectId": project,
        "uniqueId": cloud.number(),
        "email": address,
        "etag": "MDEwMjE5MjA=",
        "oauth2ClientId": cloud.number(),
    }
    return Answer(cloud.add(f"{request.key}/{address}", item))


@handles("iam.projects.serviceAccounts.get")
def get_account(cloud: Cloud, request: Request) -> Answer:
    """An account, also under ``projects/-``."""
    address = request.key.rpartition("/")[2]
    found = [v for k, v in cloud.items.items() if k.startswith("iam/") and k.endswith(f"/serviceAccounts/{address}")]
    if not found:
        raise Refusal(404, words.absent(request.key))
    return Answer(found[0])


@handles("iam.projects.serviceAccounts.disable", "iam.projects.serviceAccounts.enable")
def disable_account(cloud: Cloud, request: Request) -> Answer:
    """Disable an account, or enable it again."""
    key, _, verb = request.key.rpartition(":")
    cloud.get(key)["disabled"] = verb == "disable"
    return Answer({})


@handles("iam.projects.serviceAccounts.patch")
def patch_account(cloud: Cloud, request: Request) -> Answer:
    """Change what the mask names of an account; the answer has just that and the name."""
    item = cloud.get(request.key)
    mask = [re.sub(r"_(\w)", lambda letter: letter[1].upper(), name) for name in request.body["updateMask"].split(",")]
    changed = {name: request.body["serviceAccount"][name] for name in mask}
    item |= changed
    return Answer({**changed, "name": item["name"]})


def _service(name: str) -> Json:
    """A service; the API names projects by their numbers."""
    return {"name": f"projects/{NUMBER}/services/{name}", "state": "ENABLED", "parent": f"projects/{NUMBER}"}


def _collection(request: Request) -> str:
    return re.sub(r"/services.*", "/services", request.key)


@handles("serviceusage.services.enable", "serviceusage.services.batchEnable")
def enable(cloud: Cloud, request: Request) -> Answer:
    """Enable services."""
    one = request.key.rpartition("/")[2].removesuffix(":enable")
    names = (request.body or {}).get("serviceIds") or [one]
    services = [_service(name) for name in names]
    for service in services:
        cloud.items[f"{_collection(request)}/{service['name'].rpartition('/')[2]}"] = service
    response = {"services": services} if request.id.endswith("batchEnable") else {"service": services[0]}
    return Answer(crud.operation(cloud, request, "enable", request.key, response))


@handles("serviceusage.services.disable")
def disable(cloud: Cloud, request: Request) -> Answer:
    """Disable a service."""
    key = request.key.removesuffix(":disable")
    cloud.items.pop(key, None)
    service = _service(key.rpartition("/")[2]) | {"state": "DISABLED"}
    return Answer(crud.operation(cloud, request, "disable", key, {"service": service}))


@handles("serviceusage.services.generateServiceIdentity")
def service_identity(cloud: Cloud, request: Request) -> Answer:
    """A service's own account, which is there from now on."""
    address = agent(request.key.rpartition("/")[2].partition(".")[0])
    cloud.conditions.agents.add(address)
    kind = "type.googleapis.com/google.api.serviceusage.v1beta1.ServiceIdentity"
    response = {"@type": kind, "email": address, "uniqueId": cloud.number()}
    return Answer({"name": f"operations/{cloud.fresh_id()}", "done": True, "response": response})


@handles("storage.projects.serviceAccount.get")
def storage_agent(cloud: Cloud, _request: Request) -> Answer:
    """The agent of Cloud Storage, which is there from now on."""
    cloud.conditions.agents.add(STORAGE_AGENT)
    return Answer({"kind": "storage#serviceAccount", "email_address": STORAGE_AGENT})


@handles("serviceusage.services.get")
def get_service(cloud: Cloud, request: Request) -> Answer:
    """A service and whether it is enabled."""
    found = cloud.items.get(request.key)
    name = request.key.rpartition("/")[2]
    return Answer(found or {"name": f"projects/{NUMBER}/services/{name}", "state": "DISABLED"})


@handles("serviceusage.services.list")
def list_services(cloud: Cloud, request: Request) -> Answer:
    """The enabled services."""
    return crud.page(cloud, request, cloud.below(request.key))


@handles("cloudresourcemanager.projects.get")
def get_project(cloud: Cloud, request: Request) -> Answer:
    """Any project is there and active."""
    project = request.call.params["projectId"]
    made = {"projectId": project, "name": project, "createTime": "2026-01-01T00:00:00Z"}
    made |= cloud.items.get(request.key, {})
    return Answer({**made, "projectNumber": NUMBER, "lifecycleState": "ACTIVE"})


LISTS = ("gcp.resourceLocations", "gcp.restrictNonCmekServices", "compute.trustedImageProjects")


@handles("cloudresourcemanager.projects.getEffectiveOrgPolicy")
def effective_policy(cloud: Cloud, request: Request) -> Answer:
    """The policy in force for a constraint, which the conditions switch on; one that is off allows all.

    Groups of locations are expanded: https://github.com/googleapis/google-cloud-go/issues/9201, 2023-12-27.
    """
    constraint = request.body["constraint"]
    name = constraint.removeprefix("constraints/")
    on = name in cloud.conditions.policies
    if name not in LISTS:
        return Answer({"constraint": constraint, "booleanPolicy": {"enforced": True} if on else {}})
    rules = {
        "gcp.resourceLocations": {"allowedValues": sorted(cloud.conditions.locations)},
        "gcp.restrictNonCmekServices": {"deniedValues": ["is:bigquery.googleapis.com", "is:storage.googleapis.com"]},
        "compute.trustedImageProjects": {
            "allowedValues": sorted(f"projects/{one}" for one in cloud.conditions.trusted)
        },
    }
    return Answer({"constraint": constraint, "listPolicy": rules[name] if on else {"allValues": "ALLOW"}})
