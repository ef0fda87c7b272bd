"""Compute Engine where it is more than create, read, update and delete: images, families, instances, operations."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Any

from tests.fake_google import crud, defaults, words
from tests.fake_google.cloud import Answer, Cloud, Refusal, Request, handles, rfc3339

Json = Any
NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


def matches(item: Json, expression: str) -> bool:
    """Google's list filter, as far as the bakery uses it: ``field = value`` joined by AND, in parentheses or not.

    OR joins conditions in parentheses. Source: the parameter ``filter`` of compute.instances.list in the discovery
    document, ``(cpuPlatform = "Intel Skylake") OR (cpuPlatform = "Intel Broadwell")``.
    ``eq`` and ``ne`` take a regular expression, which has to match all of the value; AND does not join them.
    Source: https://github.com/googleapis/nodejs-compute/issues/48, 2018-03-02.
    """
    refusal = Refusal(400, f"Invalid value for field 'filter': '{expression}'. Invalid list filter expression.")
    if ") OR (" in expression:
        return any(matches(item, one.strip("()")) for one in expression.split(") OR ("))
    for clause in re.split(r"\s+AND\s+|\)\s*\(", expression.strip("() ")):
        match = re.fullmatch(r"\s*([\w.\-]+)\s*(=|:|!=|eq|ne)\s*\"?(.*?)\"?\s*", clause.strip("() "))
        if not match or (match[2] in ("eq", "ne") and " AND " in expression):
            raise refusal
        value: Any = item
        for part in match[1].split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if match[2] == ":" and match[3] == "*":
            same = value is not None
        else:
            # A star at the end of a name stands for any text: slurmsync.py of slurm-gcp lists its nodes with it.
            pattern = re.escape(match[3]).replace(r"\*", ".*") if match[1] == "name" else re.escape(match[3])
            words = re.fullmatch(match[3] if match[2] in ("eq", "ne") else pattern, str(value))
            same = value is not None and bool(words)
        if same == (match[2] in ("!=", "ne")):
            return False
    return True


@handles(
    *("compute.images.list", "compute.instances.list", "compute.disks.list", "compute.instanceTemplates.list"),
    *("compute.resourcePolicies.list", "compute.zoneOperations.list"),
)
def list_filtered(cloud: Cloud, request: Request) -> Answer:
    """A list with a filter."""
    found = cloud.below(request.key)
    if request.query.get("filter"):
        found = [item for item in found if matches(item, request.query["filter"])]
    if request.query.get("orderBy") == "creationTimestamp desc":
        found = found[::-1]
    return crud.page(cloud, request, found)


@handles("compute.images.insert")
def insert_image(cloud: Cloud, request: Request) -> Answer:
    """An image of a disk or of an image that is there and not OBSOLETE; legal names only, never over one that is there.

    It gets the guest OS features of its source, beside its own, and not the labels or the family.
    """
    if not NAME.fullmatch(request.body.get("name", "")):
        raise Refusal(400, f"Invalid value for field 'resource.name': '{request.body.get('name')}'")
    if source := request.body.get("sourceImage"):
        key = f"compute/compute/v1/{source.removeprefix('https://www.googleapis.com/compute/v1/')}"
        if cloud.get(key).get("deprecated", {}).get("state") in ("OBSOLETE", "DELETED"):
            raise Refusal(400, f"Invalid value for field 'resource.sourceImage': '{source}'. The image is obsolete.")
    own = [one["type"] for one in request.body.get("guestOsFeatures", [])]
    inherited = _source_features(cloud, request.body)
    features = [{"type": name} for name in dict.fromkeys([*own, *inherited])]
    image = add_image(cloud, request.key, {**request.body, **({"guestOsFeatures": features} if features else {})})
    if cloud.machines and "sourceDisk" in request.body:
        cloud.machines.image(image["name"], request.body["sourceDisk"].rpartition("/")[2])
    return Answer(crud.operation(cloud, request, "insert", f"{request.key}/{image['name']}", image))


def _source_features(cloud: Cloud, body: Json) -> list[str]:
    """The guest OS features of the image that a new image, or its disk, is made from."""
    source = body.get("sourceImage", "")
    if disk := re.search(r"projects/.*", body.get("sourceDisk", "")):
        source = cloud.items.get(f"compute/compute/v1/{disk[0]}", {}).get("sourceImage", "")
    image = re.search(r"projects/[^/]+/global/images/[^/]+$", source)
    item = cloud.items.get(f"compute/compute/v1/{image[0]}", {}) if image else {}
    return [one["type"] for one in item.get("guestOsFeatures", [])]


def add_image(cloud: Cloud, collection: str, body: Json) -> Json:
    """An image of that collection (``compute/compute/v1/projects/P/global/images``), READY at once."""
    path = collection.partition("/")[2]
    item = {
        "kind": "compute#image",
        "id": cloud.number(),
        "creationTimestamp": rfc3339(time.time()),
        "selfLink": f"https://www.googleapis.com/{path}/{body['name']}",
        "status": "READY",
        "diskSizeGb": "10",
        "archiveSizeBytes": "1000000",
        "labelFingerprint": "AAAAAAAAAAA=",
        "sourceType": "RAW",
        "storageLocations": ["us"],
        **({"sourceDiskId": cloud.number()} if "sourceDisk" in body else {}),
        **body,
    }
    return cloud.add(f"{collection}/{body['name']}", item)


@handles("compute.routers.patch", "compute.routers.update")
def patch_router(cloud: Cloud, request: Request) -> Answer:
    """Change a router; its NATs get what Google adds to them."""
    answer = crud.patch(cloud, request)
    defaults.nats(cloud.get(request.key))
    return answer


@handles("compute.images.patch")
def patch_image(cloud: Cloud, request: Request) -> Answer:
    """Change an image; an empty family takes it out of its family, or does nothing, as the conditions say."""
    if request.body.get("family") == "":
        kept = {"family": cloud.get(request.key).get("family")} if cloud.conditions.keeps_family else {"family": None}
        request = replace(request, body={**request.body, **kept})
    return crud.patch(cloud, request)


@handles("compute.images.getFromFamily")
def image_of_family(cloud: Cloud, request: Request) -> Answer:
    """The newest image of a family that is not deprecated."""
    collection = request.key.rpartition("/family/")[0]
    family = request.call.params["family"]
    for image in reversed(cloud.below(collection)):
        if image.get("family") == family and image.get("deprecated", {}).get("state", "ACTIVE") == "ACTIVE":
            return Answer(image)
    raise Refusal(404, words.absent(request.key))


@handles("compute.images.deprecate")
def deprecate_image(cloud: Cloud, request: Request) -> Answer:
    """Set or clear an image's deprecation."""
    key = request.key.removesuffix("/deprecate")
    image = cloud.get(key)
    if request.body.get("state", "ACTIVE") == "ACTIVE":
        image.pop("deprecated", None)
    else:
        image["deprecated"] = dict(request.body)
    return Answer(crud.operation(cloud, request, "deprecate", key, image))


@handles("compute.images.setLabels", "compute.instances.setLabels", "compute.disks.setLabels")
def set_labels(cloud: Cloud, request: Request) -> Answer:
    """Replace labels; the fingerprint must be the one that was read."""
    key = request.key.removesuffix("/setLabels")
    item = cloud.get(key)
    if request.body.get("labelFingerprint") != item.get("labelFingerprint"):
        raise Refusal(412, "Labels fingerprint either invalid or resource labels have changed", "conditionNotMet")
    item["labels"] = dict(request.body.get("labels", {}))
    item["labelFingerprint"] = f"{cloud.number()[-11:]}="
    begun = crud.operation(cloud, request, "setLabels", key, item)
    if request.id == "compute.images.setLabels":  # done with its answer, which no other change was seen to be
        begun |= {"status": "DONE", "progress": 100, "endTime": begun["startTime"]}
    return Answer(begun)


@handles(
    *("compute.instances.setMachineType", "compute.instances.setMetadata", "compute.instances.setScheduling"),
    *("compute.instances.setServiceAccount", "compute.instances.start", "compute.instances.stop"),
    "compute.subnetworks.setPrivateIpGoogleAccess",
)
def set_part(cloud: Cloud, request: Request) -> Answer:
    """Change one part of an instance or a subnetwork."""
    key, _, verb = request.key.rpartition("/")
    item = cloud.get(key)
    part, body = verb.removeprefix("set")[:1].lower() + verb.removeprefix("set")[1:], dict(request.body or {})
    match verb:
        case "stop" | "start":
            item["status"] = "TERMINATED" if verb == "stop" else "RUNNING"
        case "setServiceAccount":
            item["serviceAccounts"] = [body]
        case "setMetadata" | "setScheduling":
            item[part] = body
        case _:
            item |= body
    return Answer(crud.operation(cloud, request, verb, key, item))


@handles("compute.instances.insert")
def insert_instance(cloud: Cloud, request: Request) -> Answer:
    """An instance that runs at once; its boot image must be there, and the addresses that it asks for free.

    The words about an address are those of hashicorp/terraform issue 18998, 2018-10-04; that they come with the answer,
    not with the operation, is assumed.
    """
    others = [item for key, item in cloud.items.items() if "/instances/" in key]
    taken = {nic.get("networkIP") for other in others for nic in other.get("networkInterfaces", [])} - {None}
    for nic in request.body.get("networkInterfaces", []):
        if nic.get("networkIP") in taken:
            raise Refusal(400, f"IP '{nic['networkIP']}' is already being used by another resource.")
    for disk in request.body.get("disks", []):
        source = disk.get("initializeParams", {}).get("sourceImage", "")
        image = re.search(r"projects/[^/]+/global/images/(?!family/).+", source)
        if image:
            cloud.get(f"compute/compute/v1/{image[0]}")
    for policy in request.body.get("resourcePolicies", []):
        cloud.get(f"compute/compute/v1/{policy}")
    key = f"{request.key}/{request.body['name']}"
    return Answer(crud.operation(cloud, request, "insert", key, add_instance(cloud, request, key, request.body)))


def add_instance(cloud: Cloud, request: Request, key: str, given: Json) -> Json:
    """Store an instance, with an address for each of its interfaces, and boot it."""
    zone = request.call.params["zone"]
    _add_disks(cloud, key, given)
    number = int(cloud.number())
    address = cloud.addresses.get(given["name"], f"10.0.{number // 250 % 250}.{number % 250 + 2}")
    body = dict(given)
    body["networkInterfaces"] = [
        {"networkIP": address, "name": f"nic{i}", **nic} for i, nic in enumerate(body.get("networkInterfaces", []))
    ]
    started = {"kind": "compute#instance", "status": "RUNNING", "zone": f"{request.base}/zones/{zone}"}
    made = {"id": cloud.number(), "creationTimestamp": rfc3339(time.time())}
    item = cloud.add(key, made | crud.filled(cloud, request, key, body) | started)
    if cloud.machines:
        cloud.machines.insert(key, item)
    _end_in_time(cloud, key, item)
    return item


def _add_disks(cloud: Cloud, key: str, body: Json) -> None:
    """The disks of an instance that is made; whether each goes with it stands in the instance."""
    for disk in (disk for disk in body.get("disks", []) if "source" not in disk):
        name = disk.get("initializeParams", {}).get("diskName") or body["name"]
        where = f"{key.rpartition('/instances/')[0]}/disks/{name}"
        source = disk.get("initializeParams", {}).get("sourceImage", "")
        made_from = {"sourceImage": source} if source and "/family/" not in source else {}
        labels = {"labels": disk.get("initializeParams", {}).get("labels", {}), "labelFingerprint": "AAAAAAAAAAA="}
        cloud.add(where, {"name": name, "id": cloud.number(), "users": [key], "status": "READY"} | labels | made_from)


def _end_in_time(cloud: Cloud, key: str, item: Json) -> None:
    """Delete the instance at its deadline, as ``maxRunDuration`` with ``instanceTerminationAction`` DELETE asks."""
    scheduling = item.get("scheduling", {})
    if scheduling.get("instanceTerminationAction") == "DELETE" and "maxRunDuration" in scheduling:
        seconds = int(scheduling["maxRunDuration"]["seconds"])
        cloud.at(time.time() + seconds, lambda: _remove(cloud, key) if cloud.items.get(key) is item else None)


def _remove(cloud: Cloud, key: str) -> None:
    disks = key.rpartition("/instances/")[0] + "/disks/"
    kept = {
        disk.get("initializeParams", {}).get("diskName", cloud.items[key]["name"])
        for disk in cloud.items[key].get("disks", [])
        if not disk.get("autoDelete")
    }
    for name, disk in [(name, disk) for name, disk in cloud.items.items() if name.startswith(disks)]:
        if disk.get("users") == [key]:
            disk["users"] = []
            if disk["name"] not in kept:
                del cloud.items[name]
    del cloud.items[key]
    if cloud.machines:
        cloud.machines.delete(key)


def preempt(cloud: Cloud, project: str, zone: str, name: str) -> None:
    """Take a spot machine back: an operation of the system says so, and the instance is stopped, or deleted.

    The operation's name and type: https://github.com/cloudpilot-ai/karpenter-provider-gcp/pull/37, 2025-05-15; its
    message: "Detect preemption of Spot VMs" of https://cloud.google.com/compute/docs/instances/create-use-spot.
    """
    place = f"compute/v1/projects/{project}/zones/{zone}"
    key = f"compute/{place}/instances/{name}"
    operation = f"systemevent-{cloud.number()}"
    now = rfc3339(time.time())
    cloud.items[f"compute/{place}/operations/{operation}"] = {
        "kind": "compute#operation",
        "id": cloud.number(),
        "name": operation,
        "operationType": "compute.instances.preempted",
        "targetLink": f"https://www.googleapis.com/{place}/instances/{name}",
        "zone": f"https://www.googleapis.com/{place}",
        "status": "DONE",
        "statusMessage": "Instance was preempted.",
        "progress": 100,
        "user": "system",
        "insertTime": now,
        "startTime": now,
        "endTime": now,
    }
    if (item := cloud.items.get(key)) is None:
        return
    if item.get("scheduling", {}).get("instanceTerminationAction") == "DELETE":
        _remove(cloud, key)
    else:
        item["status"] = "TERMINATED"


@handles("compute.instances.delete")
def delete_instance(cloud: Cloud, request: Request) -> Answer:
    """Take an instance away, and end the machine behind it."""
    cloud.get(request.key)
    _remove(cloud, request.key)
    return Answer(crud.operation(cloud, request, "delete", request.key))


@handles("compute.disks.delete")
def delete_disk(cloud: Cloud, request: Request) -> Answer:
    """Take a disk away that no instance uses."""
    if cloud.get(request.key).get("users"):
        raise Refusal(400, f"The disk resource '{request.key}' is already being used", "resourceInUseByAnotherResource")
    del cloud.items[request.key]
    return Answer(crud.operation(cloud, request, "delete", request.key))


@handles("compute.resourcePolicies.delete")
def delete_policy(cloud: Cloud, request: Request) -> Answer:
    """Take a placement policy away that no instance has."""
    cloud.get(request.key)
    path = request.key.partition("/v1/")[2]
    users = [
        key for key, item in cloud.items.items() if "/instances/" in key and path in item.get("resourcePolicies", [])
    ]
    if users:
        text = f"The resource_policy resource '{path}' is already being used by '{users[0].partition('/v1/')[2]}'"
        raise Refusal(400, text, "resourceInUseByAnotherResource")
    del cloud.items[request.key]
    return Answer(crud.operation(cloud, request, "delete", request.key))


@handles("compute.instances.getSerialPortOutput")
def serial_output(cloud: Cloud, request: Request) -> Answer:
    """The console of the machine behind the instance, or what tests put into ``cloud.media`` as one."""
    key = request.key.removesuffix("/serialPort")
    cloud.get(key)
    content = cloud.machines.console(key) if cloud.machines else cloud.media.get(f"serial {key}", b"")
    text = content.decode(errors="replace")
    start = int(request.query.get("start", 0))
    return Answer({"contents": text[start:], "start": str(start), "next": str(len(text))})


@handles("compute.machineTypes.get")
def machine_type(cloud: Cloud, request: Request) -> Answer:
    """The type, with as many processors as its name ends with and 4 GiB for each; only families that there are."""
    name = request.call.params["machineType"]
    match = re.fullmatch(r"(?:a2|c2|c2d|c3|c4a|e2|h4d|n1|n2|n2d|n4a|t2a)-[a-z]+-(\d+)", name)
    if match is None:
        raise Refusal(404, words.absent(request.key))
    size = int(match[1])
    return Answer({"kind": "compute#machineType", "name": name, "guestCpus": size, "memoryMb": 4096 * size})


@handles("compute.zoneOperations.wait", "compute.globalOperations.wait", "compute.regionOperations.wait")
def wait_operation(cloud: Cloud, request: Request) -> Answer:
    """Wait for an operation, here at most two seconds, as Google answers early too."""
    return Answer(cloud.get(request.key.removesuffix("/wait")))


@handles("compute.zones.list")
def list_zones(cloud: Cloud, request: Request) -> Answer:
    """Three zones of a region, all up."""
    zones = [{"name": f"us-central1-{letter}", "status": "UP", "region": "us-central1"} for letter in "abcf"]
    return crud.page(cloud, request, zones)


@handles("compute.zones.get")
def get_zone(_cloud: Cloud, request: Request) -> Answer:
    """Any zone is there and up."""
    return Answer({"name": request.call.params["zone"], "status": "UP"})


@handles("compute.instances.aggregatedList", "compute.disks.aggregatedList", "compute.instanceTemplates.aggregatedList")
def aggregated(cloud: Cloud, request: Request) -> Answer:
    """All instances, disks or templates of a project, zone by zone; templates are global or of a region."""
    project, kind = request.call.params["project"], request.key.rpartition("/")[2]
    pattern = re.compile(
        rf"compute/compute/v1/projects/{re.escape(project)}/(zones/[^/]+|regions/[^/]+|global)/{kind}/[^/]+"
    )
    found: dict[str, Json] = {}
    for key, item in cloud.items.items():
        match = pattern.fullmatch(key)
        if match and (not request.query.get("filter") or matches(item, request.query["filter"])):
            found.setdefault(match[1], {kind: []})[kind].append(item)
    return Answer({"items": found})
