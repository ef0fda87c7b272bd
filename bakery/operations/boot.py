"""Boots an image of the library for a user who wants to look into it: ``bakery boot``."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from bakery import paths
from bakery.backends.base import Backend
from bakery.errors import BakeryError, InfrastructureFailed, Uncertain
from bakery.fluid_run.base import AgentStatus, Cluster, Login
from bakery.fluid_run.progress import console_tail
from bakery.fluid_run.runner import START_SECONDS, new_run_id
from bakery.host import locks
from bakery.host.files import discard
from bakery.library.base import ImageRecord
from bakery.library.lookup import picked
from bakery.orders.model import RunOrder
from bakery.paths import StatePaths
from bakery.plan.image_labels import ARCHITECTURE_LABEL
from bakery.progress.activity import Activity, growing_pause
from bakery.recipe.model import ClusterShape, Suite

CPUS, MEMORY_MB = 2, 2048  # of a local machine
TESTING = "testing: "  # what clusters say is about the tests of a run, of which there are none here


@dataclass(frozen=True)
class Booted:
    """A machine that runs; ``problem`` is why Slurm does not work on it, empty if it does."""

    image: str
    logins: Sequence[Login]
    problem: str


@contextmanager
def booted(wanted: str, backend: Backend, activity: Activity, seconds: int, machine_type: str = "") -> Iterator[Booted]:
    """Boot the image that ``wanted`` fits as one machine with Slurm, for at most ``seconds``; it goes with the block.

    The image is not changed, and nothing is recorded. ``machine_type`` is one of Compute Engine's. Raises BakeryError.
    """
    library = backend.library()
    image = picked(wanted, library.listing())
    state = StatePaths(backend.settings.state)
    run_id = new_run_id(image.name)
    workspace = state.work / f"{paths.WORKSPACE}{run_id}"
    with library.lease(image.name):
        (workspace / "tree").mkdir(parents=True)
        locks.sign(workspace, f"bakery boot {image.name}")
        clusters = backend.clusters(open_seconds=seconds)
        cluster = clusters.cluster(run_id, image, _order(image, machine_type), workspace / "tree")
        try:
            try:
                cluster.provision(replace(activity, say=lambda text: activity.say(text.removeprefix(TESTING))))
                status = _wait(cluster, activity)
            except BakeryError as error:
                cluster.collect(workspace)
                cluster.collect_consoles(workspace)
                error.tail = error.tail or console_tail(workspace)
                raise
            yield Booted(image.name, cluster.logins(), status.error)
        finally:
            cluster.tear_down()
            discard(workspace)


def _order(image: ImageRecord, machine_type: str) -> RunOrder:
    """Return the order of a run without jobs on a controller that is its own node."""
    shape = ClusterShape((), 0, CPUS, MEMORY_MB, controller_machine_type=machine_type)
    return RunOrder(
        image=image.name,
        digest=image.digest,
        package=image.package,
        variant=image.variant,
        suite=Suite((), shape),
        files=(),
        git_sha="",
        compiler="",
        target_arch="",
        architecture=image.labels.get(ARCHITECTURE_LABEL, ""),
    )


def _wait(cluster: Cluster, activity: Activity) -> AgentStatus:
    """Wait until Slurm has started, or failed to. Raises InfrastructureFailed."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < START_SECONDS:
        try:
            status = cluster.status()
            if status.ended or status.error:
                return status
            activity.say("booting" if not status.nodes_total else "Slurm starts")
        except Uncertain as error:
            activity.say(f"booting, its status is unknown: {error.message}")
        activity.sleep(growing_pause(cluster.poll_seconds, waited))
    raise InfrastructureFailed(f"the machine reported nothing within {START_SECONDS:.0f} s")
