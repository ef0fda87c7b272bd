"""The cluster of ``--rcc-tfvars``: rcc-run's placeholders filled in, read as rcc-tf's variables, and checked.

Source of placeholders and default: rcc-run's ``concretizeTfvars`` and ``etc/rcc-ephemeral/default``; of the names:
rcc-tf's variables. A test cluster of the bakery is one zone of private machines that all boot from one image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bakery.rcc_run.arguments import Arguments
from bakery.recipe.check import cluster
from bakery.recipe.model import ClusterShape, Partition
from bakery.recipe.parse import tfvars
from bakery.recipe.parse.document import Document, Where
from bakery.recipe.parse.findings import Findings, quoted

DEFAULT = ClusterShape(
    partitions=(Partition("c2-standard-8", nodes=5, machine_type="c2-standard-8", disk_size_gb=100),),
    login_nodes=0,
    controller_machine_type="n1-standard-16",
    login_machine_type="n1-standard-4",
    controller_disk_size_gb=1024,
    controller_disk_type="pd-ssd",
)
UNKNOWN = ClusterShape(partitions=(), login_nodes=0)  # a cluster that is there says itself what it has
TAKEN = frozenset(
    (
        *("cluster_name", "project", "zone", "controller_image", "login_image", "partitions", "login_node_count"),
        *("controller_machine_type", "controller_disk_size_gb", "controller_disk_type", "login_machine_type"),
    )
)
# Of no use on a cluster that nobody logs in to and that ends with its jobs.
IDLE = frozenset(
    (
        *("suspend_time", "munge_key", "jwt_key", "network_name", "subnetwork_name", "shared_vpc_host_project"),
        *("disable_controller_public_ips", "disable_login_public_ips", "disable_compute_public_ips"),
        *("login_disk_size_gb", "login_disk_type", "login_labels", "controller_labels", "compute_node_scopes"),
        *("login_node_scopes", "controller_scopes", "compute_node_service_account", "controller_service_account"),
        *("login_node_service_account", "cloudsql_name", "cloudsql_tier", "cloudsql_enable_ipv4", "slurm_version"),
        *("controller_secondary_disk_size", "controller_secondary_disk_type", "filestore", "lustre", "ompi_version"),
    )
)
NOT_MADE = frozenset(
    (
        *("create_filestore", "create_lustre", "cloudsql_slurmdb", "cloudsql", "controller_secondary_disk"),
        *("network_storage", "login_network_storage", "controller_instance_template", "login_instance_template"),
    )
)
PART_TAKEN = frozenset(
    (
        *("name", "machine_type", "image", "zone", "static_node_count", "max_node_count", "compute_disk_size_gb"),
        *("gpu_count", "gpu_type", "gvnic", "preemptible_bursting"),
    )
)
PART_IDLE = frozenset(("compute_labels", "compute_disk_type", "regional_policy"))
PART_NOT_MADE = frozenset(("network_storage", "instance_template", "regional_capacity", "cpu_platform"))
PART_WARNED: Mapping[str, tuple[object, str]] = {  # what is not done, and the value that asks for nothing
    "exclusive": (False, "jobs may share a node; add --exclusive to batch_options"),
    "enable_placement": (False, "the nodes are placed as they come, and recorded so"),
    "image_hyperthreads": (True, "nodes have all their virtual processors; add --threads-per-core to batch_options"),
    "vpc_subnet": (None, "all machines are in the subnetwork of --vpc-subnet"),
}


@dataclass(frozen=True)
class Tested:
    """The cluster, and what rcc-run stores of its file systems in each row."""

    shape: ClusterShape
    row: dict[str, object] = field(default_factory=dict)


def read(file: Path | None, given: Arguments, findings: Findings) -> Tested:
    """The cluster of a tfvars file, None: the default one; all that is wrong goes to ``findings``."""
    if file is None:
        return Tested(DEFAULT)
    written = file.read_text(encoding="utf-8", errors="replace")
    _unused(written, given, findings)
    document = tfvars.parse_tfvars(filled(written, given).encode(), findings)
    if document is None:
        return Tested(DEFAULT)
    shape = cluster.from_tfvars(document)
    _check(document, given)
    row = {
        name: document.value[f"create_{name}"] for name in ("filestore", "lustre") if f"create_{name}" in document.value
    }
    return Tested(_as_made(shape) if shape else DEFAULT, row)


def filled(written: str, given: Arguments) -> str:
    """The file with rcc-run's placeholders filled in."""
    for name, value in _values(given).items():
        written = written.replace(f"<{name}>", value)
    return written


def _values(given: Arguments) -> dict[str, str]:
    return {
        "name": f"frun-{given.short_build_id}",
        "project": given.project,
        "machine_type": given.machine_type,
        "node_count": str(given.node_count),
        "zone": given.zone,
        "image": given.gce_image,
        "gpu_type": given.gpu_type,
        "gpu_count": str(given.gpu_count),
        "build_id": given.short_build_id,
        "vpc_subnet": given.vpc_subnet,
        "tags": "rcc-run",
        "service_account": given.service_account,
    }


def _unused(written: str, given: Arguments, findings: Findings) -> None:
    """Options whose only use is a placeholder that the file does not have."""
    for name in ("machine_type", "node_count", "gpu_type"):
        if name in given.given and f"<{name}>" not in written:
            findings.warn(1, f"--{name.replace('_', '-')} has no effect", f"write <{name}> where it counts")


def _as_made(shape: ClusterShape) -> ClusterShape:
    return replace(shape, partitions=tuple(replace(part, compact_placement=False) for part in shape.partitions))


def _check(document: Document, given: Arguments) -> None:
    """Tell everything that the cluster will not be."""
    _names(document, document.value, (), TAKEN | IDLE, NOT_MADE)
    _same(document, (), {"project": given.project, "zone": given.zone})
    _same(document, (), {"controller_image": given.gce_image, "login_image": given.gce_image})
    for index, entry in document.entries("partitions", "partitions"):
        where = ("partitions", index)
        _names(document, entry, where, PART_TAKEN | PART_IDLE | set(PART_WARNED), PART_NOT_MADE)
        _same(document, where, {"zone": given.zone, "image": given.gce_image})
        for key, (nothing, hint) in PART_WARNED.items():
            if entry.get(key) not in (None, "", nothing, given.vpc_subnet):
                document.warn(f"{key} = {quoted(entry[key])} is not done", hint, *where, key)


def _names(
    document: Document,
    values: dict[str, Any],
    where: Where,
    known: frozenset[str],
    not_made: frozenset[str],
) -> None:
    for key, value in values.items():
        if key in not_made and value:
            document.error(f"{key} is not made for a test cluster", "take it away, or test on rcc-static", *where, key)
        elif key not in known | not_made:
            document.warn(f"{key} is not known", "take it away; names are those of rcc-tf", *where, key)


def _same(document: Document, where: Where, wanted: Mapping[str, str]) -> None:
    """One zone, one project, one image: what the file says has to be what the options say."""
    values = document.value
    for step in where:
        values = values[step]
    for key, value in wanted.items():
        found = values.get(key)
        if isinstance(found, str) and found and found != value:
            name = "image" if key.endswith("image") else key
            option = "--gce-image" if name == "image" else f"--{name}"
            message = f"{key} is {quoted(found)} while {option} is {quoted(value)}"
            document.error(message, f"write <{name}>, or give that {option}", *where, key)
