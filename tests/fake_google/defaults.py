"""What Google fills in when something is made, beyond ids and times: a client that reads back has to live with it.

Sources: each API's reference; the fields that Terraform's provider marks as computed or as having a default.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

Json = Any
Default = Callable[[Json], Json]

NAT = {
    "autoNetworkTier": "PREMIUM",
    "effectiveTcpTimeWaitTimeoutSec": 120,
    "endpointTypes": ["ENDPOINT_TYPE_VM"],
    "type": "PUBLIC",
}


def bucket(body: Json) -> Json:
    return {
        "kind": "storage#bucket",
        "location": body.get("location", "US").upper(),
        "locationType": "region" if "-" in body.get("location", "") else "multi-region",
        "storageClass": "STANDARD",
        "generation": "1767225600000000",
        **({} if "-" in body.get("location", "") else {"rpo": "DEFAULT"}),
        "softDeletePolicy": {"retentionDurationSeconds": "604800", "effectiveTime": "2026-01-01T00:00:00Z"},
        "iamConfiguration": {
            "bucketPolicyOnly": body.get("iamConfiguration", {}).get("uniformBucketLevelAccess", {"enabled": False}),
            "publicAccessPrevention": "inherited",
        },
    }


def network(_body: Json) -> Json:
    return {
        "kind": "compute#network",
        "mtu": 1460,
        "networkFirewallPolicyEnforcementOrder": "AFTER_CLASSIC_FIREWALL",
        "routingConfig": {"routingMode": "REGIONAL", "bgpBestPathSelectionMode": "LEGACY"},
    }


def subnetwork(body: Json) -> Json:
    log = {"aggregationInterval": "INTERVAL_5_SEC", "filterExpr": "true", "metadata": "INCLUDE_ALL_METADATA"}
    enabled = body.get("logConfig", {}).get("enable", False)
    return {
        "kind": "compute#subnetwork",
        **({"enableFlowLogs": True} if enabled else {}),
        "gatewayAddress": str(next(ipaddress.ip_network(body["ipCidrRange"]).hosts())),
        "logConfig": log if enabled else {"enable": False},
        "privateIpGoogleAccess": False,
        "privateIpv6GoogleAccess": "DISABLE_GOOGLE_ACCESS",
        "purpose": "PRIVATE",
        "stackType": "IPV4_ONLY",
        "state": "READY",
    }


def firewall(_body: Json) -> Json:
    return {
        "kind": "compute#firewall",
        "direction": "INGRESS",
        "disabled": False,
        "priority": 1000,
    }


def router(_body: Json) -> Json:
    return {"kind": "compute#router", "encryptedInterconnectRouter": False}


def nats(item: Json) -> None:
    """A router's NATs, which come by a patch of the router."""
    if item.get("nats"):
        item["nats"] = [NAT | nat for nat in item["nats"]]


def disk(body: Json) -> Json:
    source = {"sourceImageId": "2443108620951880213"} if "sourceImage" in body else {}
    return {"kind": "compute#disk", "physicalBlockSizeBytes": "4096", **source}


def dataset(body: Json) -> Json:
    return {
        "kind": "bigquery#dataset",
        "type": "DEFAULT",
        "location": body.get("location", "US"),
        "maxTimeTravelHours": "168",
        "creationTime": "1767225600000",
        "lastModifiedTime": "1767225600000",
    }


def table(body: Json) -> Json:
    column = body.get("timePartitioning", {}).get("field")
    return {
        "kind": "bigquery#table",
        "type": "TABLE",
        **({"partitionDefinition": {"partitionedColumn": [{"field": column}]}} if column else {}),
        "location": "us-central1",
        "creationTime": "1767225600000",
        "lastModifiedTime": "1767225600000",
        "numActiveLogicalBytes": "0",
        "numBytes": "0",
        "numLongTermBytes": "0",
        "numLongTermLogicalBytes": "0",
        "numTotalLogicalBytes": "0",
        "numRows": "0",
    }


def job(body: Json) -> Json:
    return {
        "state": "ENABLED",
        "scheduleTime": "2026-01-05T04:00:00Z",
        "userUpdateTime": "2026-01-01T00:00:00Z",
        "timeZone": body.get("timeZone", "UTC"),
    }


def repository(_body: Json) -> Json:
    return {
        "mode": "STANDARD_REPOSITORY",
        "satisfiesPzi": True,
        "registryUri": "us-central1-docker.pkg.dev/p/bakery",
        "vulnerabilityScanningConfig": {
            "enablementState": "SCANNING_DISABLED",
            "enablementStateReason": "API containerscanning.googleapis.com is not enabled.",
            "lastEnableTime": "2026-01-01T00:00:00Z",
        },
    }


def trigger(body: Json) -> Json:
    made: dict[str, Any] = {"approvalConfig": {}}
    if "pubsubConfig" in body:
        made["pubsubConfig"] = {"subscription": "projects/p/subscriptions/gcb-trigger", "state": "OK"}
    if "repositoryEventConfig" in body:
        made["repositoryEventConfig"] = {"repositoryType": "GITHUB"}
    return made


ON_CREATE: Mapping[str, Default] = {
    "storage.buckets.insert": bucket,
    "compute.networks.insert": network,
    "compute.subnetworks.insert": subnetwork,
    "compute.firewalls.insert": firewall,
    "compute.routers.insert": router,
    "compute.disks.insert": disk,
    "bigquery.datasets.insert": dataset,
    "bigquery.tables.insert": table,
    "cloudscheduler.projects.locations.jobs.create": job,
    "artifactregistry.projects.locations.repositories.create": repository,
    "cloudbuild.projects.triggers.create": trigger,
    "cloudbuild.projects.locations.triggers.create": trigger,
}
FIXED: Mapping[str, tuple[str, ...]] = {"storage.buckets.insert": ("location",)}  # Google's form of it wins


def added(method: str, body: Json) -> Json:
    """The body of a request that makes something, with what Google adds."""
    if method not in ON_CREATE:
        return body
    more = ON_CREATE[method](body)
    return merged(more, {key: value for key, value in body.items() if key not in FIXED.get(method, ())})


def merged(below: Json, above: Json) -> Json:
    """Two objects as one; what is in both comes from ``above``."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return {**below, **{key: merged(below.get(key), value) for key, value in above.items()}}
