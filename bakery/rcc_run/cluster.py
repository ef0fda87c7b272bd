"""The cluster of ``--rcc-tfvars``: rcc-run's placeholders filled in, read as rcc-tf's variables, and checked.

Sources: rcc-run's ``concretizeTfvars`` (placeholders) and ``etc/rcc-ephemeral/default`` (the default cluster); rcc-tf's
variables (names). A test cluster of the bakery has private machines in one zone, which all boot from one image.
"""

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
UNKNOWN = ClusterShape(partitions=(), login_nodes=0)  # an existing cluster reports its own shape
TAKEN = frozenset(
    (
        *("cluster_name", "project", "zone", "controller_image", "login_image", "partitions", "login_node_count"),
        *("controller_machine_type", "controller_disk_size_gb", "controller_disk_type", "login_machine_type"),
    )
)
# Without effect on a cluster without logins that ends with its jobs.
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
PART_WARNED: Mapping[str, tuple[object, str]] = {  # the value that requests nothing, and a hint for any other
    "exclusive": (False, "add --exclusive to batch_options; otherwise jobs may share a node"),
    "enable_placement": (False, "remove it; the nodes are not placed close to each other, and their rows say so"),
    "image_hyperthreads": (True, "add --threads-per-core to batch_options; nodes have all their virtual processors"),
    "vpc_subnet": (None, "remove it; all machines are in the subnetwork of --vpc-subnet"),
}


@dataclass(frozen=True)
class Tested:
    """The cluster, and the facts about its file systems that rcc-run stores in each row."""

    shape: ClusterShape
    row: dict[str, object] = field(default_factory=dict)


def read(file: Path | None, given: Arguments, findings: Findings) -> Tested:
    """Return the cluster of a tfvars file (None: the default one); problems are added to ``findings``."""
    if file is None:
        return Tested(DEFAULT)
    written = file.read_text(encoding="utf-8", errors="replace")
    _unused(written, given, findings)
    document = tfvars.parse_tfvars(filled(written, given).encode(), findings)
    if document is None:
        return Tested(DEFAULT)
    shape = cluster.from_tfvars(document) or DEFAULT
    _check(document, given)
    placed = tuple(replace(part, compact_placement=False) for part in shape.partitions)
    row = {
        name: document.value[f"create_{name}"] for name in ("filestore", "lustre") if f"create_{name}" in document.value
    }
    return Tested(replace(shape, partitions=placed), row)


def filled(written: str, given: Arguments) -> str:
    """Return the text of the file with rcc-run's placeholders filled in."""
    values = {
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
    for name, value in values.items():
        written = written.replace(f"<{name}>", value)
    return written


def _unused(written: str, given: Arguments, findings: Findings) -> None:
    """Warn about options that only fill a placeholder which the file does not contain."""
    for name in ("machine_type", "node_count", "gpu_type"):
        if name in given.given and f"<{name}>" not in written:
            findings.warn(1, f"--{name.replace('_', '-')} has no effect", f"write <{name}> where it counts")


def _check(document: Document, given: Arguments) -> None:
    """Report every requested property that the cluster will not have."""
    _names(document, document.value, (), TAKEN | IDLE, NOT_MADE)
    _same(document, (), {"project": given.project, "zone": given.zone})
    _same(document, (), {"controller_image": given.gce_image, "login_image": given.gce_image})
    for index, entry in document.entries("partitions", "partitions"):
        where = ("partitions", index)
        _names(document, entry, where, PART_TAKEN | PART_IDLE | set(PART_WARNED), PART_NOT_MADE)
        _same(document, where, {"zone": given.zone, "image": given.gce_image})
        for key, (nothing, hint) in PART_WARNED.items():
            if entry.get(key) not in (None, "", nothing, given.vpc_subnet):
                document.warn(f"{key} = {quoted(entry[key])} is ignored", hint, *where, key)


def _names(
    document: Document,
    values: dict[str, Any],
    where: Where,
    known: frozenset[str],
    not_made: frozenset[str],
) -> None:
    for key, value in values.items():
        if key in not_made and value:
            document.error(f"{key} is not made for a test cluster", "remove it, or test on rcc-static", *where, key)
        elif key not in known | not_made:
            document.warn(f"{key} is not known", "remove it, or use a variable of rcc-tf", *where, key)


def _same(document: Document, where: Where, wanted: Mapping[str, str]) -> None:
    """Report values of the file that contradict the options: there is one zone, one project and one image."""
    values = document.value
    for step in where:
        values = values[step]
    for key, value in wanted.items():
        given = values.get(key)
        if isinstance(given, str) and given and given != value:
            name = "image" if key.endswith("image") else key
            option = "--gce-image" if name == "image" else f"--{name}"
            message = f"{key} is {quoted(given)} while {option} is {quoted(value)}"
            document.error(message, f"write <{name}>, or pass that {option}", *where, key)
