"""IAM, service usage and the project itself."""

from __future__ import annotations

import re
from typing import Any

from tests.fake_google import crud
from tests.fake_google.cloud import Answer, Cloud, Refusal, Request, handles

Json = Any


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
        raise Refusal(404, f"Unknown service account: {address}")
    return Answer(found[0])


def _service(request: Request, name: str) -> Json:
    project = request.key.split("/")[3]
    config = {"name": name}
    return {
        "name": f"projects/{project}/services/{name}",
        "config": config,
        "state": "ENABLED",
        "parent": f"projects/{project}",
    }


def _collection(request: Request) -> str:
    return re.sub(r"/services.*", "/services", request.key)


@handles("serviceusage.services.enable", "serviceusage.services.batchEnable")
def enable(cloud: Cloud, request: Request) -> Answer:
    """Enable services."""
    one = request.key.rpartition("/")[2].removesuffix(":enable")
    names = (request.body or {}).get("serviceIds") or [one]
    services = [_service(request, name) for name in names]
    for service in services:
        cloud.items[f"{_collection(request)}/{service['name'].rpartition('/')[2]}"] = service
    return Answer(crud.operation(cloud, request, "enable", request.key, {"services": services}))


@handles("serviceusage.services.disable")
def disable(cloud: Cloud, request: Request) -> Answer:
    """Disable a service."""
    cloud.items.pop(request.key.removesuffix(":disable"), None)
    return Answer(crud.operation(cloud, request, "disable", request.key))


@handles("serviceusage.services.get")
def get_service(cloud: Cloud, request: Request) -> Answer:
    """A service and whether it is enabled."""
    found = cloud.items.get(request.key)
    return Answer(found or (_service(request, request.key.rpartition("/")[2]) | {"state": "DISABLED"}))


@handles("serviceusage.services.list")
def list_services(cloud: Cloud, request: Request) -> Answer:
    """The enabled services."""
    return crud.page(cloud, request, cloud.below(request.key))


@handles("cloudresourcemanager.projects.get")
def get_project(_cloud: Cloud, request: Request) -> Answer:
    """Any project is there and active."""
    project = request.call.params["projectId"]
    return Answer({"projectId": project, "projectNumber": "123456789012", "name": project, "lifecycleState": "ACTIVE"})


@handles("iam.projects.roles.create")
def create_role(cloud: Cloud, request: Request) -> Answer:
    """A custom role."""
    identity = request.body["roleId"]
    path = f"{request.call.params['parent']}/roles/{identity}"
    item = {**request.body.get("role", {}), "name": path, "etag": "BwAAAAAAAAA="}
    return Answer(cloud.add(f"{request.key}/{identity}", item))


@handles("iam.projects.roles.patch")
def patch_role(cloud: Cloud, request: Request) -> Answer:
    """Change a custom role."""
    item = cloud.get(request.key)
    item |= request.body.get("role", request.body)
    return Answer(item)


@handles("iam.projects.roles.delete")
def delete_role(cloud: Cloud, request: Request) -> Answer:
    """A role that is deleted stays for a week, as deleted; here it goes at once, so that it can be made again."""
    item = dict(cloud.get(request.key))
    del cloud.items[request.key]
    return Answer({**item, "deleted": True})
