"""Compute Engine as the scripts of slurm-gcp use it: many instances at once, and the types of machines of all zones."""

from __future__ import annotations

import re
from typing import Any

from tests.fake_google import compute, crud
from tests.fake_google.cloud import Answer, Cloud, Refusal, Request, handles

Json = Any
TYPES = {f"n1-standard-{size}": size for size in (1, 2, 4)} | {f"n2-standard-{size}": size for size in (2, 4, 8)}


@handles("compute.instances.bulkInsert")
def insert_instances(cloud: Cloud, request: Request) -> Answer:
    """Instances of a template, of properties, or of both, named by ``perInstanceProperties``, which number ``count``.

    A property of the request replaces that of the template. Sources: BulkInsertInstanceResource of the discovery
    document; https://cloud.google.com/compute/docs/instances/multiple/create-in-bulk, 2026-12-01. Patterns of names and
    fewer instances than ``count`` are not needed here.
    """
    own: Json = request.body.get("perInstanceProperties", {})
    if int(request.body.get("count", 0)) != len(own):
        raise Refusal(400, "Invalid value for field 'resource.count': it is not the number of perInstanceProperties.")
    collection = request.key.removesuffix("/bulkInsert")
    given = _as_kept(request.body.get("instanceProperties", {}))
    common = {**_template(cloud, request.body), **{name: value for name, value in given.items() if name != "name"}}
    for name, properties in own.items():
        cloud.get(f"compute/compute/v1/{_boot_image(common)}")
        named = {**common, "name": properties.get("name", name)}
        compute.add_instance(cloud, request, f"{collection}/{named['name']}", named)
    begun = crud.operation(cloud, request, "bulkInsert", f"{collection}/{next(iter(own))}")
    zone = f"zones/{request.call.params['zone']}"
    group = {"operationGroupId": cloud.fresh_id()}
    made = {zone: {"status": "DONE", "targetVmCount": len(own), "createdVmCount": len(own)}}
    kept = cloud.items[f"{collection.removesuffix('/instances')}/operations/{begun['name']}"]
    kept |= {**group, "instancesBulkInsertOperationMetadata": {"perLocationStatus": made}}
    return Answer({**begun, **group})


def _template(cloud: Cloud, body: Json) -> Json:
    """The properties of the template that instances are made of; none if there is no template."""
    found = re.search(
        r"projects/[^/]+/(global|regions/[^/]+)/instanceTemplates/.+", body.get("sourceInstanceTemplate", "")
    )
    return cloud.get(f"compute/compute/v1/{found[0]}")["properties"] if found else {}


def _as_kept(properties: Json) -> Json:
    """The properties of a request as an instance has them: empty lists are left out, and labels are text."""
    kept = {name: value for name, value in properties.items() if value not in ([], {})}
    for labelled in (kept, *(disk.get("initializeParams", {}) for disk in kept.get("disks", []))):
        if "labels" in labelled:
            labelled["labels"] = {name: str(value) for name, value in labelled["labels"].items()}
    return kept


def _boot_image(properties: Json) -> str:
    """The image of an instance's boot disk, as projects/P/global/images/I."""
    found = re.search(r"projects/[^/]+/global/images/.+", properties["disks"][0]["initializeParams"]["sourceImage"])
    if found is None:
        raise Refusal(400, "Invalid value for field 'resource.disks[0].initializeParams.sourceImage'.")
    return found[0]


@handles("compute.machineTypes.aggregatedList")
def machine_types(_cloud: Cloud, request: Request) -> Answer:
    """Some types of one zone, with 4 GiB for each processor as :func:`tests.fake_google.compute.machine_type` has."""
    zone = "us-central1-a"
    found = [
        {"kind": "compute#machineType", "name": name, "zone": zone, "guestCpus": size, "memoryMb": 4096 * size}
        for name, size in TYPES.items()
    ]
    return Answer({"kind": "compute#machineTypeAggregatedList", "items": {f"zones/{zone}": {"machineTypes": found}}})
