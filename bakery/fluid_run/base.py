"""What a test cluster is, and what a Fluid-Run gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bakery.library.base import ImageRecord
from bakery.orders.model import RunOrder
from bakery.progress.activity import Activity
from bakery.results.model import Stage


@dataclass(frozen=True)
class AgentStatus:
    """What the agent last said: its stage, jobs done and in all, nodes idle and in all; ``ended`` at its end.

    ``error`` is why it gave up, ``image_fault`` whether every cluster from this image would end so.
    """

    stage: Stage
    jobs_done: int = 0
    jobs_total: int = 0
    nodes_ready: int = 0
    nodes_total: int = 0
    ended: bool = False
    error: str = ""
    image_fault: bool = False


class Cluster(Protocol):
    """One ephemeral cluster. The runner calls the methods in this order, and ``tear_down`` in every path.

    ``queue_seconds`` is how long the jobs may wait for nodes that are not the run's alone.
    """

    queue_seconds: float

    def provision(self, activity: Activity) -> None:
        """Make and start the machines. Raises InfrastructureFailed."""
        ...

    def status(self) -> AgentStatus:
        """What the agent on the controller last said; raises BakeryError when the cluster is dead."""
        ...

    def collect(self, folder: Path) -> None:
        """Bring ``results.json``, job outputs and machine logs into ``folder``; as much as there is."""
        ...

    def logins(self) -> Sequence[str]:
        """For a cluster whose machines have an open shell: how to log in to each, a line each."""
        ...

    def tear_down(self) -> None:
        """End all machines and take away their disks; idempotent; never raises for what is gone already."""
        ...


class Clusters(Protocol):
    """Makes clusters: local QEMU machines, Compute Engine instances, a static cluster, a fake."""

    def cluster(self, run_id: str, image: ImageRecord, order: RunOrder, workspace: Path) -> Cluster:
        """A cluster for one run, not yet provisioned; ``workspace`` is the staged folder the jobs see."""
        ...
