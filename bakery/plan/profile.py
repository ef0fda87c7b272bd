"""The profile of a test cluster: the recipe's if it names one, otherwise the stack's. Pure."""

from dataclasses import replace

from bakery.recipe.model import ClusterShape, Json, Recipe, SourceFile
from bakery.settings.cluster import ClusterSettings, Profile
from bakery.settings.site_files import SiteFile, SitePart

FOLDER = "cluster-profile"  # of the stack's files in the workspace
READABLE = 0o644


def with_profile(
    cluster: ClusterShape, settings: ClusterSettings, recipe: Recipe
) -> tuple[ClusterShape, tuple[SourceFile, ...]]:
    """Return the cluster with its profile and the paths of the site's files in the workspace, and these files.

    The simple profile is not recorded, nor the files that it does not use: the digests of its tests are those of older
    releases.
    """
    profile = cluster.profile or settings.profile
    if profile is Profile.SIMPLE:
        return replace(cluster, profile=None, slurm_conf="", job_submit="", prolog="", epilog=""), ()
    own = {file.path: file for file in recipe.files}
    files = {part: _of_stack(part, file) for part, file in settings.site.items()}
    files |= {part: own[f"{recipe.workspace_path}/{path}"] for part, path in cluster.site.items()}
    paths: Json = {part.value: file.path for part, file in files.items()}
    return replace(cluster, profile=profile, **paths), tuple(files.values())


def _of_stack(part: SitePart, file: SiteFile) -> SourceFile:
    return SourceFile(f"{FOLDER}/{part}", READABLE, file.sha256, file.source)
