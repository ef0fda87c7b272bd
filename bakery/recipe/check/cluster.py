"""The test cluster of a recipe: from an rcc-tf tfvars file (``test/rcc.auto.tfvars``) or from ``recipe.yaml``.

Source of the tfvars names: rcc-tf's variables. ``<image>``, ``<name>``, ``<zone>``, ``<project>`` are placeholders that
Fluid-Run fills; an empty string stands for "as the cluster decides" here.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from bakery.recipe.model import ClusterShape, Partition
from bakery.recipe.parse import Document, Where, quoted

PLACEHOLDERS = frozenset({"<image>", "<name>", "<zone>", "<project>", "<network>", "<subnetwork>", "<build_id>"})
Kind = TypeVar("Kind")
_PLACEHOLDER = re.compile(r"<[^<>\s]+>")
_PARTITION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
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
        login_nodes=top.count("login_node_count", 1),
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

    def take(self, key: str, right: Callable[[Any], bool], default: Kind, what: str) -> Kind:
        found = self.values.get(key)
        if found is None:
            return default
        if right(found):
            return cast(Kind, found)
        self.document.error(f"{key} is {quoted(found)}", f"write {what}", *self.where, key)
        return default

    def text(self, key: str) -> str:
        found = self.take(key, lambda value: isinstance(value, str), "", "a string")
        return "" if _PLACEHOLDER.fullmatch(found) else found

    def count(self, key: str, default: int) -> int:
        return self.take(key, lambda value: type(value) is int and value >= 0, default, "a whole number, 0 or more")

    def flag(self, key: str) -> bool:
        return self.take(key, lambda value: isinstance(value, bool), False, "true or false")


def _partition(tfvars: Document, where: Where, entry: Mapping[str, Any]) -> Partition | None:
    read = _Values(tfvars, where, entry)
    name = read.text("name")
    if not _PARTITION.fullmatch(name):
        tfvars.error(f"partition's name is {quoted(entry.get('name'))}", "use letters, digits, - and _", *where)
        return None
    return Partition(
        name=name,
        nodes=(read.count("static_node_count", 0) + read.count("max_node_count", 0)) or Partition(name).nodes,
        machine_type=read.text("machine_type"),
        zone=read.text("zone"),
        disk_size_gb=read.count("compute_disk_size_gb", 0),
        gpu_type=read.text("gpu_type"),
        gpu_count=read.count("gpu_count", 0),
        gvnic=read.flag("gvnic"),
        compact_placement=read.flag("enable_placement"),
        preemptible=read.flag("preemptible_bursting"),
    )


def _twice(document: Document, partitions: tuple[Partition, ...], where: Where) -> None:
    names = [partition.name for partition in partitions]
    for index, name in enumerate(names):
        if name in names[:index]:
            document.error(f"duplicate partition {name}", "give each its own name", *where, index)


def from_recipe(recipe: Document, where: Where, given: Mapping[str, Any]) -> ClusterShape:
    """Return the cluster below ``where`` in ``recipe.yaml``, which conforms to the schema."""
    partitions = tuple(Partition(**entry) for entry in given.get("partitions") or [{"name": "debug"}])
    _twice(recipe, partitions, (*where, "partitions"))
    return ClusterShape(partitions=partitions, **{key: given[key] for key in _SHAPE if key in given})
