"""A Slurm cluster of three local machines, from the order to all nodes idle, against the boot of its machines alone.

Run: python benchmarks/cluster.py [--state FOLDER] [--package NAME] [--repeats N] [--json FILE], after ``make up``. The
image is the newest of the package in that state folder's library. ``boot`` is until the agent of every machine has
spoken: the floor, with nothing of Slurm in it; ``idle`` until Slurm holds all nodes ready. Both are of the same start,
figures are medians of wall seconds.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bakery.fluid_run.clusters import mailbox
from bakery.fluid_run.clusters.local import LocalCluster, LocalClusters
from bakery.host import qemu
from bakery.library.base import ImageRecord
from bakery.library.local.library import LocalLibrary
from bakery.orders.model import RunOrder
from bakery.progress.activity import Activity
from bakery.recipe.model import ClusterShape, Partition, Suite, SuiteJob
from bakery.settings import parse
from benchmarks import _options

AT_MOST_SECONDS = 40
SHAPE = ClusterShape((Partition("compute", nodes=2),), login_nodes=0)


def newest(library: LocalLibrary, package: str) -> ImageRecord:
    """The newest image of the package that is there."""
    images = [image for image in library.images() if image.package == package]
    if not images:
        raise SystemExit(f"{library.files.folder} has no image of {package}: run make up, or give --state FOLDER")
    return max(images, key=lambda image: image.created)


def seconds(cluster: LocalCluster) -> tuple[float, float]:
    """Seconds until all agents have spoken, and until all nodes are idle."""
    began = time.perf_counter()
    booted = 0.0
    try:
        cluster.provision(Activity())
        disks = [cluster.folder / f"{spec.name}.out" for spec in cluster.specs]
        while True:
            status = cluster.status()
            passed = time.perf_counter() - began
            if status.error or status.ended:
                raise SystemExit(f"the cluster ended before it was ready: {status.error or 'no reason told'}")
            if not booted and all(mailbox.read_disk(disk) for disk in disks):
                booted = passed
            if status.nodes_total and status.nodes_ready == status.nodes_total:
                return booted, passed
            time.sleep(0.1)
    finally:
        cluster.tear_down()


def main() -> None:
    """Measure and print."""
    parser = _options.parser(__doc__, repeats=3)
    parser.add_argument("--state", default=".bakery", metavar="FOLDER")
    parser.add_argument("--package", default="rcc-debian", metavar="NAME")
    arguments = parser.parse_args()
    image = newest(
        LocalLibrary(parse({"oven": "local", "state": arguments.state}, "bench", Path.cwd())), arguments.package
    )
    taken: dict[str, list[float]] = {"boot": [], "idle": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = parse({"oven": "local"}, "bench", folder)
        qemu.accelerator(settings.local)
        (folder / "workspace").mkdir()
        suite = Suite((SuiteJob("bench", "sleep 60", "/workspace"),), SHAPE)
        order = RunOrder(image.name, image.digest, image.package, "", suite, (), "", "", "")
        for number in range(arguments.repeats):
            cluster = LocalClusters(settings).cluster(f"bench-{number}", image, order, folder / "workspace")
            for kind, value in zip(taken, seconds(cluster), strict=True):
                taken[kind].append(value)
    boot, idle = (statistics.median(values) for values in taken.values())
    print(
        f"three machines: agents {boot:.1f} s; "
        f"all idle {idle:.1f} s (at most {AT_MOST_SECONDS}), ratio {idle / boot:.2f}"
    )
    _options.write(taken, arguments)


if __name__ == "__main__":
    main()
