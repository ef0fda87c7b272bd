"""Whether the profile of a test cluster works with what is known of the image, before the cluster is made."""

from bakery.errors import ImageRejected
from bakery.library.base import ImageRecord
from bakery.library.versions import Software, of_labels
from bakery.recipe.model import ClusterShape
from bakery.settings.cluster import Profile

OLDEST = (22, 5)  # Slurm with control groups of version 2, https://slurm.schedmd.com/cgroup_v2.html


def check(cluster: ClusterShape, image: ImageRecord) -> None:
    """Raise ImageRejected if an earlier run found that the image's Slurm is too old. An unknown version passes."""
    version = of_labels(image.labels).get(Software.SLURM, "")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if cluster.profile is Profile.PRODUCTION and len(numbers) == 2 and numbers < OLDEST:
        raise ImageRejected(
            f"{image.name}: the profile production needs Slurm 22.05 or newer, and the image has {version}",
            hint="install a newer Slurm in the recipe, or write profile: simple for its cluster in recipe.yaml",
        )
