"""The test cluster of a recipe: from an rcc-tf tfvars file (``test/rcc.auto.tfvars``) or from ``recipe.yaml``.

Source of the tfvars names: rcc-tf's variables. ``<image>``, ``<name>``, ``<zone>``, ``<project>`` are placeholders that
Fluid-Run fills; an empty string stands for "as the cluster decides" here.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from bakery.recipe import machine_types, sbatch
from bakery.recipe.machine_kinds import NicType, Provisioning
from bakery.recipe.model import ClusterShape, Json, Partition
from bakery.recipe.parse import Document, Where, listed, quoted
from bakery.recipe.shell import split_words
from bakery.settings.cluster import Profile
from bakery.settings.site_files import SitePart

PLACEHOLDERS = frozenset({"<image>", "<name>", "<zone>", "<project>", "<network>", "<subnetwork>", "<build_id>"})
Kind = TypeVar("Kind")
_PLACEHOLDER = re.compile(r"<[^<>\s]+>")
_WHOLE = re.compile(r"[0-9]{1,9}")
MOST_NODES = 65_536  # of a partition, and login nodes; the schema of recipe.yaml has the same limits
MOST = 999_999_999
_NODES = ("static_node_count", "max_node_count")
_PARTITION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
NAMES = {"compact_placement": "enable_placement", "preemptible": "preemptible_bursting"}  # rcc-tf's
_SHAPE = (
    "login_nodes",
    "controller_cpus",
    "controller_memory_mb",
    "controller_machine_type",
    "login_machine_type",
    "controller_disk_size_gb",
    "controller_disk_type",
)


def from_tfvars(tfvars: Document) -> ClusterShape | None:
    """Return the cluster; None, with an error, if the file names no partition."""
    _placeholders(tfvars)
    partitions = tuple(
        made
        for index, entry in tfvars.entries("partitions", "partitions")
        if (made := _partition(tfvars, ("partitions", index), entry)) is not None
    )
    if not partitions:
        tfvars.error("has no partition", "add partitions = [{ name = ... }]", "partitions")
        return None
    _twice(tfvars, partitions, ("partitions",))
    top = _Values(tfvars, (), tfvars.value)
    return ClusterShape(
        partitions=partitions,
        login_nodes=top.count("login_node_count", 1, MOST_NODES),
        controller_machine_type=top.text("controller_machine_type"),
        login_machine_type=top.text("login_machine_type"),
        controller_disk_size_gb=top.count("controller_disk_size_gb", 0),
        controller_disk_type=top.text("controller_disk_type"),
    )


def _placeholders(tfvars: Document) -> None:
    for where, text in tfvars.strings:
        for name in _PLACEHOLDER.findall(text):
            if name not in PLACEHOLDERS:
                tfvars.warn(f"nothing fills {name}", f"known: {', '.join(sorted(PLACEHOLDERS))}", *where)


@dataclass
class _Values:
    """Typed reads of one mapping of a tfvars file; null counts as absent, a wrong type is an error."""

    document: Document
    where: Where
    values: Mapping[str, Any]

    def take(self, key: str, convert: Callable[[Any], Kind | None], default: Kind, what: str) -> Kind:
        found = self.values.get(key)
        made = convert(found) if found is not None else default
        if made is None:
            self.document.error(f"{key} is {quoted(found)}", f"write {what}", *self.where, key)
            return default
        return made

    def text(self, key: str) -> str:
        found = self.take(key, _text, "", "a string")
        return "" if _PLACEHOLDER.fullmatch(found) else found

    def count(self, key: str, default: int, most: int = MOST) -> int:
        return self.take(key, partial(_count, most=most), default, f"a whole number from 0 to {most}")

    def flag(self, key: str) -> bool:
        return self.take(key, _flag, False, "true or false")


def _text(value: Any) -> str | None:
    """Return a string, or a number or boolean as Terraform makes a string of it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (str, int, float)) else None


def _count(value: Any, most: int) -> int | None:
    """Return a whole number from 0 to ``most``, also one in a string, which Terraform takes."""
    number = int(value) if type(value) in (int, str) and _WHOLE.fullmatch(str(value)) else most + 1
    return number if number <= most else None


def _flag(value: Any) -> bool | None:
    """Return a boolean, also one in a string, which Terraform takes."""
    return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value))


def _partition(tfvars: Document, where: Where, entry: Mapping[str, Any]) -> Partition | None:
    read = _Values(tfvars, where, entry)
    name = read.text("name")
    if not _PARTITION.fullmatch(name):
        tfvars.error(f"partition's name is {quoted(entry.get('name'))}", "use letters, digits, - and _", *where)
        return None
    return Partition(
        name=name,
        nodes=sum(read.count(key, 0, MOST_NODES) for key in _NODES) or Partition(name).nodes,
        machine_type=read.text("machine_type"),
        zone=read.text("zone"),
        disk_size_gb=read.count("compute_disk_size_gb", 0),
        gpu_type=read.text("gpu_type"),
        gpu_count=read.count("gpu_count", 0),
        gvnic=read.flag("gvnic"),
        compact_placement=read.flag("enable_placement"),
        preemptible=read.flag("preemptible_bursting"),
    )


def check_jobs(tests: Document, shapes: Sequence[ClusterShape]) -> None:
    """Check that the clusters have the partitions and nodes that the jobs of ``fluidrun.yaml`` ask for."""
    for index, entry in enumerate(listed(tests.value.get("tests"))):
        if isinstance(entry, dict):
            check_job(tests, ("tests", index), entry, shapes)


def check_job(document: Document, where: Where, entry: Mapping[str, Any], shapes: Sequence[ClusterShape]) -> None:
    """Check that the clusters have the partition and the nodes that a job asks for, which is ``entry`` at ``where``."""
    known = {partition.name: None for shape in shapes for partition in shape.partitions}
    name, options = entry.get("partition"), entry.get("batch_options")
    if isinstance(name, str) and name and name not in known:
        hint = f"the cluster has {', '.join(known)}; partitions are defined in test/rcc.auto.tfvars or recipe.yaml"
        document.error(f"no cluster has partition {name}", hint, *where, "partition")
        return
    asked = _least_nodes(options) if isinstance(options, str) else 0
    parts = [part for shape in shapes for part in shape.partitions[: None if name else 1]]
    nodes = min((part.nodes for part in parts if part.name == (name or part.name)), default=None)
    if nodes is not None and asked > nodes:
        hint = "ask for fewer, or give the partition more in test/rcc.auto.tfvars or recipe.yaml"
        document.error(f"asks for {asked} nodes, and the partition has {nodes}", hint, *where, "batch_options")


def _least_nodes(options: str) -> int:
    """Return the nodes without which sbatch(1) does not start a job with these options; 0 if they do not say it."""
    nodes = sbatch.node_range(sbatch.options(split_words(options)).get(sbatch.NODES, ""))
    return nodes[0] if nodes else 0


def _twice(document: Document, partitions: tuple[Partition, ...], where: Where) -> None:
    names = [partition.name for partition in partitions]
    for index, name in enumerate(names):
        if name in names[:index]:
            document.error(f"duplicate partition {name}", "give each its own name", *where, index)


def from_recipe(recipe: Document, where: Where, given: Mapping[str, Any], before: ClusterShape) -> ClusterShape:
    """Return the cluster below ``where`` in ``recipe.yaml``, which conforms to the schema.

    It replaces the one ``before``, of which the machines stay if it only says how they are configured.
    """
    if given and given.keys() <= {"profile", *SitePart}:
        return replace(before, **_configuration(given))
    partitions = tuple(_of_recipe(entry) for entry in given.get("partitions") or [{"name": "debug"}])
    _twice(recipe, partitions, (*where, "partitions"))
    values = {key: _plain(given[key]) for key in _SHAPE if key in given}
    shape = ClusterShape(partitions=partitions, **values, **_configuration(given))
    check_machines(recipe, where, shape, given, {})
    return shape


def _configuration(given: Mapping[str, Any]) -> Json:
    """Return the fields of a cluster that are not about its machines."""
    profile = {"profile": Profile(given["profile"])} if "profile" in given else {}
    return {**profile, **{part.value: given[part] for part in SitePart if part in given}}


def _of_recipe(entry: Mapping[str, Any]) -> Partition:
    kinds: Json = {"nic_type": NicType, "provisioning": Provisioning}
    return Partition(**{key: kinds.get(key, _plain)(value) for key, value in entry.items()})


def _plain(value: Any) -> Any:
    """Return a value with its type: to JSON Schema ``2.0`` is a whole number, too."""
    return int(value) if isinstance(value, float) else value


def check_machines(
    document: Document, where: Where, shape: ClusterShape, given: Json, names: Mapping[str, str] = NAMES
) -> None:
    """Report what Compute Engine refuses of a cluster's machines.

    ``given`` is what the document has at ``where``, ``names`` are its names for fields of a partition.
    """
    written = [one.get("name") if isinstance(one, dict) else None for one in listed(given.get("partitions"))]
    for partition in shape.partitions:
        for field, message, hint in machine_types.faults(partition):
            name = names.get(field, field)
            at = (*where, "partitions", written.index(partition.name), name) if partition.name in written else where
            document.error(f"{name} of partition {partition.name}: {message}", hint, *at)
    if fault := machine_types.controller_fault(shape):
        document.error(f"{fault.field}: {fault.message}", fault.hint, *where, fault.field)
