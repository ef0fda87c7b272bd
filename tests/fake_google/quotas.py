"""The quotas of a region and of a project: their limits, and what instances and builds use of them.

It counts by itself, not with the product's table. The shapes are those of ``Quota`` in the discovery document; what a
region answers is quoted in https://github.com/GoogleCloudPlatform/pubsec-declarative-toolkit/issues/590,
2023-11-03.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from tests.fake_google import templates
from tests.fake_google.cloud import Answer, Cloud, Request, handles

Json = Any
# Limits that no test reaches, unless the conditions have others.
REGIONAL = (
    *("CPUS", "A2_CPUS", "C2_CPUS", "C2D_CPUS", "C3_CPUS", "E2_CPUS", "N2_CPUS", "N2D_CPUS", "T2A_CPUS", "T2D_CPUS"),
    *("DISKS_TOTAL_GB", "SSD_TOTAL_GB", "HDB_TOTAL_GB", "INSTANCES", "IN_USE_ADDRESSES"),
    *("NVIDIA_A100_GPUS", "NVIDIA_L4_GPUS", "NVIDIA_T4_GPUS", "NVIDIA_V100_GPUS"),
)
GLOBAL = ("CPUS_ALL_REGIONS", "GPUS_ALL_REGIONS", "IMAGES", "NETWORKS", "SNAPSHOTS")
SPOT = ("PREEMPTIBLE_CPUS", "PREEMPTIBLE_NVIDIA_T4_GPUS")  # of which a new project has none
ENOUGH = 100_000.0


def counted(cloud: Cloud, machine: Json) -> Counter[str]:
    """What an instance takes."""
    kind = str(machine.get("machineType", "")).rpartition("/")[2]
    series, _, size = kind.partition("-")
    number = re.search(r"-(\d+)g?$", size) or re.search(r"^\w+-(\d+)", size)
    cpus = int(number[1]) * (12 if series == "a2" else 1) if number else 2
    scheduling = machine.get("scheduling", {})
    spot = scheduling.get("preemptible") or scheduling.get("provisioningModel") in ("SPOT", "FLEX_START")
    metric = "CPUS" if series == "n1" else f"{series.upper()}_CPUS"
    found = Counter({"INSTANCES": 1})
    if spot and limit(cloud, "PREEMPTIBLE_CPUS"):
        found["PREEMPTIBLE_CPUS"] += cpus
    elif metric in REGIONAL:
        found[metric] += cpus
        found["CPUS_ALL_REGIONS"] += cpus
    for one in machine.get("guestAccelerators", []):
        name = one["acceleratorType"].rpartition("/")[2].replace("nvidia-tesla-", "").replace("nvidia-", "")
        gpus = f"NVIDIA_{name.replace('-', '_').upper()}_GPUS"
        own = f"PREEMPTIBLE_{gpus}"
        if spot and limit(cloud, own):
            found[own] += one["acceleratorCount"]
        else:
            found[gpus] += one["acceleratorCount"]
            found["GPUS_ALL_REGIONS"] += one["acceleratorCount"]
    for disk in machine.get("disks", []):
        given = disk.get("initializeParams", {})
        type_ = given.get("diskType", "pd-standard").rpartition("/")[2]
        total = {"pd-standard": "DISKS_TOTAL_GB", "hyperdisk-balanced": "HDB_TOTAL_GB"}.get(type_, "SSD_TOTAL_GB")
        found[total] += int(given.get("diskSizeGb") or 10)
    return found


def limit(cloud: Cloud, metric: str) -> float:
    """The limit of a metric, in each region."""
    return float(cloud.conditions.quota.get(metric, 0.0 if metric in SPOT else ENOUGH))


def usage(cloud: Cloud, project: str, region: str) -> Counter[str]:
    """What is in use in a region: by instances, by builds that work, and by others."""
    here = f"compute/compute/v1/projects/{project}/zones/{region}-"
    running = [item for key, item in cloud.items.items() if key.startswith(here) and "/instances/" in key]
    used = Counter(cloud.conditions.used)
    for machine in (*running, *_of_builds(cloud, project, region)):
        used.update(counted(cloud, machine))
    return used


def exceeded(cloud: Cloud, project: str, region: str, machine: Json) -> str:
    """The words about the first quota that a new machine would exceed; "" if there is enough."""
    used, wanted = usage(cloud, project, region), counted(cloud, machine)
    for metric, amount in wanted.items():
        most = limit(cloud, metric)
        if used[metric] + amount > most:
            where = "globally" if metric in GLOBAL else f"in region {region}"
            return f"Quota '{metric}' exceeded.  Limit: {most:.1f} {where}."
    return ""


def of_template(builder: Mapping[str, Json]) -> Json:
    """The machine that Packer's plugin asks for."""
    disk = {"diskSizeGb": str(builder.get("disk_size") or 20), "diskType": builder.get("disk_type") or "pd-standard"}
    if not disk["diskSizeGb"].isdigit():
        disk["diskSizeGb"] = "20"
    return {
        "machineType": builder.get("machine_type") or "e2-standard-2",
        "disks": [{"initializeParams": disk}],
        "scheduling": {"preemptible": bool(builder.get("preemptible"))},
    }


def _of_builds(cloud: Cloud, project: str, region: str) -> Iterator[Json]:
    for build in cloud.below(f"cloudbuild/v1/projects/{project}/builds"):
        zone = build.get("substitutions", {}).get("_ZONE", "")
        if build["status"] == "WORKING" and zone.startswith(f"{region}-"):
            yield from map(of_template, templates.builders(cloud, build))


def _listed(cloud: Cloud, metrics: tuple[str, ...], used: Counter[str]) -> list[Json]:
    return [{"metric": one, "limit": limit(cloud, one), "usage": float(used[one])} for one in metrics]


@handles("compute.regions.get")
def get_region(cloud: Cloud, request: Request) -> Answer:
    """A region with its quotas."""
    region = request.call.params["region"]
    used = usage(cloud, request.call.params["project"], region)
    quotas = _listed(cloud, (*REGIONAL, *SPOT), used)
    return Answer({"kind": "compute#region", "name": region, "status": "UP", "quotas": quotas})


@handles("compute.projects.get")
def get_project(cloud: Cloud, request: Request) -> Answer:
    """A project with its quotas, and what else a test has stored of it."""
    used: Counter[str] = Counter()
    project = request.call.params["project"]
    regions = {key.split("/zones/")[1].partition("/")[0].rpartition("-")[0] for key in cloud.items if "/zones/" in key}
    for region in sorted(regions):
        used.update(usage(cloud, project, region))
    stored = cloud.items.get(request.key, {})
    facts = {"kind": "compute#project", "name": project, "commonInstanceMetadata": {"kind": "compute#metadata"}}
    return Answer({**facts, **stored, "quotas": _listed(cloud, GLOBAL, used)})
