"""The number of nodes that the jobs of a suite need.

A partition of an rcc-tf cluster only has a maximum: rcc-tf creates nodes when a job needs them. The clusters of a run
create all nodes at the start, so each superfluous one costs. Options are those of sbatch(1), from its command line and
the script's ``#SBATCH`` lines; the command line takes precedence.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from bakery.recipe import sbatch
from bakery.recipe.model import ClusterShape, Partition, SuiteJob
from bakery.recipe.shell import split_words

_DIRECTIVE = re.compile(r"^#SBATCH[ \t]+(.+)$", re.MULTILINE)
_TASKS = re.compile(r"\d+")

ReadScript = Callable[[str], str]  # the text of a file in the workspace; "" if it is missing


@dataclass(frozen=True)
class MachineSize:
    """A machine type: virtual processors, and memory in MiB."""

    cpus: int
    memory_mb: int


def job_options(job: SuiteJob, script: str) -> dict[str, str]:
    """Return the options of a job: those of its script, overridden by its ``batch_options``."""
    lines = [word for line in _DIRECTIVE.findall(script) for word in split_words(line.partition(" #")[0])]
    return {**sbatch.options(lines), **sbatch.options(split_words(job.batch_options))}


def nodes_of(wanted: Mapping[str, str], cpus: int) -> int | None:
    """Return the number of nodes with ``cpus`` processors that a job needs; None if its options do not determine it."""
    if sbatch.NODES in wanted:
        nodes = sbatch.node_range(wanted[sbatch.NODES])
        return nodes[1] if nodes else None
    if not all(_TASKS.fullmatch(text) for text in wanted.values()):
        return None
    figures = {name: int(text) for name, text in wanted.items()}
    tasks = figures.get("--ntasks", 1)
    per_node = max(1, cpus // max(1, figures.get("--cpus-per-task", 1)))
    if figures.get("--ntasks-per-node"):
        per_node = min(per_node, figures["--ntasks-per-node"])
    return math.ceil(tasks / per_node)


def sized(
    shape: ClusterShape, jobs: Iterable[SuiteJob], machines: Mapping[str, MachineSize], read: ReadScript
) -> ClusterShape:
    """Return the cluster with the nodes that the largest job of each partition needs, and no more than it had.

    A partition without jobs gets no nodes. ``machines`` has the machine type of each partition by its name.
    """
    needs: dict[str, int] = {}
    for job in jobs:
        part = _partition(shape, job.partition)
        if part is not None:
            words = split_words(job.execution_command)
            script = read(words[0]) if words else ""
            cpus = machines[part.name].cpus if part.name in machines else part.cpus
            need = nodes_of(job_options(job, script), cpus)
            needs[part.name] = max(needs.get(part.name, 0), part.nodes if need is None else need)
    return replace(shape, partitions=tuple(_sized(part, needs, machines) for part in shape.partitions))


def _partition(shape: ClusterShape, name: str | None) -> Partition | None:
    if not name:
        return shape.partitions[0] if shape.partitions else None
    return next((part for part in shape.partitions if part.name == name), None)


def _sized(part: Partition, needs: Mapping[str, int], machines: Mapping[str, MachineSize]) -> Partition:
    machine = machines.get(part.name, MachineSize(part.cpus, part.memory_mb))
    return replace(part, nodes=min(part.nodes, needs.get(part.name, 0)), cpus=machine.cpus, memory_mb=machine.memory_mb)
