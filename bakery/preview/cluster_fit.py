"""Whether images work together in the cluster that the output ``rcc_tf`` describes, and in one that already runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from bakery.errors import Problem, Severity
from bakery.library.base import ImageRecord, Proof
from bakery.library.derived import content
from bakery.library.versions import Software, of_labels
from bakery.plan.rcc_tf import Boots, boots
from bakery.plan.summary import ImageSummary
from bakery.preview.model import Target
from bakery.preview.snapshot import LibrarySnapshot
from bakery.preview.software_fit import Fault, RunningCluster, Versions, mpi_fault, node_fault, scripts_fault
from bakery.preview.targets import families_of, pointers, staged
from bakery.settings import Settings
from bakery.settings.cluster import ClusterSettings, SlurmGcp

SCRIPTS = (
    "bake it from a newer image, name other families in cluster.controller, login, partitions, or set cluster.slurmGcp"
)
FITTING = "pin one of the two families to an image that fits, or name others in cluster.controller, login, partitions"


def running(cluster: ClusterSettings, planned: Sequence[ImageSummary], family: str) -> RunningCluster | None:
    """Return the cluster that runs as the images of a recipe's family meet it; None if it has none of them."""
    head = cluster.controller or next((image.family for image in planned), "")
    if not cluster.slurm or not (family in (head, cluster.login) or cluster.has_partitions(family)):
        return None
    return RunningCluster(cluster.slurm, family == head)


def software(images: Iterable[ImageRecord]) -> dict[str, Versions]:
    """Map the ends of images' names, which stand for their content, to the versions that are recorded."""
    return {content(image.name): found for image in images if (found := of_labels(image.labels))}


def unfit(
    settings: Settings, planned: Sequence[ImageSummary], held: LibrarySnapshot, goals: Mapping[str, Target]
) -> tuple[Problem, ...]:
    """Return all that an ``up`` refuses, and warnings for what is not known; ``goals`` are the targets."""
    return (*unfit_promotions(settings, planned, held, goals), *unfit_cluster(settings, planned, held, goals))


def unfit_promotions(
    settings: Settings, planned: Sequence[ImageSummary], held: LibrarySnapshot, goals: Mapping[str, Target]
) -> tuple[Problem, ...]:
    """Return an error for each family that ``cluster.slurm`` keeps where it is, a warning if it has moved before."""
    if not settings.cluster.slurm:
        return ()
    recipes, known = families_of(settings, planned), software(held.images)
    found = []
    for family, image in _names(settings, planned, goals).items():
        where = running(settings.cluster, planned, recipes[family].family)
        if where and (fault := where.fault(family, image, known.get(content(image), {}))):
            moves = held.families.get(family) != image
            text = f"{family} {'will not be' if moves else 'was'} promoted: {fault[0]}"
            found.append(Problem("library", 1, text, fault[1], Severity.ERROR if moves else Severity.WARNING))
    return tuple(found)


def unfit_cluster(
    settings: Settings, planned: Sequence[ImageSummary], held: LibrarySnapshot, goals: Mapping[str, Target]
) -> tuple[Problem, ...]:
    """Return an error for each pair of images that cannot be in one cluster, and warnings for what is not known."""
    known = software(held.images)
    if not known and not settings.cluster.has_versions:
        return ()
    names = _names(settings, planned, goals)
    machines = boots(planned, names, staged(settings, planned), settings.cluster)
    if machines is None:
        return ()
    errors = [Problem("library", 1, *fault) for fault in cluster_faults(machines, known, settings.cluster.slurm_gcp)]
    images = {machines.controller, machines.login, *machines.partitions.values()}
    return (*errors, *(Problem("library", 1, *note, Severity.WARNING) for note in _unknown(held, images)))


def _names(settings: Settings, planned: Sequence[ImageSummary], goals: Mapping[str, Target]) -> dict[str, str]:
    """Map families and channels to the images that they will point at."""
    return {family: image for family, image in pointers(settings, planned, goals).items() if image}


def _unknown(held: LibrarySnapshot, images: Collection[str]) -> Iterator[Fault]:
    """Yield the tested images whose Slurm is not known, and so is not compared."""
    for image in sorted(images):
        record = held.records.get(image)
        if record and record.proof is not Proof.UNTESTED and Software.SLURM not in of_labels(record.labels):
            yield f"{image} is not compared with the cluster: its Slurm is not recorded", f"run: bakery test {image}"


def cluster_faults(
    machines: Boots, known: Mapping[str, Versions], slurm_gcp: SlurmGcp = SlurmGcp.UNKNOWN
) -> Iterator[Fault]:
    """Yield what does not work in a cluster that boots images of these names, and that ``slurm_gcp`` makes.

    ``known`` is :func:`software`.
    """
    for image in dict.fromkeys((machines.controller, machines.login, *machines.partitions.values())):
        if why := scripts_fault(slurm_gcp, known.get(content(image), {}).get(Software.SLURM, "")):
            yield f"{image} cannot boot in a cluster of slurm-gcp {slurm_gcp}: {why}", SCRIPTS
    head, login = (known.get(content(image), {}) for image in (machines.controller, machines.login))
    slurm, controller = head.get(Software.SLURM, ""), f"the controller of {machines.controller}"
    if why := node_fault(slurm, login.get(Software.SLURM, ""), "Slurm"):
        yield f"login nodes of {machines.login} do not fit {controller}: {why}", FITTING
    users: dict[str, list[str]] = {}
    for (_, name), image in machines.partitions.items():
        users.setdefault(image, []).append(name)
    for image, names in users.items():
        own = known.get(content(image), {})
        for why in (
            node_fault(slurm, own.get(Software.SLURM, "")),
            mpi_fault(head.get(Software.PMIX, ""), own.get(Software.OPEN_MPI, "")),
        ):
            if why:
                what = f"partition{'s' if len(names) > 1 else ''} {', '.join(names)} of {image}"
                yield f"{what} and {controller} cannot be one cluster: {why}", FITTING
