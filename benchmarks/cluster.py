"""A Slurm cluster of three local machines, from the order to all nodes idle: with boot snapshots and without, in turns.

Run: python benchmarks/cluster.py [--state FOLDER] [--package NAME] [--repeats N] [--json FILE], after ``make up``. The
image is the newest of the package in that state folder's library. Each repeat starts a cluster whose machines boot, the
first one of an image (one machine boots and is saved, all continue from it), and a later one. ``boot`` is until the
agent of every machine has spoken: nothing of Slurm is in it; ``idle`` until Slurm holds all nodes ready. Both are of
the same start, figures are medians of wall seconds.
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

AT_MOST_SECONDS, AT_MOST_RATIO = 40, 0.65
PLAIN = "all boot"
KINDS = {PLAIN: 0, "first of an image": 4, "later": 4}  # the budget of boot snapshots in GiB
SHAPE = ClusterShape((Partition("compute", nodes=2),), login_nodes=0)


def newest(library: LocalLibrary, package: str) -> ImageRecord | None:
    """The newest image of the package in the library."""
    images = [image for image in library.images() if image.package == package]
    return max(images, key=lambda image: image.created, default=None)


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
    library = LocalLibrary(parse({"oven": "local", "state": arguments.state}, "bench", Path.cwd()))
    image = newest(library, arguments.package)
    if image is None:
        print(
            f"skipped: no image of {arguments.package} in {library.files.folder}; run make up, or give --state FOLDER"
        )
        return
    taken: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    for number in range(arguments.repeats):
        with tempfile.TemporaryDirectory() as folder:
            for kind, budget in KINDS.items():
                taken[kind].append(measured(Path(folder), budget, image, f"bench-{number}-{kind}"))
    plain = statistics.median(idle for _, idle in taken[PLAIN])
    for kind, pairs in taken.items():
        boot, idle = (statistics.median(values) for values in zip(*pairs, strict=True))
        print(f"three machines, {kind}: agents {boot:.1f} s; all idle {idle:.1f} s; ratio {idle / plain:.2f}")
    print(f"at most {AT_MOST_SECONDS} s and a ratio of {AT_MOST_RATIO}")
    _options.write(taken, arguments)


def measured(folder: Path, budget: int, image: ImageRecord, run_id: str) -> tuple[float, float]:
    """Start a cluster whose state is in ``folder``; the seconds of :func:`seconds`."""
    settings = parse({"oven": "local", "local": {"bootSnapshots": {"budgetGb": budget}}}, "bench", folder)
    qemu.accelerator(settings.local)
    (folder / "workspace").mkdir(exist_ok=True)
    suite = Suite((SuiteJob("bench", "sleep 60", "/workspace"),), SHAPE)
    order = RunOrder(image.name, image.digest, image.package, "", suite, (), "", "", "")
    return seconds(LocalClusters(settings).cluster(run_id, image, order, folder / "workspace"))


if __name__ == "__main__":
    main()
