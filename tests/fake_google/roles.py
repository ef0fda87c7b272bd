"""Custom roles: one that is deleted can be undeleted for seven days, and keeps its name for thirty more."""

from __future__ import annotations

from typing import Any

from tests.fake_google.cloud import Answer, Cloud, Refusal, Request, handles

Json = Any
DAY = 86_400
UNDELETE_DAYS, NAME_DAYS = 7, 37


def forget(cloud: Cloud) -> None:
    """Take away what was deleted so long ago that only its name is left, and the names of still older ones."""
    for key, at in list(cloud.conditions.deleted_roles.items()):
        age = cloud.clock() - at
        if age > UNDELETE_DAYS * DAY:
            cloud.items.pop(key, None)
        if age > NAME_DAYS * DAY:
            del cloud.conditions.deleted_roles[key]


@handles("iam.projects.roles.create")
def create_role(cloud: Cloud, request: Request) -> Answer:
    """A custom role."""
    identity = request.body["roleId"]
    path = f"{request.call.params['parent']}/roles/{identity}"
    item = {**request.body.get("role", {}), "name": path, "etag": "BwAAAAAAAAA="}
    return Answer(cloud.add(f"{request.key}/{identity}", item))


@handles("iam.projects.roles.get")
def get_role(cloud: Cloud, request: Request) -> Answer:
    """A role, also one that is deleted."""
    forget(cloud)
    return Answer(cloud.get(request.key))


@handles("iam.projects.roles.patch")
def patch_role(cloud: Cloud, request: Request) -> Answer:
    """Change a custom role."""
    item = cloud.get(request.key)
    item |= request.body.get("role", request.body)
    return Answer(item)


@handles("iam.projects.roles.delete")
def delete_role(cloud: Cloud, request: Request) -> Answer:
    """Mark a role as deleted."""
    item = cloud.get(request.key)
    item["deleted"] = True
    cloud.conditions.deleted_roles[request.key] = cloud.clock()
    return Answer(item)


@handles("iam.projects.roles.undelete")
def undelete_role(cloud: Cloud, request: Request) -> Answer:
    """Let a role that was deleted work again."""
    forget(cloud)
    key = request.key.removesuffix(":undelete")
    item = cloud.get(key)
    if not item.pop("deleted", False):
        raise Refusal(400, f"The role {item['name']} is not deleted.", "failedPrecondition", "FAILED_PRECONDITION")
    del cloud.conditions.deleted_roles[key]
    return Answer(item)
