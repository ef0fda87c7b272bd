"""The protocol of test clusters, and the status of a run on one."""

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
    """The last status that the agent reported.

    ``ended`` is true after its last report, ``error`` is why it gave up, ``image_fault`` means that every cluster from
    this image would fail in the same way. ``reimage`` is the last node that a new machine has
    to replace: it was drained in an upgrade, or Slurm resumes it.
    """

    stage: Stage
    jobs_done: int = 0
    jobs_total: int = 0
    nodes_ready: int = 0
    nodes_total: int = 0
    ended: bool = False
    error: str = ""
    image_fault: bool = False
    reimage: str = ""


@dataclass(frozen=True)
class Login:
    """How to get a shell on a machine: ``command`` is a shell line, which needs ``program``; ``leave`` ends it."""

    machine: str
    command: str
    program: str
    leave: str

    def __str__(self) -> str:
        return f"{self.machine}: {self.command}"


class Cluster(Protocol):
    """One ephemeral cluster. The runner calls the methods in this order, and ``tear_down`` whatever happens.

    ``queue_seconds`` is how long the jobs may wait for nodes that the run shares with other users, ``poll_seconds`` the
    longest pause between two looks at the status.
    """

    queue_seconds: float
    poll_seconds: float

    def provision(self, activity: Activity) -> None:
        """Create and start the machines. Raises InfrastructureFailed."""

    def status(self) -> AgentStatus:
        """Return the last status of the agent on the controller. Raises BakeryError if the cluster is lost."""

    def reimage(self, name: str, activity: Activity) -> None:
        """Replace a machine by one of the same name and address that boots the tested image. Raises BakeryError."""

    def collect(self, folder: Path) -> None:
        """Copy the agent's results, job outputs and machine logs into ``folder``, as far as they exist."""

    def collect_consoles(self, folder: Path) -> None:
        """Copy the machines' consoles into ``folder`` unless ``collect`` did; only of a run that did not pass."""

    def logins(self) -> Sequence[Login]:
        """Return how to log in to each machine of a cluster with open shells."""

    def tear_down(self) -> None:
        """Stop all machines and delete their disks; idempotent, ignores what is gone already."""


class Clusters(Protocol):
    """Makes clusters: of local QEMU machines, of Compute Engine instances, an existing one, a fake one."""

    def cluster(
        self, run_id: str, image: ImageRecord, order: RunOrder, workspace: Path, present: ImageRecord | None = None
    ) -> Cluster:
        """Return a cluster for one run, not yet provisioned; ``workspace`` is the staged folder for the jobs.

        If ``present`` is given, the machines boot that image, until :meth:`Cluster.reimage` gives them ``image``.
        """
